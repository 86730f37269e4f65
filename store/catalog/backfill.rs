//! Adding checksums to rows of older versions, which wrote none. This happens when the catalog is first opened for writing. Earlier
//! damage cannot be detected.

use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::checksum::{embedding_checksum, text_checksum};
use super::{document_rows, meta, passage_rows, set_meta};

/// Key in the table `meta`, present only once every row has a checksum.
const COMPLETE: &str = "checksums";
/// Texts per transaction: bytes, …
const BATCH_BYTES: usize = 8 << 20;
/// … or documents.
const BATCH_DOCUMENTS: usize = 4096;
/// Embeddings per transaction.
const BATCH_EMBEDDINGS: usize = 4096;
/// Interval between progress log lines.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Records that every row has a checksum. A new catalog has no rows and is complete, too.
pub(super) fn mark_complete(connection: &Connection) -> rusqlite::Result<()> {
    set_meta(connection, COMPLETE, "all")
}

/// Records that some rows have no checksum.
pub(super) fn mark_incomplete(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute("DELETE FROM meta WHERE key = ?1", [COMPLETE])
        .map(drop)
}

/// Adds the missing checksums. Each batch is a transaction, so a process that was killed resumes where it stopped.
pub(super) fn backfill(connection: &mut Connection) -> rusqlite::Result<()> {
    if meta(connection, COMPLETE)?.is_some() {
        return Ok(());
    }
    let count = |table: &str| -> rusqlite::Result<u64> {
        let count = format!("SELECT count(*) FROM {table}");
        connection.query_row(&count, [], |row| row.get::<_, i64>(0).map(|count| count as u64))
    };
    let mut progress = BackfillProgress {
        logged: Instant::now(),
        total: count("documents")? + count("texts")? + count("embeddings")?,
        done: 0,
    };
    let mut after = -1;
    while let Some((document, filled)) = batch(connection, |transaction| fill_documents(transaction, after))?
    {
        after = document;
        progress.add(filled);
    }
    let mut after = -1;
    while let Some((document, filled)) = batch(connection, |transaction| fill_texts(transaction, after))? {
        after = document;
        progress.add(filled);
    }
    let mut after = (Vec::new(), -1);
    while let Some((embedding, filled)) =
        batch(connection, |transaction| fill_embeddings(transaction, &after))?
    {
        after = embedding;
        progress.add(filled);
    }
    mark_complete(connection)
}

/// Number of rows done. Logged every [`LOG_EVERY`].
struct BackfillProgress {
    logged: Instant,
    total: u64,
    done: u64,
}

impl BackfillProgress {
    fn add(&mut self, filled: usize) {
        self.done += filled as u64;
        if self.logged.elapsed() >= LOG_EVERY {
            tracing::info!(
                "adding checksums to an index of an older version: {} of {} documents, texts and embeddings",
                self.done,
                self.total
            );
            self.logged = Instant::now();
        }
    }
}

fn batch<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let result = work(&transaction)?;
    transaction.commit()?;
    Ok(result)
}

/// Fills in checksums of the next documents with numbers above `after`. Returns the last number and the count,
/// or `None` at the end.
fn fill_documents(connection: &Connection, after: i64) -> rusqlite::Result<Option<(i64, usize)>> {
    let mut documents = connection.prepare_cached(&format!(
        "SELECT {} FROM documents WHERE id > ?1 AND checksum IS NULL ORDER BY id LIMIT ?2",
        document_rows::COLUMNS
    ))?;
    let mut fill = connection.prepare_cached("UPDATE documents SET checksum = ?2 WHERE id = ?1")?;
    let checksums = documents.query_map(params![after, BATCH_DOCUMENTS as i64], |row| {
        Ok((row.get(0)?, document_rows::checksum(row)?))
    })?;
    let checksums: Vec<(i64, i64)> = checksums.collect::<Result<_, _>>()?;
    for (id, checksum) in &checksums {
        fill.execute(params![id, checksum])?;
    }
    Ok(checksums.last().map(|(id, _)| (*id, checksums.len())))
}

/// [`fill_documents`] for texts: fills in both checksums of their passages.
fn fill_texts(connection: &Connection, after: i64) -> rusqlite::Result<Option<(i64, usize)>> {
    let mut texts = connection
        .prepare_cached("SELECT document, text FROM texts WHERE document > ?1 ORDER BY document")?;
    let mut passages = connection.prepare_cached(&format!(
        "SELECT {} FROM passages p WHERE p.document = ?1 AND (p.checksum IS NULL OR p.place_checksum IS NULL)",
        passage_rows::COLUMNS
    ))?;
    let mut fill = connection.prepare_cached(
        "UPDATE passages SET checksum = coalesce(checksum, ?2), place_checksum = coalesce(place_checksum, ?3)
         WHERE id = ?1",
    )?;
    let (mut last, mut count, mut bytes) = (after, 0, 0);
    let mut rows = texts.query([after])?;
    while let Some(row) = rows.next()? {
        last = row.get(0)?;
        count += 1;
        let text = row.get_ref(1)?.as_blob().unwrap_or_default();
        bytes += text.len();
        let checksums = passages.query_map([last], |row| {
            let span = passage_rows::span(row)?;
            let slice = text.get(span.start_byte..span.end_byte);
            // A span outside the text is damage, and is detected without a checksum.
            let slice = slice.and_then(|slice| std::str::from_utf8(slice).ok());
            Ok((
                row.get(0)?,
                slice.map(text_checksum),
                passage_rows::place_checksum(row)?,
            ))
        })?;
        let checksums: Vec<(i64, Option<i64>, i64)> = checksums.collect::<Result<_, _>>()?;
        for (id, text, place) in checksums {
            fill.execute(params![id, text, place])?;
        }
        if bytes >= BATCH_BYTES || count >= BATCH_DOCUMENTS {
            break;
        }
    }
    Ok((count > 0).then_some((last, count)))
}

/// Primary key of an embedding: hash of the model's input, and number of the model.
type EmbeddingKey = (Vec<u8>, i64);

/// [`fill_documents`] for embeddings.
fn fill_embeddings(
    connection: &Connection,
    after: &EmbeddingKey,
) -> rusqlite::Result<Option<(EmbeddingKey, usize)>> {
    let mut embeddings = connection.prepare_cached(
        "SELECT hash, model, scale, codes FROM embeddings WHERE checksum IS NULL AND (hash, model) > (?1, ?2)
         ORDER BY hash, model LIMIT ?3",
    )?;
    let mut fill =
        connection.prepare_cached("UPDATE embeddings SET checksum = ?3 WHERE hash = ?1 AND model = ?2")?;
    let checksums = embeddings.query_map(params![after.0, after.1, BATCH_EMBEDDINGS as i64], |row| {
        let codes = row.get_ref(3)?.as_blob()?;
        let scale: f64 = row.get(2)?;
        Ok((
            (row.get(0)?, row.get(1)?),
            embedding_checksum(scale as f32, codes),
        ))
    })?;
    let checksums: Vec<(EmbeddingKey, i64)> = checksums.collect::<Result<_, _>>()?;
    for ((hash, model), checksum) in &checksums {
        fill.execute(params![hash, model, checksum])?;
    }
    let count = checksums.len();
    Ok(checksums.into_iter().last().map(|(key, _)| (key, count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::schema;

    #[test]
    fn rows_of_several_batches_get_checksums() {
        let mut catalog = Connection::open_in_memory().unwrap();
        schema::create(&mut catalog).unwrap();
        let fill_with = "
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)
            INSERT INTO texts SELECT i, CAST('text ' || i AS BLOB) FROM n;
            INSERT INTO passages (document, ordinal, start_byte, end_byte, start_line, end_line, heading_path, embed_hash)
            SELECT document, 0, 0, length(text), 1, 1, '[]', CAST(document AS BLOB) FROM texts;
            INSERT INTO documents (id, key, size, modified_ns, inode, source_hash, status, kind, metadata, passages, added_seq)
            SELECT document, 'd' || document, 1, 1, 1, zeroblob(32), 'completed', 'text', '{}', 1, 1 FROM texts;
            INSERT INTO embeddings SELECT CAST(document AS BLOB), 1 + document % 2, 0.5, text, NULL FROM texts;
            DELETE FROM meta;";
        catalog.execute_batch(fill_with).unwrap();
        backfill(&mut catalog).unwrap();
        for (table, sample) in [
            ("passages", text_checksum("text 9000")),
            ("embeddings", embedding_checksum(0.5, b"text 9000")),
        ] {
            let count = |which: &str| -> i64 {
                let count = format!("SELECT count(*) FROM {table} WHERE checksum {which}");
                catalog.query_row(&count, [], |row| row.get(0)).unwrap()
            };
            assert_eq!(count("IS NULL"), 0, "{table}");
            assert_eq!(count(&format!("= {sample}")), 1, "{table}");
        }
        assert!(meta(&catalog, COMPLETE).unwrap().is_some());
    }
}
