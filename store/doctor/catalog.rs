//! Checks of the catalog: its pages, its checksums, and what its rows say of one another.

use rusqlite::{Connection, params};

use super::Found;
use crate::catalog::{self, Catalog, PASSAGE, holds, intact_part, of_codes};
use crate::publish::new_generation;
use crate::{ContentHash, DocumentId, StoreError};

pub(super) fn pages(catalog: &Catalog) -> Found {
    Ok(match catalog.read(catalog::complaint)? {
        None => Ok("every page and every document reads back".into()),
        Some(said) => Err(said),
    })
}

/// What rows must not be.
struct Wrong {
    what: &'static str,
    table: &'static str,
    /// Which rows of it are so.
    which: &'static str,
    /// What mends those.
    remedy: &'static str,
}

const WRONG: [Wrong; 4] = [
    Wrong {
        what: "texts without their document",
        table: "texts",
        which: "NOT EXISTS (SELECT 1 FROM documents d WHERE d.id = document)",
        remedy: "DELETE FROM texts",
    },
    Wrong {
        what: "passages without their document",
        table: "passages",
        which: "NOT EXISTS (SELECT 1 FROM documents d WHERE d.id = document)",
        remedy: "DELETE FROM passages",
    },
    Wrong {
        what: "documents without their text",
        table: "documents",
        which: "status = 'completed' AND NOT EXISTS (SELECT 1 FROM texts t WHERE t.document = id)",
        remedy: "UPDATE documents SET size = -1, source_hash = zeroblob(32)",
    },
    Wrong {
        what: "passages without the embedding that they should have",
        table: "passages",
        which: "vector_seq IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM embeddings e WHERE e.hash = embed_hash
                    AND e.model = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'serving_model'))",
        remedy: "UPDATE passages SET vector_seq = NULL",
    },
];

pub(super) fn contents(catalog: &Catalog) -> Found {
    catalog.read(|connection| {
        let mut wrong = Vec::new();
        for Wrong {
            what, table, which, ..
        } in WRONG
        {
            let count = format!("SELECT count(*) FROM {table} WHERE {which}");
            let count: i64 = connection.query_row(&count, [], |row| row.get(0))?;
            if count > 0 {
                wrong.push(format!("{count} {what}"));
            }
        }
        let documents = catalog::damaged_documents(connection)?.len();
        if documents > 0 {
            wrong.push(format!(
                "{documents} documents of which something is not what was written"
            ));
        }
        let texts = damaged_texts(connection)?.len();
        if texts > 0 {
            wrong.push(format!(
                "{texts} documents with a passage that is not what was written"
            ));
        }
        let embeddings = damaged_embeddings(connection)?.len();
        if embeddings > 0 {
            wrong.push(format!("{embeddings} embeddings that are not what was written"));
        }
        let (jobs, items) = catalog::damaged_jobs(connection)?;
        let entries = jobs.len() + items.len();
        if entries > 0 {
            wrong.push(format!(
                "{entries} entries of the log of jobs that do not read back"
            ));
        }
        Ok(match wrong.is_empty() {
            true => Ok("documents, texts and embeddings are what was written, and fit together".into()),
            false => Err(wrong.join(", ")),
        })
    })
}

/// Takes out what is damaged, so that the next run puts it in again.
pub(super) fn repair(catalog: &Catalog) -> Result<(), StoreError> {
    catalog.write(|transaction| {
        for damaged in [
            catalog::damaged_documents(transaction)?,
            damaged_texts(transaction)?,
        ] {
            catalog::doubt_documents(transaction, &damaged)?;
        }
        let embeddings = damaged_embeddings(transaction)?;
        catalog::forget_embeddings(transaction, &embeddings)?;
        for Wrong { which, remedy, .. } in WRONG {
            transaction.execute(&format!("{remedy} WHERE {which}"), [])?;
        }
        catalog::forget_damaged_jobs(transaction)?;
        // Of passages that wait for their embeddings now there may be vectors, which would be searched beside their next ones.
        new_generation(transaction).map(drop)
    })
}

/// Live documents with a passage that does not slice out of their text, or that is not what its checksums are of.
fn damaged_texts(connection: &Connection) -> rusqlite::Result<Vec<DocumentId>> {
    let mut texts = connection.prepare(
        "SELECT t.document, t.text FROM texts t JOIN documents d ON d.id = t.document
         WHERE d.retired_seq IS NULL AND d.size >= 0",
    )?;
    let mut passages =
        connection.prepare(&format!("SELECT {PASSAGE} FROM passages p WHERE p.document = ?1"))?;
    let (mut damaged, mut rows) = (Vec::new(), texts.query([])?);
    while let Some(row) = rows.next()? {
        let document: u32 = row.get(0)?;
        let text = row.get_ref(1)?.as_blob().ok();
        let text = text.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let mut within = passages.query(params![document])?;
        let mut whole = text.is_some();
        while let (Some(passage), Some(text)) = (within.next()?, text) {
            whole &= intact_part(passage, text)?.is_some();
        }
        if !whole {
            damaged.push(DocumentId(document));
        }
    }
    Ok(damaged)
}

fn damaged_embeddings(connection: &Connection) -> rusqlite::Result<Vec<ContentHash>> {
    let mut statement = connection.prepare("SELECT hash, scale, codes, checksum FROM embeddings")?;
    let (mut damaged, mut rows) = (Vec::new(), statement.query([])?);
    while let Some(row) = rows.next()? {
        let scale: f64 = row.get(1)?;
        let codes = row.get_ref(2)?.as_blob().unwrap_or_default();
        if !holds(row.get(3)?, of_codes(scale as f32, codes)) {
            damaged.push(ContentHash(row.get(0)?));
        }
    }
    Ok(damaged)
}
