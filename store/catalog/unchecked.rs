//! Rows that older versions wrote without a checksum get theirs when the catalog is first opened for writing, so that damage that
//! comes after is seen. What they are by then is believed.

use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::checksum::{of_codes, of_text};
use super::{documents, meta, passages, set_meta};

/// Key of `meta` that says that no row is without.
const CHECKED: &str = "checksums";
/// Texts in a transaction, bytes, or as many documents, …
const BATCH_BYTES: usize = 8 << 20;
const BATCH_DOCUMENTS: usize = 4096;
/// … and embeddings.
const BATCH_EMBEDDINGS: usize = 4096;
/// How often it is told how far it is.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Says that all rows have one, as those of a new catalog will.
pub(super) fn none_left(connection: &Connection) -> rusqlite::Result<()> {
    set_meta(connection, CHECKED, "all")
}

/// Says that there are rows without.
pub(super) fn some_left(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute("DELETE FROM meta WHERE key = ?1", [CHECKED])
        .map(drop)
}

/// Fills in what is missing. Each batch is kept by itself: after a kill only the rest is left.
pub(super) fn fill(connection: &mut Connection) -> rusqlite::Result<()> {
    if meta(connection, CHECKED)?.is_some() {
        return Ok(());
    }
    let count = |table: &str| -> rusqlite::Result<u64> {
        let count = format!("SELECT count(*) FROM {table}");
        connection.query_row(&count, [], |row| row.get::<_, i64>(0).map(|count| count as u64))
    };
    let mut told = Told {
        last: Instant::now(),
        total: count("documents")? + count("texts")? + count("embeddings")?,
        done: 0,
    };
    let mut after = -1;
    while let Some((document, filled)) = batch(connection, |transaction| fill_documents(transaction, after))?
    {
        after = document;
        told.of(filled);
    }
    let mut after = -1;
    while let Some((document, filled)) = batch(connection, |transaction| fill_texts(transaction, after))? {
        after = document;
        told.of(filled);
    }
    let mut after = (Vec::new(), -1);
    while let Some((embedding, filled)) =
        batch(connection, |transaction| fill_embeddings(transaction, &after))?
    {
        after = embedding;
        told.of(filled);
    }
    none_left(connection)
}

/// How far it is.
struct Told {
    last: Instant,
    total: u64,
    done: u64,
}

impl Told {
    fn of(&mut self, filled: usize) {
        self.done += filled as u64;
        if self.last.elapsed() >= TELL_EVERY {
            tracing::info!(
                "an index of an older version gets its checksums: {} of {} documents, texts and embeddings",
                self.done,
                self.total
            );
            self.last = Instant::now();
        }
    }
}

fn batch<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// The rows of the next documents behind the number `after`. The last of them and how many they were; none at the end.
fn fill_documents(connection: &Connection, after: i64) -> rusqlite::Result<Option<(i64, usize)>> {
    let mut documents = connection.prepare_cached(&format!(
        "SELECT {} FROM documents WHERE id > ?1 AND checksum IS NULL ORDER BY id LIMIT ?2",
        documents::ENTRY
    ))?;
    let mut fill = connection.prepare_cached("UPDATE documents SET checksum = ?2 WHERE id = ?1")?;
    let found = documents.query_map(params![after, BATCH_DOCUMENTS as i64], |row| {
        Ok((row.get(0)?, documents::checksum(row)?))
    })?;
    let found: Vec<(i64, i64)> = found.collect::<Result<_, _>>()?;
    for (id, checksum) in &found {
        fill.execute(params![id, checksum])?;
    }
    Ok(found.last().map(|(id, _)| (*id, found.len())))
}

/// The same of texts, and of the passages that they are cut into.
fn fill_texts(connection: &Connection, after: i64) -> rusqlite::Result<Option<(i64, usize)>> {
    let mut texts = connection
        .prepare_cached("SELECT document, text FROM texts WHERE document > ?1 ORDER BY document")?;
    let mut passages = connection.prepare_cached(&format!(
        "SELECT {} FROM passages p WHERE p.document = ?1 AND (p.checksum IS NULL OR p.place_checksum IS NULL)",
        passages::PASSAGE
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
        let found = passages.query_map([last], |row| {
            let span = passages::span(row)?;
            let slice = text.get(span.start_byte..span.end_byte);
            // One that does not slice is damaged as it is, and is found so without a checksum.
            let slice = slice.and_then(|slice| std::str::from_utf8(slice).ok());
            Ok((row.get(0)?, slice.map(of_text), passages::place_checksum(row)?))
        })?;
        let found: Vec<(i64, Option<i64>, i64)> = found.collect::<Result<_, _>>()?;
        for (id, of_text, of_place) in found {
            fill.execute(params![id, of_text, of_place])?;
        }
        if bytes >= BATCH_BYTES || count >= BATCH_DOCUMENTS {
            break;
        }
    }
    Ok((count > 0).then_some((last, count)))
}

/// A row of embeddings: the hash of its text and its model.
type EmbeddingKey = (Vec<u8>, i64);

/// The same of embeddings.
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
    let found = embeddings.query_map(params![after.0, after.1, BATCH_EMBEDDINGS as i64], |row| {
        let codes = row.get_ref(3)?.as_blob()?;
        let scale: f64 = row.get(2)?;
        Ok(((row.get(0)?, row.get(1)?), of_codes(scale as f32, codes)))
    })?;
    let found: Vec<(EmbeddingKey, i64)> = found.collect::<Result<_, _>>()?;
    for ((hash, model), checksum) in &found {
        fill.execute(params![hash, model, checksum])?;
    }
    let count = found.len();
    Ok(found.into_iter().last().map(|(key, _)| (key, count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::schema;

    #[test]
    fn more_rows_than_a_batch_has_are_all_filled() {
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
        fill(&mut catalog).unwrap();
        for (table, sample) in [
            ("passages", of_text("text 9000")),
            ("embeddings", of_codes(0.5, b"text 9000")),
        ] {
            let count = |which: &str| -> i64 {
                let count = format!("SELECT count(*) FROM {table} WHERE checksum {which}");
                catalog.query_row(&count, [], |row| row.get(0)).unwrap()
            };
            assert_eq!(count("IS NULL"), 0, "{table}");
            assert_eq!(count(&format!("= {sample}")), 1, "{table}");
        }
        assert!(meta(&catalog, CHECKED).unwrap().is_some());
    }
}
