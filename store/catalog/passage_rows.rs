//! Reading passage rows. Checksums of the text and of the other columns are verified.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::checksum::{columns_checksum, embedding_checksum, is_checksum_valid, text_checksum};
use super::document_rows::{corrupt, hash};
use super::text_reader::TextReader;
use crate::{ContentHash, DocumentId, Passage, PassageId, PendingPassage, Seq, Span};

/// Columns of a passage `p`, at the positions that the functions below read. `place_checksum` covers the columns from `document` to
/// `embed_hash`.
pub(crate) const COLUMNS: &str = "p.id, p.document, p.ordinal, p.start_byte, p.end_byte, p.start_line, p.end_line, p.page, \
                                  p.heading_path, p.embed_hash, p.checksum, p.place_checksum";
/// Number of [`COLUMNS`].
const COLUMN_COUNT: usize = 12;

/// A passage and its vector, for the vector index.
pub(crate) struct VectorRow {
    pub passage: PassageId,
    pub document: DocumentId,
    pub scale: f32,
    pub codes: Vec<u8>,
}

/// A passage, for the lexical index.
pub(crate) struct LexicalRow {
    pub passage: PassageId,
    pub document: DocumentId,
    pub heading_path: Vec<String>,
    pub text: String,
}

/// Whether a row of [`COLUMNS`] and the text of the passage match their checksums.
fn is_intact(row: &Row<'_>, text: &str) -> rusqlite::Result<bool> {
    Ok(is_checksum_valid(row.get(10)?, text_checksum(text))
        && is_checksum_valid(row.get(11)?, place_checksum(row)?))
}

/// Computes the checksum of the columns from `document` to `embed_hash` of a row of [`COLUMNS`].
pub(super) fn place_checksum(row: &Row<'_>) -> rusqlite::Result<i64> {
    columns_checksum(row, 1..10)
}

/// Decodes `text`, the text of the passage in `row`. `None` if a checksum does not match.
fn verify(row: &Row<'_>, text: Vec<u8>) -> rusqlite::Result<Option<String>> {
    match String::from_utf8(text) {
        Ok(text) if is_intact(row, &text)? => Ok(Some(text)),
        _ => Ok(None),
    }
}

/// Slices the passage in `row` out of `text`, the document's text. `None` if a checksum does not match.
pub(crate) fn verified_text<'t>(row: &Row<'_>, text: &'t str) -> rusqlite::Result<Option<&'t str>> {
    let Span {
        start_byte, end_byte, ..
    } = span(row)?;
    match text.get(start_byte..end_byte) {
        Some(part) if is_intact(row, part)? => Ok(Some(part)),
        _ => Ok(None),
    }
}

/// The intact passages of document `id`, and whether all of its passages are intact.
pub(crate) fn lexical_rows(
    connection: &Connection,
    id: DocumentId,
) -> rusqlite::Result<(Vec<LexicalRow>, bool)> {
    let mut statement = connection.prepare_cached("SELECT text FROM texts WHERE document = ?1")?;
    let text: Option<Vec<u8>> = statement.query_row([id.0], |row| row.get(0)).optional()?;
    let text = text.unwrap_or_default();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM passages p WHERE p.document = ?1 ORDER BY p.ordinal"
    ))?;
    let rows = statement.query_map([id.0], |row| {
        let span = span(row)?;
        let part = text.get(span.start_byte..span.end_byte).map(<[u8]>::to_vec);
        let Some(text) = part.map(|part| verify(row, part)).transpose()?.flatten() else {
            return Ok(None);
        };
        Ok(Some(LexicalRow {
            passage: passage_id(row)?,
            document: id,
            heading_path: heading_path(row)?,
            text,
        }))
    })?;
    let rows: Vec<Option<LexicalRow>> = rows.collect::<Result<_, _>>()?;
    let are_intact = rows.iter().all(Option::is_some);
    Ok((rows.into_iter().flatten().collect(), are_intact))
}

/// The passages `ids` that still exist, in the given order.
pub(crate) fn passages(connection: &Connection, ids: &[PassageId]) -> rusqlite::Result<Vec<Passage>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM passages p JOIN texts t ON t.document = p.document WHERE p.id = ?1"
    ))?;
    let mut texts = TextReader::new(connection);
    let mut passages = Vec::with_capacity(ids.len());
    for id in ids {
        let passage = statement.query_row([id.0 as i64], |row| {
            let span = span(row)?;
            let Some(text) = verify(row, texts.read(row.get(1)?, span.start_byte..span.end_byte)?)? else {
                return Ok(None);
            };
            Ok(Some(Passage {
                id: passage_id(row)?,
                document: DocumentId(row.get(1)?),
                ordinal: row.get(2)?,
                span,
                heading_path: heading_path(row)?,
                text,
            }))
        });
        match passage.optional()? {
            Some(Some(passage)) => passages.push(passage),
            Some(None) => log_corrupt(*id),
            None => {}
        }
    }
    Ok(passages)
}

fn log_corrupt(passage: PassageId) {
    tracing::error!(
        passage = passage.0,
        "a passage in the catalog is damaged; answers leave it out until the catalog is repaired"
    );
}

/// The documents of the passages `ids`. Passages that no longer exist are missing.
pub(crate) fn documents_of(
    connection: &Connection,
    ids: &[PassageId],
) -> rusqlite::Result<HashMap<PassageId, DocumentId>> {
    let mut statement = connection.prepare_cached("SELECT document FROM passages WHERE id = ?1")?;
    let mut documents = HashMap::with_capacity(ids.len());
    for id in ids {
        let document = statement.query_row([id.0 as i64], |row| row.get(0).map(DocumentId));
        documents.extend(document.optional()?.map(|document| (*id, document)));
    }
    Ok(documents)
}

/// The text of document `id` from the start of passage `first` to the end of passage `last`, with its span. Passages are counted
/// from 0. `None` if one of them is missing or corrupt.
pub(crate) fn text_of_passages(
    connection: &Connection,
    id: DocumentId,
    first: u32,
    last: u32,
) -> rusqlite::Result<Option<(Span, String)>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM passages p JOIN texts t ON t.document = p.document
         WHERE p.document = ?1 AND p.ordinal BETWEEN ?2 AND ?3 ORDER BY p.ordinal"
    ))?;
    let mut texts = TextReader::new(connection);
    let mut rows = statement.query(params![id.0, first, last])?;
    let mut next = first;
    let mut joined: Option<(Span, String)> = None;
    while let Some(row) = rows.next()? {
        let span = span(row)?;
        if row.get::<_, u32>(2)? != next {
            return Ok(None);
        }
        next += 1;
        let part = texts.read(id.0.into(), span.start_byte..span.end_byte)?;
        let Some(part) = verify(row, part)? else {
            log_corrupt(passage_id(row)?);
            return Ok(None);
        };
        let Some((whole, text)) = &mut joined else {
            joined = Some((span, part));
            continue;
        };
        // Passages may overlap, or have whitespace between them.
        let between = texts.read(id.0.into(), whole.end_byte..span.start_byte)?;
        text.push_str(&String::from_utf8(between).map_err(|_| corrupt(8, "text"))?);
        let overlap = whole.end_byte.saturating_sub(span.start_byte);
        text.push_str(part.get(overlap..).unwrap_or_default());
        whole.end_byte = whole.end_byte.max(span.end_byte);
        whole.end_line = whole.end_line.max(span.end_line);
    }
    Ok(joined.filter(|_| next == last + 1))
}

/// Passages without a vector, and the documents of corrupt ones.
pub(crate) type Pending = (Vec<PendingPassage>, Vec<DocumentId>);

/// Live passages without a vector and with numbers below `before`, newest first. Passages of documents marked for re-reading are
/// left out, because they are about to be replaced.
pub(crate) fn pending(
    connection: &Connection,
    before: Option<PassageId>,
    limit: usize,
) -> rusqlite::Result<Pending> {
    select_pending(connection, "p.vector_seq IS NULL", before, limit)
}

/// [`pending`] for the passages `p` that match the SQL `condition`.
pub(super) fn select_pending(
    connection: &Connection,
    condition: &str,
    before: Option<PassageId>,
    limit: usize,
) -> rusqlite::Result<Pending> {
    let before = before.map_or(i64::MAX, |passage| passage.0 as i64);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, d.title
         FROM passages p JOIN documents d ON d.id = p.document JOIN texts t ON t.document = p.document
         WHERE {condition} AND p.id < ?1 AND d.retired_seq IS NULL AND d.size >= 0 ORDER BY p.id DESC LIMIT ?2"
    ))?;
    let mut texts = TextReader::new(connection);
    let (mut pending, mut damaged) = (Vec::new(), Vec::new());
    let mut rows = statement.query(params![before, limit as i64])?;
    while let Some(row) = rows.next()? {
        let span = span(row)?;
        let text = texts.read(row.get(1)?, span.start_byte..span.end_byte)?;
        let Some(text) = verify(row, text)? else {
            damaged.push(DocumentId(row.get(1)?));
            continue;
        };
        pending.push(PendingPassage {
            id: passage_id(row)?,
            embed_hash: hash(row, 9)?,
            title: row.get(COLUMN_COUNT)?,
            heading_path: heading_path(row)?,
            text,
        });
    }
    Ok((pending, damaged))
}

/// Calls `each` for every passage that got its vector after `after`, up to and including `seq`, and whose document is live at
/// `seq`. Passages come in the order in which they got their vectors. Returns the hashes of damaged embeddings, which are left out.
pub(crate) fn vector_rows(
    connection: &Connection,
    after: Seq,
    seq: Seq,
    mut each: impl FnMut(VectorRow),
) -> rusqlite::Result<Vec<ContentHash>> {
    let mut statement = connection.prepare_cached(
        "SELECT p.id, p.document, e.scale, e.codes, e.checksum, e.hash
         FROM passages p JOIN embeddings e ON e.hash = p.embed_hash JOIN documents d ON d.id = p.document
         WHERE e.model = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'serving_model')
         AND p.vector_seq > ?1 AND p.vector_seq <= ?2 AND (d.retired_seq IS NULL OR d.retired_seq > ?2)
         ORDER BY p.vector_seq, p.id",
    )?;
    let mut rows = statement.query(params![after as i64, seq as i64])?;
    let mut damaged = Vec::new();
    while let Some(row) = rows.next()? {
        let vector = VectorRow {
            passage: passage_id(row)?,
            document: DocumentId(row.get(1)?),
            scale: row.get::<_, f64>(2)? as f32,
            codes: row.get(3)?,
        };
        if is_checksum_valid(row.get(4)?, embedding_checksum(vector.scale, &vector.codes)) {
            each(vector);
        } else {
            damaged.push(hash(row, 5)?);
        }
    }
    Ok(damaged)
}

/// The span of a row of [`COLUMNS`].
pub(super) fn span(row: &Row<'_>) -> rusqlite::Result<Span> {
    Ok(Span {
        start_byte: row.get::<_, i64>(3)? as usize,
        end_byte: row.get::<_, i64>(4)? as usize,
        start_line: row.get(5)?,
        end_line: row.get(6)?,
        page: row.get(7)?,
    })
}

/// The passage number, in the first column.
fn passage_id(row: &Row<'_>) -> rusqlite::Result<PassageId> {
    row.get::<_, i64>(0).map(|id| PassageId(id as u64))
}

fn heading_path(row: &Row<'_>) -> rusqlite::Result<Vec<String>> {
    serde_json::from_str(&row.get::<_, String>(8)?).map_err(|_| corrupt(8, "heading path"))
}
