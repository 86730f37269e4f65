//! Upgrading the tables of older formats.

use rusqlite::Connection;

use super::schema::{EMBEDDINGS, FORMAT, JOBS};
use super::{backfill, meta};
use crate::ModelIdentity;

/// Format 1 had embeddings of one model only, and kept the model in `meta`.
const FROM_1: &str = "
INSERT INTO models (number, identity) SELECT 1, value FROM meta WHERE key = 'model';
INSERT OR REPLACE INTO meta SELECT 'serving_model', '1' FROM meta WHERE key = 'model';
INSERT INTO embeddings SELECT hash, 1, scale, codes, NULL FROM embeddings_of_one_model;
DROP TABLE embeddings_of_one_model;
DELETE FROM meta WHERE key = 'model';
";

/// Format 2 had no jobs, no checksums and no counts of failed attempts.
const FROM_2: &str = "
ALTER TABLE passages ADD COLUMN checksum INTEGER;
ALTER TABLE documents ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE documents ADD COLUMN retry_at INTEGER;
";

/// Format 3 had checksums of texts and embeddings only.
const FROM_3: &str = "
ALTER TABLE documents ADD COLUMN checksum INTEGER;
ALTER TABLE passages ADD COLUMN place_checksum INTEGER;
";

/// The model of a catalog of format 1.
pub(super) fn read_model_of_format_1(connection: &Connection) -> rusqlite::Result<Option<ModelIdentity>> {
    let model = meta(connection, "model")?;
    Ok(model.and_then(|json| serde_json::from_str(&json).ok()))
}

/// Upgrades a catalog of the older format `found`, in one transaction.
pub(super) fn upgrade(connection: &mut Connection, found: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    match found {
        1 => {
            transaction.execute_batch("ALTER TABLE embeddings RENAME TO embeddings_of_one_model")?;
            transaction.execute_batch(EMBEDDINGS)?;
            transaction.execute_batch(FROM_1)?;
        }
        2 => transaction.execute_batch("ALTER TABLE embeddings ADD COLUMN checksum INTEGER")?,
        _ => {}
    }
    if found <= 2 {
        transaction.execute_batch(FROM_2)?;
        transaction.execute_batch(JOBS)?;
    }
    transaction.execute_batch(FROM_3)?;
    backfill::mark_incomplete(&transaction)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Catalog, serving_model};
    use super::*;

    /// Downgrades the catalog of `dir` to format 2.
    fn back_to_2(dir: &Path) -> Connection {
        let catalog = Connection::open(dir.join("catalog.sqlite")).unwrap();
        for back in [include_str!("back_to_3.sql"), include_str!("back_to_2.sql")] {
            catalog.execute_batch(back).unwrap();
        }
        catalog
    }

    #[test]
    fn a_catalog_of_format_1_keeps_its_embeddings() {
        let dir = tempfile::tempdir().unwrap();
        drop(Catalog::open(dir.path()).unwrap());
        back_to_2(dir.path())
            .execute_batch(
                "DROP TABLE embeddings;
                 DROP TABLE models;
                 CREATE TABLE embeddings (hash BLOB PRIMARY KEY, scale REAL NOT NULL, codes BLOB NOT NULL) STRICT, WITHOUT ROWID;
                 INSERT INTO meta VALUES ('model', '{\"id\":\"m\",\"version\":\"v\",\"dimensions\":3}'), ('seq', '7');
                 INSERT INTO embeddings VALUES (x'01', 0.5, x'020304');
                 PRAGMA user_version = 1;",
            )
            .unwrap();
        assert_eq!(Catalog::read_model(dir.path()).unwrap().unwrap().id, "m");
        let catalog = Catalog::open(dir.path()).unwrap();
        let (model, kept) = catalog
            .read(|connection| {
                let kept: (i64, f64, Vec<u8>) =
                    connection.query_row("SELECT model, scale, codes FROM embeddings", [], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                    })?;
                assert_eq!(meta(connection, "model")?, None);
                Ok((serving_model(connection)?.unwrap(), kept))
            })
            .unwrap();
        assert_eq!(
            (model.id.as_str(), model.version.as_str(), model.dimensions),
            ("m", "v", 3)
        );
        assert_eq!(kept, (1, 0.5, vec![2, 3, 4]));
    }

    #[test]
    fn a_catalog_of_format_2_keeps_its_documents_and_gets_job_tables() {
        let dir = tempfile::tempdir().unwrap();
        drop(Catalog::open(dir.path()).unwrap());
        back_to_2(dir.path()).execute_batch(
            "INSERT INTO documents VALUES (4, 'a.md', 1, 2, 3, x'00', 'error', 'why', 'text', NULL, NULL, '{}', 0, 1, NULL, NULL);",
        )
        .unwrap();
        assert_eq!(Catalog::read_model(dir.path()).unwrap(), None);
        let catalog = Catalog::open(dir.path()).unwrap();
        let (attempts, jobs): (i64, i64) = catalog
            .read(|connection| {
                let attempts =
                    connection.query_row("SELECT attempts FROM documents WHERE key = 'a.md'", [], |row| {
                        row.get(0)
                    })?;
                let jobs =
                    connection.query_row("SELECT count(*) FROM jobs JOIN job_items", [], |row| row.get(0))?;
                Ok((attempts, jobs))
            })
            .unwrap();
        assert_eq!((attempts, jobs), (0, 0));
        assert_eq!(catalog.read(super::super::format).unwrap(), FORMAT);
    }
}
