//! Changing documents, passages and embeddings. The caller provides the transaction.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use serde::Serialize;

use super::checksum::{embedding_checksum, text_checksum, values_checksum};
use super::{PRUNED_SEQ, next_seq, seq_at, set_meta};
use crate::{ContentHash, DocumentId, DocumentKey, FileStat, ItemStatus, NewDocument, NewPassage, Seq, Span};

/// A quantized embedding: 8 bits per value, and one scale.
pub(crate) struct QuantizedEmbedding {
    pub scale: f32,
    pub codes: Vec<u8>,
}

/// Adds a document, and retires the previous one with its key. Passages whose embedding is already stored get it at once.
pub(crate) fn upsert(connection: &Connection, seq: Seq, new: &NewDocument) -> rusqlite::Result<()> {
    retire(connection, seq, &new.key)?;
    let metadata = encode_json(&new.metadata)?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO documents (key, size, modified_ns, inode, source_hash, status, reason, kind, language, title,
                                metadata, passages, added_seq, checksum)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    insert.execute(params![
        new.key.as_str(),
        new.stat.size as i64,
        new.stat.modified_ns,
        new.stat.inode as i64,
        new.source_hash.0,
        new.status.as_str(),
        new.reason,
        new.kind.as_str(),
        new.language,
        new.title,
        metadata,
        new.passages.len() as i64,
        seq as i64,
        document_checksum(new, &metadata),
    ])?;
    let document = connection.last_insert_rowid();
    if new.status == ItemStatus::Completed {
        let mut insert = connection.prepare_cached("INSERT INTO texts VALUES (?1, ?2)")?;
        insert.execute(params![document, new.text.as_bytes()])?;
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO passages (document, ordinal, start_byte, end_byte, start_line, end_line, page, heading_path,
                               embed_hash, checksum, place_checksum, vector_seq)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?11, ?12,
                 (SELECT ?10 WHERE EXISTS (SELECT 1 FROM embeddings WHERE hash = ?9 AND model =
                     (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'serving_model'))))",
    )?;
    for (ordinal, passage) in new.passages.iter().enumerate() {
        let span = passage.span;
        let headings = encode_json(&passage.heading_path)?;
        insert.execute(params![
            document,
            ordinal as i64,
            span.start_byte as i64,
            span.end_byte as i64,
            span.start_line,
            span.end_line,
            span.page,
            headings,
            passage.embed_hash.0,
            seq as i64,
            new.text.get(span.start_byte..span.end_byte).map(text_checksum),
            place_checksum(document, ordinal, passage, &headings),
        ])?;
    }
    Ok(())
}

/// Checksum of a document row. It must cover the same columns as `document_rows::checksum`.
fn document_checksum(new: &NewDocument, metadata: &str) -> i64 {
    values_checksum([
        new.key.as_str().into(),
        ValueRef::Blob(&new.source_hash.0),
        new.status.as_str().into(),
        new.reason.as_deref().into(),
        new.kind.as_str().into(),
        new.language.as_deref().into(),
        new.title.as_deref().into(),
        metadata.into(),
        ValueRef::Integer(new.passages.len() as i64),
    ])
}

/// Checksum of a passage row without its text. It must cover the same columns as `passage_rows::place_checksum`.
fn place_checksum(document: i64, ordinal: usize, passage: &NewPassage, headings: &str) -> i64 {
    let Span {
        start_byte,
        end_byte,
        start_line,
        end_line,
        page,
    } = passage.span;
    values_checksum([
        ValueRef::Integer(document),
        ValueRef::Integer(ordinal as i64),
        ValueRef::Integer(start_byte as i64),
        ValueRef::Integer(end_byte as i64),
        ValueRef::Integer(start_line.into()),
        ValueRef::Integer(end_line.into()),
        page.map_or(ValueRef::Null, |page| ValueRef::Integer(page.into())),
        headings.into(),
        ValueRef::Blob(&passage.embed_hash.0),
    ])
}

/// `value` as JSON, for a column of the catalog.
pub(super) fn encode_json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// Retires the live document with the key `key`, if there is one.
pub(crate) fn retire(connection: &Connection, seq: Seq, key: &DocumentKey) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE documents SET retired_seq = ?2 WHERE key = ?1 AND retired_seq IS NULL")?
        .execute(params![key.as_str(), seq as i64])
        .map(drop)
}

/// Updates the stat of a file whose bytes did not change.
pub(crate) fn touch(
    connection: &Connection,
    seq: Seq,
    key: &DocumentKey,
    stat: &FileStat,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE documents SET size = ?2, modified_ns = ?3, inode = ?4, touched_seq = ?5
             WHERE key = ?1 AND retired_seq IS NULL",
        )?
        .execute(params![
            key.as_str(),
            stat.size as i64,
            stat.modified_ns,
            stat.inode as i64,
            seq as i64
        ])
        .map(drop)
}

/// Stores embeddings, and assigns them to every passage with the same hash and no vector. Returns the number of passages.
pub(crate) fn put_embeddings(
    connection: &Connection,
    embeddings: &[(ContentHash, QuantizedEmbedding)],
) -> rusqlite::Result<usize> {
    let seq = next_seq(connection)?;
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO embeddings
         VALUES (?1, (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'serving_model'), ?2, ?3, ?4)",
    )?;
    let mut mark = connection
        .prepare_cached("UPDATE passages SET vector_seq = ?2 WHERE embed_hash = ?1 AND vector_seq IS NULL")?;
    let mut passages = 0;
    for (hash, QuantizedEmbedding { scale, codes }) in embeddings {
        insert.execute(params![
            hash.0,
            f64::from(*scale),
            codes,
            embedding_checksum(*scale, codes)
        ])?;
        passages += mark.execute(params![hash.0, seq as i64])?;
    }
    Ok(passages)
}

/// Deletes documents retired up to and including `up_to`, and embeddings that no passage uses any more. Returns the number of
/// documents.
pub(crate) fn prune(connection: &Connection, up_to: Seq) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached("SELECT id FROM documents WHERE retired_seq <= ?1")?;
    let retired: Vec<DocumentId> = statement
        .query_map([up_to as i64], |row| row.get(0).map(DocumentId))?
        .collect::<Result<_, _>>()?;
    if retired.is_empty() {
        return Ok(0);
    }
    for table in [
        "DELETE FROM texts WHERE document = ?1",
        "DELETE FROM documents WHERE id = ?1",
    ] {
        let mut delete = connection.prepare_cached(table)?;
        for id in &retired {
            delete.execute([id.0])?;
        }
    }
    let mut hashes =
        connection.prepare_cached("SELECT DISTINCT embed_hash FROM passages WHERE document = ?1")?;
    let mut passages = connection.prepare_cached("DELETE FROM passages WHERE document = ?1")?;
    let mut unused = connection.prepare_cached(
        "DELETE FROM embeddings WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM passages WHERE embed_hash = ?1)",
    )?;
    for id in &retired {
        let used: Vec<[u8; 32]> = hashes
            .query_map([id.0], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        passages.execute([id.0])?;
        for hash in used {
            unused.execute([hash])?;
        }
    }
    let pruned = seq_at(connection, PRUNED_SEQ)?.max(up_to);
    set_meta(connection, PRUNED_SEQ, &pruned.to_string())?;
    Ok(retired.len())
}

/// Forces a re-read of documents by storing a stat and hash that match no file. The documents stay searchable until then.
pub(crate) fn mark_for_rereading(connection: &Connection, documents: &[DocumentId]) -> rusqlite::Result<()> {
    let mut mark = connection.prepare_cached(
        "UPDATE documents SET source_hash = zeroblob(32), size = -1, modified_ns = 0, inode = 0 WHERE id = ?1",
    )?;
    for document in documents {
        mark.execute([document.0])?;
    }
    Ok(())
}

/// Deletes embeddings of every model, and marks their passages for embedding.
pub(crate) fn delete_embeddings(connection: &Connection, hashes: &[ContentHash]) -> rusqlite::Result<()> {
    let mut delete = connection.prepare_cached("DELETE FROM embeddings WHERE hash = ?1")?;
    let mut unmark =
        connection.prepare_cached("UPDATE passages SET vector_seq = NULL WHERE embed_hash = ?1")?;
    for hash in hashes {
        delete.execute([hash.0])?;
        unmark.execute([hash.0])?;
    }
    Ok(())
}
