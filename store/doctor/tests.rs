//! Damage to a small store is found and repaired.

mod unreadable;

use std::path::Path;

use super::{StorePart, Verdict, examine, repair};
use crate::fixture::{add, open};
use crate::{ContentHash, StoreError};

/// The parts that are damaged or could not be checked.
fn damaged(dir: &Path) -> Vec<StorePart> {
    let checks = examine(dir).unwrap().into_iter();
    let wrong = checks.filter(|check| check.verdict != Verdict::Ok);
    wrong.map(|check| check.part).collect()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs_err::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_flipped_bit_in_a_derived_index_is_found_and_repaired() {
    let dir = tempfile::tempdir().unwrap();
    add(&open(dir.path()), "a", "penguins live in the south");
    assert_eq!(damaged(dir.path()), []);
    for part in [StorePart::Lexical, StorePart::Vectors] {
        let holds_data = |path: &std::path::PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            // Hidden files are not part of a commit.
            !name.starts_with('.') && fs_err::metadata(path).unwrap().len() > 0
        };
        let folder = dir.path().join(part.as_str());
        for path in files(&folder).into_iter().filter(holds_data) {
            let whole = fs_err::read(&path).unwrap();
            let mut flipped = whole.clone();
            // The footer of a tantivy file has no checksum, and can be longer than the data before it.
            let at = match part {
                StorePart::Lexical => 0,
                _ => whole.len() / 2,
            };
            flipped[at] ^= 1;
            // meta.json has no checksum, and not every bit of it matters.
            if path.extension().is_some_and(|ending| ending == "json") {
                continue;
            }
            fs_err::write(&path, &flipped).unwrap();
            assert_eq!(damaged(dir.path()), [part], "{}", path.display());
            fs_err::write(&path, &whole).unwrap();
        }
        assert_eq!(damaged(dir.path()), []);
        repair(dir.path(), &[part]).unwrap();
        assert_eq!(damaged(dir.path()), [part]);
        drop(open(dir.path()));
        assert_eq!(damaged(dir.path()), []);
    }
}

/// tantivy verifies only files on this list, so damage to an unlisted file would go unnoticed.
#[test]
fn a_file_list_without_one_of_the_files_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    add(&open(dir.path()), "a", "penguins");
    let path = dir.path().join("lexical/.managed.json");
    let list = fs_err::read_to_string(&path).unwrap();
    assert!(list.contains(".fieldnorm"));
    fs_err::write(&path, list.replace(".fieldnorm", ".fieldnerm")).unwrap();
    assert_eq!(damaged(dir.path()), [StorePart::Lexical]);
    drop(open(dir.path()));
    assert_eq!(damaged(dir.path()), []);
}

#[test]
fn a_damaged_catalog_is_distinguished_from_a_missing_one() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(examine(dir.path()), Err(StoreError::NoStore { .. })));
    add(&open(dir.path()), "a", "penguins");
    let path = dir.path().join("catalog.sqlite");
    let mut bytes = fs_err::read(&path).unwrap();
    bytes[..16].fill(0xff);
    fs_err::write(&path, bytes).unwrap();
    assert_eq!(damaged(dir.path()), [StorePart::Catalog]);
}

#[test]
fn indexes_ahead_of_a_catalog_restored_from_backup_are_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.sqlite");
    add(&open(dir.path()), "a", "one");
    let older = fs_err::read(&path).unwrap();
    add(&open(dir.path()), "b", "two");
    fs_err::write(&path, older).unwrap();
    assert_eq!(damaged(dir.path()), [StorePart::Lexical, StorePart::Vectors]);
    let store = open(dir.path());
    assert_eq!(damaged(dir.path()), []);
    // The new passage has the number of the lost one, and must get its own vector.
    add(&store, "c", "three");
    assert_eq!(store.snapshot().unwrap().counts().embedded, 2);
    drop(store);
    assert_eq!(damaged(dir.path()), []);
}

/// A store of two documents, `a` and `b`.
fn two_documents() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    add(&store, "a", "penguins live in the south");
    add(&store, "b", "walruses live in the north");
    dir
}

/// Runs SQL on the catalog of `dir` behind the store's back.
fn sql(dir: &Path, batch: &str) {
    let catalog = rusqlite::Connection::open(dir.join("catalog.sqlite")).unwrap();
    catalog.execute_batch(batch).unwrap();
}

/// Damage to each of the columns that never change. SQLite does not detect it.
const DAMAGES: [&str; 16] = [
    "UPDATE texts SET text = CAST('penguins live in the north' AS BLOB) WHERE document = 1",
    "UPDATE documents SET key = 'c' WHERE id = 1",
    "UPDATE documents SET source_hash = zeroblob(32) WHERE id = 1",
    "UPDATE documents SET status = 'skipped' WHERE id = 1",
    "UPDATE documents SET reason = '' WHERE id = 1",
    "UPDATE documents SET kind = 'tex' WHERE id = 1",
    "UPDATE documents SET language = 'c' WHERE id = 1",
    "UPDATE documents SET title = '' WHERE id = 1",
    "UPDATE documents SET metadata = '{\"a\":\"b\"}' WHERE id = 1",
    "UPDATE documents SET passages = 3 WHERE id = 1",
    "UPDATE passages SET start_byte = 1 WHERE document = 1",
    "UPDATE passages SET start_line = 2 WHERE document = 1",
    "UPDATE passages SET end_line = 0 WHERE document = 1",
    "UPDATE passages SET page = 1 WHERE document = 1",
    "UPDATE passages SET heading_path = '[\"\"]' WHERE document = 1",
    "UPDATE passages SET embed_hash = (SELECT embed_hash FROM passages WHERE document = 2) WHERE document = 1",
];

#[test]
fn damage_to_any_column_is_found_and_the_file_is_read_again() {
    for damage in DAMAGES {
        let dir = two_documents();
        sql(dir.path(), damage);
        let found = damaged(dir.path());
        assert!(found.contains(&StorePart::Contents), "{damage}: {found:?}");
        repair(dir.path(), &found).unwrap();
        let store = open(dir.path());
        let known = store.known_files().unwrap();
        let is_marked = |key: &str| known.get(key).is_none_or(|state| state.stat.size == u64::MAX);
        assert!(is_marked("a") && !is_marked("b"), "{damage}: {known:?}");
        add(&store, "a", "penguins live in the south");
        assert!(!damaged(dir.path()).contains(&StorePart::Contents), "{damage}");
    }
}

#[test]
fn corrupt_rows_are_left_out_of_answers() {
    for damage in DAMAGES {
        let dir = two_documents();
        sql(dir.path(), damage);
        let store = open(dir.path());
        let snapshot = store.snapshot().unwrap();
        if damage.starts_with("UPDATE documents") {
            // The stat and hash match no file, so the next run reads it.
            let key = if damage.contains("key =") { "c" } else { "a" };
            let entry = snapshot.document(key).unwrap();
            assert_eq!(entry.source_hash, ContentHash([0; 32]), "{damage}");
            let known = store.known_files().unwrap();
            assert_eq!(known[key].stat.size, u64::MAX, "{damage}");
        } else {
            assert!(
                snapshot.passages(&[crate::PassageId(1)]).unwrap().is_empty(),
                "{damage}"
            );
            let id = snapshot.document("a").unwrap().id;
            assert!(snapshot.text_of_passages(id, 0, 0).unwrap().is_none(), "{damage}");
            assert!(
                snapshot.document_text("a").is_err_and(|error| error.is_damage()),
                "{damage}"
            );
        }
        assert_eq!(
            snapshot.passages(&[crate::PassageId(2)]).unwrap()[0].text,
            "walruses live in the north"
        );
    }
}

/// Otherwise the embedding of the corrupt text would be stored under the hash of the original.
#[test]
fn a_corrupt_passage_is_read_again_instead_of_embedded() {
    let dir = two_documents();
    sql(
        dir.path(),
        "DELETE FROM embeddings; UPDATE passages SET vector_seq = NULL;
         UPDATE passages SET heading_path = '[\"\"]' WHERE document = 2",
    );
    let store = open(dir.path());
    let pending = store.pending_embeddings(None, 10).unwrap();
    assert_eq!(
        pending.iter().map(|passage| passage.id.0).collect::<Vec<_>>(),
        [1]
    );
    assert_eq!(store.known_files().unwrap()["b"].stat.size, u64::MAX);
}

/// The vector file contains the vector. After re-embedding it must not contain two.
#[test]
fn a_damaged_embedding_leaves_no_vector_behind() {
    let lost = [
        "UPDATE embeddings SET codes = zeroblob(3)",
        "DELETE FROM embeddings",
    ];
    for damage in lost {
        let dir = two_documents();
        let of_a = ContentHash::of(b"penguins live in the south");
        let which = format!("{damage} WHERE hash = (SELECT embed_hash FROM passages WHERE document = 1)");
        sql(dir.path(), &which);
        assert!(damaged(dir.path()).contains(&StorePart::Contents), "{which}");
        repair(dir.path(), &[StorePart::Contents]).unwrap();
        let store = open(dir.path());
        assert_eq!(store.snapshot().unwrap().counts().embedded, 1);
        store.put_embeddings(&[(of_a, vec![0.6, 0.8, 0.0])]).unwrap();
        store.refresh_vectors().unwrap();
        assert_eq!(store.snapshot().unwrap().counts().embedded, 2);
        drop(store);
        assert_eq!(damaged(dir.path()), []);
    }
}

/// As above, but a run finds the damage, because another document has the same text.
#[test]
fn a_damaged_embedding_is_removed_from_every_passage() {
    let dir = two_documents();
    let store = open(dir.path());
    sql(dir.path(), "UPDATE embeddings SET codes = zeroblob(3)");
    add(&store, "c", "penguins live in the south");
    assert_eq!(store.snapshot().unwrap().counts().embedded, 0);
    for text in ["penguins live in the south", "walruses live in the north"] {
        let hash = ContentHash::of(text.as_bytes());
        store.put_embeddings(&[(hash, vec![0.6, 0.8, 0.0])]).unwrap();
    }
    store.refresh_vectors().unwrap();
    assert_eq!(store.snapshot().unwrap().counts().embedded, 3);
    drop(store);
    assert_eq!(damaged(dir.path()), []);
}

#[test]
fn rows_of_an_older_version_get_checksums_at_the_first_opening() {
    let downgrades = [
        include_str!("../catalog/back_to_3.sql"),
        include_str!("../catalog/back_to_2.sql"),
    ];
    let embeddings = "UPDATE embeddings SET codes = zeroblob(3)";
    for (steps, damage) in [1, 2].into_iter().flat_map(|steps| {
        DAMAGES
            .into_iter()
            .chain([embeddings])
            .map(move |damage| (steps, damage))
    }) {
        let dir = two_documents();
        sql(dir.path(), &downgrades[..steps].concat());
        drop(open(dir.path()));
        assert_eq!(damaged(dir.path()), []);
        let without = |column: &str, table: &str| {
            let catalog = rusqlite::Connection::open(dir.path().join("catalog.sqlite")).unwrap();
            let count = format!("SELECT count(*) FROM {table} WHERE {column} IS NULL");
            catalog.query_row(&count, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        for table in ["documents", "passages", "embeddings"] {
            assert_eq!(without("checksum", table), 0, "{table}");
        }
        assert_eq!(without("place_checksum", "passages"), 0);
        sql(dir.path(), damage);
        assert!(damaged(dir.path()).contains(&StorePart::Contents), "{damage}");
    }
}

/// The upgrade must not give a corrupt row a matching checksum.
#[test]
fn an_upgrade_does_not_hide_damage() {
    let dir = tempfile::tempdir().unwrap();
    add(&open(dir.path()), "a", "penguins live in the south");
    sql(dir.path(), include_str!("../catalog/back_to_3.sql"));
    sql(dir.path(), DAMAGES[0]);
    drop(open(dir.path()));
    assert!(damaged(dir.path()).contains(&StorePart::Contents));
}
