//! Checks of the catalog: database pages, checksums, and references between rows.

use rusqlite::{Connection, params};

use super::Finding;
use crate::catalog::{self, Catalog, PASSAGE_COLUMNS, embedding_checksum, is_checksum_valid, verified_text};
use crate::publish::increment_generation;
use crate::{ContentHash, DocumentId, StoreError};

pub(super) fn database(catalog: &Catalog) -> Finding {
    Ok(match catalog.read(catalog::find_damage)? {
        None => Ok("all pages and documents are readable".into()),
        Some(damage) => Err(damage),
    })
}

/// A condition that no row may meet.
struct Inconsistency {
    /// Description of the rows, in the plural, for messages.
    what: &'static str,
    table: &'static str,
    /// SQL condition of such rows.
    condition: &'static str,
    /// SQL statement that repairs the rows with the condition.
    remedy: &'static str,
}

const INCONSISTENCIES: [Inconsistency; 4] = [
    Inconsistency {
        what: "texts without a document",
        table: "texts",
        condition: "NOT EXISTS (SELECT 1 FROM documents d WHERE d.id = document)",
        remedy: "DELETE FROM texts",
    },
    Inconsistency {
        what: "passages without a document",
        table: "passages",
        condition: "NOT EXISTS (SELECT 1 FROM documents d WHERE d.id = document)",
        remedy: "DELETE FROM passages",
    },
    Inconsistency {
        what: "documents without a text",
        table: "documents",
        condition: "status = 'completed' AND NOT EXISTS (SELECT 1 FROM texts t WHERE t.document = id)",
        remedy: "UPDATE documents SET size = -1, source_hash = zeroblob(32)",
    },
    Inconsistency {
        what: "passages without their embedding",
        table: "passages",
        condition: "vector_seq IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM embeddings e WHERE e.hash = embed_hash
                    AND e.model = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'serving_model'))",
        remedy: "UPDATE passages SET vector_seq = NULL",
    },
];

pub(super) fn contents(catalog: &Catalog) -> Finding {
    catalog.read(|connection| {
        let mut findings = Vec::new();
        for Inconsistency {
            what,
            table,
            condition,
            ..
        } in INCONSISTENCIES
        {
            let count = format!("SELECT count(*) FROM {table} WHERE {condition}");
            let count: i64 = connection.query_row(&count, [], |row| row.get(0))?;
            if count > 0 {
                findings.push(format!("{count} {what}"));
            }
        }
        let documents = catalog::damaged_documents(connection)?.len();
        if documents > 0 {
            findings.push(format!("{documents} corrupt document rows"));
        }
        let texts = damaged_texts(connection)?.len();
        if texts > 0 {
            findings.push(format!("{texts} documents with a corrupt passage"));
        }
        let embeddings = damaged_embeddings(connection)?.len();
        if embeddings > 0 {
            findings.push(format!("{embeddings} corrupt embeddings"));
        }
        let (jobs, items) = catalog::corrupt_jobs(connection)?;
        let entries = jobs.len() + items.len();
        if entries > 0 {
            findings.push(format!("{entries} corrupt entries of the job log"));
        }
        Ok(if findings.is_empty() {
            Ok("documents, texts and embeddings match their checksums".into())
        } else {
            Err(findings.join(", "))
        })
    })
}

/// Removes or marks damaged rows. The next run replaces them.
pub(super) fn repair(catalog: &Catalog) -> Result<(), StoreError> {
    catalog.write(|transaction| {
        for damaged in [
            catalog::damaged_documents(transaction)?,
            damaged_texts(transaction)?,
        ] {
            catalog::mark_for_rereading(transaction, &damaged)?;
        }
        let embeddings = damaged_embeddings(transaction)?;
        catalog::delete_embeddings(transaction, &embeddings)?;
        for Inconsistency {
            condition, remedy, ..
        } in INCONSISTENCIES
        {
            transaction.execute(&format!("{remedy} WHERE {condition}"), [])?;
        }
        catalog::delete_corrupt_jobs(transaction)?;
        // The vector file may contain the deleted embeddings. Without a new file, their passages would have two vectors each once
        // they are re-embedded.
        increment_generation(transaction).map(drop)
    })
}

/// Live documents that have a damaged passage: its span is outside the text, or its checksums do not match.
fn damaged_texts(connection: &Connection) -> rusqlite::Result<Vec<DocumentId>> {
    let mut texts = connection.prepare(
        "SELECT t.document, t.text FROM texts t JOIN documents d ON d.id = t.document
         WHERE d.retired_seq IS NULL AND d.size >= 0",
    )?;
    let mut passages = connection.prepare(&format!(
        "SELECT {PASSAGE_COLUMNS} FROM passages p WHERE p.document = ?1"
    ))?;
    let (mut damaged, mut rows) = (Vec::new(), texts.query([])?);
    while let Some(row) = rows.next()? {
        let document: u32 = row.get(0)?;
        let text = row.get_ref(1)?.as_blob().ok();
        let text = text.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let mut passages = passages.query(params![document])?;
        let mut is_intact = text.is_some();
        while let (Some(passage), Some(text)) = (passages.next()?, text) {
            is_intact &= verified_text(passage, text)?.is_some();
        }
        if !is_intact {
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
        if !is_checksum_valid(row.get(3)?, embedding_checksum(scale as f32, codes)) {
            damaged.push(ContentHash(row.get(0)?));
        }
    }
    Ok(damaged)
}
