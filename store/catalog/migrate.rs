//! Bringing the tables of an older version up to this one.

use rusqlite::Connection;

use super::schema::{EMBEDDINGS, FORMAT};

/// Version 1 had the embeddings of one model only, and kept that model in `meta`.
const FROM_1: &str = "
INSERT INTO models (number, identity) SELECT 1, value FROM meta WHERE key = 'model';
INSERT OR REPLACE INTO meta SELECT 'serving_model', '1' FROM meta WHERE key = 'model';
INSERT INTO embeddings SELECT hash, 1, scale, codes FROM embeddings_of_one_model;
DROP TABLE embeddings_of_one_model;
DELETE FROM meta WHERE key = 'model';
";

/// All of it or nothing.
pub(super) fn from(connection: &mut Connection, found: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    if found == 1 {
        transaction.execute_batch("ALTER TABLE embeddings RENAME TO embeddings_of_one_model")?;
        transaction.execute_batch(EMBEDDINGS)?;
        transaction.execute_batch(FROM_1)?;
    }
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::super::{Catalog, meta, serving};
    use super::*;

    #[test]
    fn a_catalog_of_version_1_keeps_its_embeddings() {
        let dir = tempfile::tempdir().unwrap();
        let old = Connection::open(dir.path().join("catalog.sqlite")).unwrap();
        old.execute_batch(
            "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
             CREATE TABLE embeddings (hash BLOB PRIMARY KEY, scale REAL NOT NULL, codes BLOB NOT NULL) STRICT, WITHOUT ROWID;
             INSERT INTO meta VALUES ('model', '{\"id\":\"m\",\"version\":\"v\",\"dimensions\":3}'), ('seq', '7');
             INSERT INTO embeddings VALUES (x'01', 0.5, x'020304');
             PRAGMA user_version = 1;",
        )
        .unwrap();
        drop(old);
        let catalog = Catalog::open(dir.path()).unwrap();
        let (model, kept) = catalog
            .read(|connection| {
                let kept: (i64, f64, Vec<u8>) =
                    connection.query_row("SELECT model, scale, codes FROM embeddings", [], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                    })?;
                assert_eq!(meta(connection, "model")?, None);
                Ok((serving(connection)?.unwrap(), kept))
            })
            .unwrap();
        assert_eq!(
            (model.id.as_str(), model.version.as_str(), model.dimensions),
            ("m", "v", 3)
        );
        assert_eq!(kept, (1, 0.5, vec![2, 3, 4]));
    }
}
