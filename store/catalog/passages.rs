//! Reading passages. Each is compared with its checksums: its text, and what its row says of where that is.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::checksum::{holds, of_codes, of_columns, of_text};
use super::documents::{damaged, hash};
use super::texts::Texts;
use crate::{ContentHash, DocumentId, Passage, PassageId, PendingPassage, Seq, Span};

/// Columns of a passage `p`, in the order that what reads them knows. Those from its document to its hash are under one checksum.
pub(crate) const PASSAGE: &str = "p.id, p.document, p.ordinal, p.start_byte, p.end_byte, p.start_line, p.end_line, p.page, \
                                  p.heading_path, p.embed_hash, p.checksum, p.place_checksum";
/// How many those are.
const PASSAGE_COLUMNS: usize = 12;

/// A passage with its vector, on its way into the vector index.
pub(crate) struct VectorRow {
    pub passage: PassageId,
    pub document: DocumentId,
    pub scale: f32,
    pub codes: Vec<u8>,
}

/// A passage on its way into the lexical index.
pub(crate) struct LexicalRow {
    pub passage: PassageId,
    pub document: DocumentId,
    pub heading_path: Vec<String>,
    pub text: String,
}

/// Whether a row of [`PASSAGE`] and the text that it is about are what was written.
fn is_intact(row: &Row<'_>, text: &str) -> rusqlite::Result<bool> {
    Ok(holds(row.get(10)?, of_text(text)) && holds(row.get(11)?, place_checksum(row)?))
}

/// The checksum of a row of [`PASSAGE`] but for its text, as it was read.
pub(super) fn place_checksum(row: &Row<'_>) -> rusqlite::Result<i64> {
    of_columns(row, 1..10)
}

/// The text of a row of [`PASSAGE`], unless something is not what was written.
fn intact(row: &Row<'_>, text: Vec<u8>) -> rusqlite::Result<Option<String>> {
    match String::from_utf8(text) {
        Ok(text) if is_intact(row, &text)? => Ok(Some(text)),
        _ => Ok(None),
    }
}

/// The part of a whole text that a row of [`PASSAGE`] is about, unless something is not what was written.
pub(crate) fn intact_part<'t>(row: &Row<'_>, text: &'t str) -> rusqlite::Result<Option<&'t str>> {
    let Span {
        start_byte, end_byte, ..
    } = span(row)?;
    match text.get(start_byte..end_byte) {
        Some(part) if is_intact(row, part)? => Ok(Some(part)),
        _ => Ok(None),
    }
}

/// Passages of document `id`, for the lexical index, but for those that are damaged; and whether there are none such.
pub(crate) fn lexical_rows(
    connection: &Connection,
    id: DocumentId,
) -> rusqlite::Result<(Vec<LexicalRow>, bool)> {
    let mut statement = connection.prepare_cached("SELECT text FROM texts WHERE document = ?1")?;
    let text: Option<Vec<u8>> = statement.query_row([id.0], |row| row.get(0)).optional()?;
    let text = text.unwrap_or_default();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {PASSAGE} FROM passages p WHERE p.document = ?1 ORDER BY p.ordinal"
    ))?;
    let rows = statement.query_map([id.0], |row| {
        let span = span(row)?;
        let part = text.get(span.start_byte..span.end_byte).map(<[u8]>::to_vec);
        let Some(text) = part.map(|part| intact(row, part)).transpose()?.flatten() else {
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

/// The passages of `ids` that still exist, in that order.
pub(crate) fn passages(connection: &Connection, ids: &[PassageId]) -> rusqlite::Result<Vec<Passage>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {PASSAGE} FROM passages p JOIN texts t ON t.document = p.document WHERE p.id = ?1"
    ))?;
    let mut texts = Texts::new(connection);
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let passage = statement.query_row([id.0 as i64], |row| {
            let span = span(row)?;
            let Some(text) = intact(row, texts.part(row.get(1)?, span.start_byte..span.end_byte)?)? else {
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
            Some(Some(passage)) => found.push(passage),
            Some(None) => left_out(*id),
            None => {}
        }
    }
    Ok(found)
}

fn left_out(passage: PassageId) {
    tracing::error!(
        passage = passage.0,
        "a passage in the catalog is damaged and not answered with; `autorag doctor --repair` has it read again"
    );
}

/// The documents of those of `ids` that still exist.
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

/// The text of document `id` from the beginning of its passage `first` to the end of its passage `last`, counted from 0, with
/// its place; none where one of them is gone or damaged.
pub(crate) fn text_of_passages(
    connection: &Connection,
    id: DocumentId,
    first: u32,
    last: u32,
) -> rusqlite::Result<Option<(Span, String)>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {PASSAGE} FROM passages p JOIN texts t ON t.document = p.document
         WHERE p.document = ?1 AND p.ordinal BETWEEN ?2 AND ?3 ORDER BY p.ordinal"
    ))?;
    let mut texts = Texts::new(connection);
    let mut rows = statement.query(params![id.0, first, last])?;
    let mut next = first;
    let mut joined: Option<(Span, String)> = None;
    while let Some(row) = rows.next()? {
        let span = span(row)?;
        if row.get::<_, u32>(2)? != next {
            return Ok(None);
        }
        next += 1;
        let part = texts.part(id.0.into(), span.start_byte..span.end_byte)?;
        let Some(part) = intact(row, part)? else {
            left_out(passage_id(row)?);
            return Ok(None);
        };
        let Some((whole, text)) = &mut joined else {
            joined = Some((span, part));
            continue;
        };
        // Passages may overlap, and there may be blanks between them.
        let between = texts.part(id.0.into(), whole.end_byte..span.start_byte)?;
        text.push_str(&String::from_utf8(between).map_err(|_| damaged(8, "text"))?);
        let known = whole.end_byte.saturating_sub(span.start_byte);
        text.push_str(part.get(known..).unwrap_or_default());
        whole.end_byte = whole.end_byte.max(span.end_byte);
        whole.end_line = whole.end_line.max(span.end_line);
    }
    Ok(joined.filter(|_| next == last + 1))
}

/// Passages that wait for a vector, and the documents of those among them that are damaged.
pub(crate) type Pending = (Vec<PendingPassage>, Vec<DocumentId>);

/// Live passages without a vector, newest first: those whose number is below `before`, where it is given. Those of documents that
/// are to be read again are not worth embedding.
pub(crate) fn pending(
    connection: &Connection,
    before: Option<PassageId>,
    limit: usize,
) -> rusqlite::Result<Pending> {
    waiting(connection, "p.vector_seq IS NULL", before, limit)
}

/// The same of passages `p` for which `condition` holds.
pub(super) fn waiting(
    connection: &Connection,
    condition: &str,
    before: Option<PassageId>,
    limit: usize,
) -> rusqlite::Result<Pending> {
    let before = before.map_or(i64::MAX, |passage| passage.0 as i64);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {PASSAGE}, d.title
         FROM passages p JOIN documents d ON d.id = p.document JOIN texts t ON t.document = p.document
         WHERE {condition} AND p.id < ?1 AND d.retired_seq IS NULL AND d.size >= 0 ORDER BY p.id DESC LIMIT ?2"
    ))?;
    let mut texts = Texts::new(connection);
    let (mut found, mut unsound) = (Vec::new(), Vec::new());
    let mut rows = statement.query(params![before, limit as i64])?;
    while let Some(row) = rows.next()? {
        let span = span(row)?;
        let text = texts.part(row.get(1)?, span.start_byte..span.end_byte)?;
        let Some(text) = intact(row, text)? else {
            unsound.push(DocumentId(row.get(1)?));
            continue;
        };
        found.push(PendingPassage {
            id: passage_id(row)?,
            embed_hash: hash(row, 9)?,
            title: row.get(PASSAGE_COLUMNS)?,
            heading_path: heading_path(row)?,
            text,
        });
    }
    Ok((found, unsound))
}

/// Calls `each` for every passage that got its vector after `after` and whose document was live at `seq`, in the order in
/// which they got them. The texts whose embeddings are damaged are given back; `each` does not see those.
pub(crate) fn vectors(
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
    let mut unsound = Vec::new();
    while let Some(row) = rows.next()? {
        let vector = VectorRow {
            passage: passage_id(row)?,
            document: DocumentId(row.get(1)?),
            scale: row.get::<_, f64>(2)? as f32,
            codes: row.get(3)?,
        };
        match holds(row.get(4)?, of_codes(vector.scale, &vector.codes)) {
            true => each(vector),
            false => unsound.push(hash(row, 5)?),
        }
    }
    Ok(unsound)
}

/// Where a passage is, of a row of [`PASSAGE`].
pub(super) fn span(row: &Row<'_>) -> rusqlite::Result<Span> {
    Ok(Span {
        start_byte: row.get::<_, i64>(3)? as usize,
        end_byte: row.get::<_, i64>(4)? as usize,
        start_line: row.get(5)?,
        end_line: row.get(6)?,
        page: row.get(7)?,
    })
}

/// The number of a passage, which is the first column.
fn passage_id(row: &Row<'_>) -> rusqlite::Result<PassageId> {
    row.get::<_, i64>(0).map(|id| PassageId(id as u64))
}

fn heading_path(row: &Row<'_>) -> rusqlite::Result<Vec<String>> {
    serde_json::from_str(&row.get::<_, String>(8)?).map_err(|_| damaged(8, "heading path"))
}
