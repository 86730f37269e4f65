//! Checks of a store as it lies on disk. They change nothing; [`discard`] has a derived index made anew.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, params};
use tantivy::TantivyError;
use tantivy::directory::error::OpenReadError;

use crate::catalog::{self, Catalog, SEQ};
use crate::lexical::Lexical;
use crate::publish::GENERATION;
use crate::vectors::{self, read_frames};
use crate::{StoreError, lock};

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not what was written.
    Damaged,
    /// It could not be looked at, so that nothing is known of it.
    Unchecked,
}

/// A part of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorePart {
    /// The database's pages.
    Catalog,
    /// What its rows say of one another.
    Contents,
    /// The lexical index, derived.
    Lexical,
    /// The vectors, derived.
    Vectors,
}

impl StorePart {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            StorePart::Catalog => "catalog",
            StorePart::Contents => "contents",
            StorePart::Lexical => "lexical",
            StorePart::Vectors => "vectors",
        }
    }

    /// Whether it can be made anew from the catalog.
    pub fn is_derived(self) -> bool {
        matches!(self, StorePart::Lexical | StorePart::Vectors)
    }
}

/// One part, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which.
    pub part: StorePart,
    /// What it came to.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
}

/// What a look at a part found: what is right with it, or what is not.
type Found = Result<Result<String, String>, StoreError>;

/// Checks the store in `dir`. Reads all of it.
///
/// # Errors
/// [`StoreError::NoStore`] where there is none, and where its format is another.
pub fn examine(dir: &Path) -> Result<Vec<Check>, StoreError> {
    let catalog = match Catalog::open_read_only(dir) {
        Err(error) if is_damage(&error) => return Ok(vec![judged(StorePart::Catalog, Err(error))]),
        opened => opened?,
    };
    let pages = judged(StorePart::Catalog, pages(&catalog));
    let whole = pages.verdict == Verdict::Ok;
    let mut checks = vec![pages];
    // What a damaged database says of the other parts is worth nothing.
    if whole {
        checks.push(judged(StorePart::Contents, contents(&catalog)));
        checks.push(judged(StorePart::Lexical, lexical(dir, &catalog)));
        checks.push(judged(StorePart::Vectors, stored_vectors(dir, &catalog)));
    }
    Ok(checks)
}

/// Deletes a derived index of the store in `dir`, which the next writer makes anew from the catalog.
///
/// # Errors
/// [`StoreError::LockHeld`] where a process writes the store.
pub fn discard(dir: &Path, part: StorePart) -> Result<(), StoreError> {
    let _held = lock::acquire(dir)?;
    let folder = match part {
        StorePart::Lexical => dir.join("lexical"),
        StorePart::Vectors => dir.join("vectors"),
        StorePart::Catalog | StorePart::Contents => return Ok(()),
    };
    if folder.exists() {
        fs_err::remove_dir_all(folder)?;
    }
    Ok(())
}

fn judged(part: StorePart, found: Found) -> Check {
    let (verdict, detail) = match found {
        Ok(Ok(detail)) => (Verdict::Ok, detail),
        Ok(Err(detail)) => (Verdict::Damaged, detail),
        Err(error) if is_damage(&error) => (Verdict::Damaged, error.to_string()),
        Err(error) => (Verdict::Unchecked, error.to_string()),
    };
    Check {
        part,
        verdict,
        detail,
    }
}

/// Whether an error says that bytes are wrong, and not that they could not be had.
pub(crate) fn is_damage(error: &StoreError) -> bool {
    match error {
        StoreError::Catalog { source, .. } => match source {
            rusqlite::Error::SqliteFailure(failure, _) => {
                matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            }
            rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => true,
            _ => false,
        },
        StoreError::Lexical { source, .. } => match source {
            TantivyError::IoError(error)
            | TantivyError::OpenReadError(OpenReadError::IoError { io_error: error, .. }) => {
                // A file that is cut off is an error of input too, but not one of the system.
                error.raw_os_error().is_none() || error.kind() == io::ErrorKind::NotFound
            }
            TantivyError::LockFailure(..) | TantivyError::SystemError(_) => false,
            _ => true,
        },
        StoreError::Damaged { .. } => true,
        _ => false,
    }
}

fn pages(catalog: &Catalog) -> Found {
    let said: String =
        catalog.read(|connection| connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)))?;
    Ok(match said.as_str() {
        "ok" => Ok("every page reads back".into()),
        _ => Err(said),
    })
}

/// What rows must not be, and how to count those that are.
const WRONG: [(&str, &str); 4] = [
    (
        "texts without their document",
        "SELECT count(*) FROM texts t WHERE NOT EXISTS (SELECT 1 FROM documents d WHERE d.id = t.document)",
    ),
    (
        "passages without their document",
        "SELECT count(*) FROM passages p WHERE NOT EXISTS (SELECT 1 FROM documents d WHERE d.id = p.document)",
    ),
    (
        "documents without their text",
        "SELECT count(*) FROM documents d WHERE d.status = 'completed'
         AND NOT EXISTS (SELECT 1 FROM texts t WHERE t.document = d.id)",
    ),
    (
        "passages without the embedding that they should have",
        "SELECT count(*) FROM passages p WHERE p.vector_seq IS NOT NULL AND NOT EXISTS (
             SELECT 1 FROM embeddings e WHERE e.hash = p.embed_hash
             AND e.model = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'serving_model'))",
    ),
];

fn contents(catalog: &Catalog) -> Found {
    catalog.read(|connection| {
        let mut wrong = Vec::new();
        for (what, count) in WRONG {
            let count: i64 = connection.query_row(count, [], |row| row.get(0))?;
            if count > 0 {
                wrong.push(format!("{count} {what}"));
            }
        }
        let texts = unsliceable(connection)?;
        if texts > 0 {
            wrong.push(format!(
                "{texts} documents whose passages do not slice out of their text"
            ));
        }
        Ok(match wrong.is_empty() {
            true => Ok("documents, passages and embeddings fit together".into()),
            false => Err(wrong.join(", ")),
        })
    })
}

/// Documents with a passage that does not slice out of their text, or whose text is none.
fn unsliceable(connection: &Connection) -> rusqlite::Result<u64> {
    let mut texts = connection.prepare("SELECT document, text FROM texts")?;
    let mut spans = connection.prepare("SELECT start_byte, end_byte FROM passages WHERE document = ?1")?;
    let (mut wrong, mut rows) = (0, texts.query([])?);
    while let Some(row) = rows.next()? {
        let text = row.get_ref(1)?.as_blob().ok();
        let text = text.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let mut within = spans.query(params![row.get::<_, i64>(0)?])?;
        let mut whole = text.is_some();
        while let Some(span) = within.next()? {
            let (start, end): (i64, i64) = (span.get(0)?, span.get(1)?);
            let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
            whole &=
                range.is_some_and(|(start, end)| text.is_some_and(|text| text.get(start..end).is_some()));
        }
        wrong += u64::from(!whole);
    }
    Ok(wrong)
}

fn lexical(dir: &Path, catalog: &Catalog) -> Found {
    let path = dir.join(crate::store::LEXICAL);
    if !path.exists() {
        return Ok(Err("it is missing".into()));
    }
    let index = Lexical::open_existing(&path)?;
    let damaged = index.damaged_files()?;
    if let Some(first) = damaged.first() {
        let count = damaged.len();
        return Ok(Err(format!(
            "{count} files are not what was written, {first} among them"
        )));
    }
    let (applied, passages) = index.extent()?;
    let (seq, expected) = catalog.read(|connection| {
        let entries = catalog::entries(connection, 0, applied)?;
        let passages: u64 = entries.iter().map(|entry| u64::from(entry.passages)).sum();
        Ok((catalog::seq_at(connection, SEQ)?, passages))
    })?;
    Ok(match () {
        () if applied > seq => Err("it is ahead of the catalog".into()),
        () if passages != expected => Err(format!(
            "it has {passages} passages where the catalog has {expected}"
        )),
        () => Ok(format!("{passages} passages, every checksum holds")),
    })
}

fn stored_vectors(dir: &Path, catalog: &Catalog) -> Found {
    let (generation, seq, model) = catalog.read(|connection| {
        let generation = catalog::seq_at(connection, GENERATION)?;
        Ok((
            generation,
            catalog::seq_at(connection, SEQ)?,
            catalog::serving(connection)?,
        ))
    })?;
    let path = vectors::path_of(dir, generation);
    let Some(model) = model.filter(|_| path.exists()) else {
        return Ok(Err("they are missing".into()));
    };
    let (mut written, mut reached) = (HashMap::new(), 0);
    let end = read_frames(&path, model.dimensions, 0, |frame| {
        for (vector, _) in frame.vectors() {
            let codes = crc32fast::hash(bytemuck::cast_slice(vector.codes));
            written.insert(vector.passage, (vector.scale.to_bits(), codes));
        }
        reached = frame.seq.unwrap_or(reached);
    })?;
    let length = fs_err::metadata(&path)?.len();
    match end {
        None => return Ok(Err("their file has another header".into())),
        // A writer may be in the middle of a commit.
        Some(end) if end < length && !lock::is_held(dir) => {
            return Ok(Err(format!("no whole commit after byte {end} of {length}")));
        }
        Some(_) => {}
    }
    if reached > seq {
        return Ok(Err("they are ahead of the catalog".into()));
    }
    let mut differing = HashSet::new();
    catalog.read(|connection| {
        catalog::vectors(connection, 0, reached, |row| {
            let kept = (row.scale.to_bits(), crc32fast::hash(&row.codes));
            if written.get(&row.passage) != Some(&kept) {
                differing.insert(row.passage);
            }
        })
    })?;
    Ok(match differing.len() {
        0 => Ok(format!("{} vectors, as the catalog has them", written.len())),
        count => Err(format!("{count} vectors are not those of the catalog")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ChangeBatch, ContentHash, FileStat, ItemStatus, Metadata, ModelIdentity, NewDocument, NewPassage,
        Span, Store, StoreOptions,
    };

    fn open(dir: &Path) -> Store {
        let model = ModelIdentity {
            id: "m".into(),
            version: "v".into(),
            dimensions: 3,
            ..ModelIdentity::default()
        };
        let options = StoreOptions {
            model,
            sources: Vec::new(),
        };
        Store::open(dir, options).unwrap()
    }

    fn add(store: &Store, key: &str, text: &str) {
        let hash = ContentHash::of(text.as_bytes());
        let span = Span {
            start_byte: 0,
            end_byte: text.len(),
            start_line: 1,
            end_line: 1,
            page: None,
        };
        let document = NewDocument {
            key: key.into(),
            stat: FileStat {
                size: 1,
                modified_ns: 0,
                inode: 0,
            },
            source_hash: hash,
            status: ItemStatus::Completed,
            reason: None,
            kind: "text".into(),
            language: None,
            title: None,
            metadata: Metadata::new(),
            text: text.into(),
            passages: vec![NewPassage {
                span,
                heading_path: Vec::new(),
                embed_hash: hash,
            }],
        };
        let batch = ChangeBatch {
            upserts: vec![document],
            ..ChangeBatch::default()
        };
        store.apply(&batch).unwrap();
        store.put_embeddings(&[(hash, vec![0.6, 0.8, 0.0])]).unwrap();
        store.finish_run(1).unwrap();
    }

    /// Parts that are not as they should be.
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
                // Names of what is not part of a commit.
                !name.starts_with('.') && fs_err::metadata(path).unwrap().len() > 0
            };
            let folder = dir.path().join(part.as_str());
            for path in files(&folder).into_iter().filter(holds_data) {
                let whole = fs_err::read(&path).unwrap();
                let mut flipped = whole.clone();
                // The footers of tantivy, which may be longer than what is before them, are not under their own checksum.
                let at = match part {
                    StorePart::Lexical => 0,
                    _ => whole.len() / 2,
                };
                flipped[at] ^= 1;
                // The file of the schema and the commit is JSON without a checksum, where not every bit says something.
                if path.extension().is_some_and(|ending| ending == "json") {
                    continue;
                }
                fs_err::write(&path, &flipped).unwrap();
                assert_eq!(damaged(dir.path()), [part], "{}", path.display());
                fs_err::write(&path, &whole).unwrap();
            }
            assert_eq!(damaged(dir.path()), []);
            discard(dir.path(), part).unwrap();
            assert_eq!(damaged(dir.path()), [part]);
            drop(open(dir.path()));
            assert_eq!(damaged(dir.path()), []);
        }
    }

    #[test]
    fn a_damaged_catalog_is_told_from_one_that_is_missing() {
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
    fn vectors_ahead_of_a_catalog_that_was_put_back_are_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.sqlite");
        add(&open(dir.path()), "a", "one");
        let older = fs_err::read(&path).unwrap();
        add(&open(dir.path()), "b", "two");
        fs_err::write(&path, older).unwrap();
        assert_eq!(damaged(dir.path()), [StorePart::Lexical, StorePart::Vectors]);
        let store = open(dir.path());
        assert_eq!(damaged(dir.path()), []);
        // Its passage has the number that the lost one had, and must have a vector of its own.
        add(&store, "c", "three");
        assert_eq!(store.snapshot().unwrap().counts().embedded, 2);
        drop(store);
        assert_eq!(damaged(dir.path()), []);
    }
}
