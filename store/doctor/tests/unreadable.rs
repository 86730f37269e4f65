//! Damage that SQLite does not detect, but that makes the catalog unreadable.

use super::{damaged, sql, two_documents};
use crate::doctor::{StorePart, repair};
use crate::fixture::{add, open, put};
use crate::{JobCause, JobId};

/// SQLite's integrity check passes with each of these, but opening the store fails.
#[test]
fn an_unreadable_catalog_is_replaced_and_its_embeddings_are_kept() {
    let schema = |from: &str, to: &str| {
        format!(
            "PRAGMA writable_schema = on; UPDATE sqlite_schema SET sql = replace(sql, '{from}', '{to}') WHERE type = 'table'"
        )
    };
    for (damage, kept) in [
        (schema("heading_path", "heading_pati"), true),
        (schema("codes", "coeds"), true),
        (schema("key TEXT PRIMARY", "kez TEXT PRIMARY"), true),
        (
            "INSERT INTO meta VALUES ('recipe', CAST(x'80' AS TEXT))".into(),
            true,
        ),
        ("UPDATE models SET identity = 'q'".into(), false),
        ("UPDATE models SET identity = CAST(x'80' AS TEXT)".into(), false),
    ] {
        let dir = two_documents();
        sql(dir.path(), &damage);
        assert_eq!(damaged(dir.path()), [StorePart::Catalog], "{damage}");
        repair(dir.path(), &[StorePart::Catalog]).unwrap();
        let store = open(dir.path());
        for (key, text) in [
            ("a", "penguins live in the south"),
            ("b", "walruses live in the north"),
        ] {
            put(&store, key, text);
        }
        store.finish_run(2).unwrap();
        let embedded = store.snapshot().unwrap().counts().embedded;
        assert_eq!(embedded, if kept { 2 } else { 0 }, "{damage}");
        drop(store);
        assert_eq!(damaged(dir.path()), [], "{damage}");
    }
}

#[test]
fn a_lost_sequence_number_is_restored_from_the_rows() {
    for value in ["0", "1", "x", ""] {
        let dir = two_documents();
        sql(
            dir.path(),
            &format!("UPDATE meta SET value = '{value}' WHERE key = 'seq'"),
        );
        let store = open(dir.path());
        assert_eq!(store.snapshot().unwrap().counts().embedded, 2, "{value}");
        add(&store, "c", "gulls live on the shore");
        let counts = store.snapshot().unwrap().counts();
        assert_eq!((counts.documents, counts.embedded), (3, 3), "{value}");
        drop(store);
        assert_eq!(damaged(dir.path()), [], "{value}");
    }
}

#[test]
fn repair_deletes_only_the_corrupt_entries_of_the_job_log() {
    for damage in [
        "UPDATE jobs SET state = 'donf' WHERE id = 1",
        "UPDATE jobs SET description = CAST(x'80' AS TEXT) WHERE id = 1",
        "INSERT INTO job_items VALUES (1, 1, 0, 'a', 'addec', NULL, 0, 0)",
        "INSERT INTO job_items VALUES (1, 1, 0, CAST(x'80' AS TEXT), 'added', NULL, 0, 0)",
    ] {
        let dir = two_documents();
        let store = open(dir.path());
        store.begin_job(JobCause::Command, None).unwrap();
        let other = store.begin_job(JobCause::Command, None).unwrap();
        drop(store);
        sql(dir.path(), damage);
        assert_eq!(damaged(dir.path()), [StorePart::Contents], "{damage}");
        repair(dir.path(), &[StorePart::Contents]).unwrap();
        let store = open(dir.path());
        let jobs = store.jobs(None, 10).unwrap();
        assert!(jobs.iter().any(|job| job.id == other), "{damage}");
        assert!(
            store.job_items(JobId(1), None, 10).unwrap().is_empty(),
            "{damage}"
        );
        assert_eq!(damaged(dir.path()), [], "{damage}");
    }
}
