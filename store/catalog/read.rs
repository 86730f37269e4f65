//! Reading the catalog.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::checksum::{holds, of_codes, of_text};
use super::texts::Texts;
use crate::{
    ContentHash, DocumentEntry, DocumentId, FileStat, FileState, ItemStatus, Passage, PassageId,
    PendingPassage, Seq, Span,
};

/// Columns of [`entry`], in its order.
const ENTRY: &str = "id, key, size, modified_ns, inode, source_hash, status, reason, kind, language, title, metadata, \
                     passages";

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

/// Documents that were live at `seq` and were added after `after`.
pub(crate) fn entries(connection: &Connection, after: Seq, seq: Seq) -> rusqlite::Result<Vec<DocumentEntry>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ENTRY} FROM documents
         WHERE added_seq > ?1 AND added_seq <= ?2 AND (retired_seq IS NULL OR retired_seq > ?2)"
    ))?;
    statement
        .query_map(params![after as i64, seq as i64], entry)?
        .collect()
}

/// Documents that were live at `seq`, and of which something other than their text changed after `after`.
pub(crate) fn touched(connection: &Connection, after: Seq, seq: Seq) -> rusqlite::Result<Vec<DocumentEntry>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ENTRY} FROM documents
         WHERE touched_seq > ?1 AND touched_seq <= ?2 AND (retired_seq IS NULL OR retired_seq > ?2)"
    ))?;
    statement
        .query_map(params![after as i64, seq as i64], entry)?
        .collect()
}

/// Documents retired after `after` and not after `seq`.
pub(crate) fn retired(connection: &Connection, after: Seq, seq: Seq) -> rusqlite::Result<Vec<DocumentId>> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM documents WHERE retired_seq > ?1 AND retired_seq <= ?2")?;
    let ids = statement.query_map(params![after as i64, seq as i64], |row| {
        row.get(0).map(DocumentId)
    })?;
    ids.collect()
}

/// What is remembered of every file.
pub(crate) fn known_files(connection: &Connection) -> rusqlite::Result<HashMap<String, FileState>> {
    let mut statement = connection.prepare_cached(
        "SELECT key, size, modified_ns, inode, source_hash, status, reason, attempts, retry_at FROM documents
         WHERE retired_seq IS NULL",
    )?;
    let states = statement.query_map([], |row| {
        let stat = FileStat {
            size: row.get::<_, i64>(1)? as u64,
            modified_ns: row.get(2)?,
            inode: inode(row, 3)?,
        };
        Ok((
            row.get(0)?,
            FileState {
                stat,
                source_hash: hash(row, 4)?,
                status: status(row, 5)?,
                reason: row.get(6)?,
                attempts: row.get(7)?,
                retry_at: row.get(8)?,
            },
        ))
    })?;
    states.collect()
}

/// Passages of document `id`, for the lexical index, but for those whose text is damaged; and whether there are none such.
pub(crate) fn lexical_rows(
    connection: &Connection,
    id: DocumentId,
) -> rusqlite::Result<(Vec<LexicalRow>, bool)> {
    let mut statement = connection.prepare_cached("SELECT text FROM texts WHERE document = ?1")?;
    let text: Option<Vec<u8>> = statement.query_row([id.0], |row| row.get(0)).optional()?;
    let text = text.unwrap_or_default();
    let mut statement = connection.prepare_cached(
        "SELECT id, start_byte, end_byte, heading_path, checksum FROM passages WHERE document = ?1 ORDER BY ordinal",
    )?;
    let rows = statement.query_map([id.0], |row| {
        let (start, end): (usize, usize) = (row.get::<_, i64>(1)? as usize, row.get::<_, i64>(2)? as usize);
        let Some(text) = text
            .get(start..end)
            .and_then(|text| intact(text.to_vec(), row.get(4).ok()?))
        else {
            return Ok(None);
        };
        Ok(Some(LexicalRow {
            passage: passage_id(row, 0)?,
            document: id,
            heading_path: strings(row, 3)?,
            text,
        }))
    })?;
    let rows: Vec<Option<LexicalRow>> = rows.collect::<Result<_, _>>()?;
    let are_intact = rows.iter().all(Option::is_some);
    Ok((rows.into_iter().flatten().collect(), are_intact))
}

/// The extracted text of document `id`.
pub(crate) fn text_of(connection: &Connection, id: DocumentId) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT text FROM texts WHERE document = ?1")?;
    let text: Option<Vec<u8>> = statement.query_row([id.0], |row| row.get(0)).optional()?;
    text.map(|bytes| String::from_utf8(bytes).map_err(|_| damaged(0, "text")))
        .transpose()
}

/// The passages of `ids` that still exist, in that order.
pub(crate) fn passages(connection: &Connection, ids: &[PassageId]) -> rusqlite::Result<Vec<Passage>> {
    let mut statement = connection.prepare_cached(
        "SELECT p.id, p.document, p.ordinal, p.start_byte, p.end_byte, p.start_line, p.end_line, p.page,
                p.heading_path, p.checksum
         FROM passages p JOIN texts t ON t.document = p.document WHERE p.id = ?1",
    )?;
    let mut texts = Texts::new(connection);
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        let passage = statement.query_row([id.0 as i64], |row| {
            let span = span(row, 3)?;
            let bytes = texts.part(row.get(1)?, span.start_byte..span.end_byte)?;
            let Some(text) = intact(bytes, row.get(9)?) else {
                return Ok(None);
            };
            Ok(Some(Passage {
                id: passage_id(row, 0)?,
                document: DocumentId(row.get(1)?),
                ordinal: row.get(2)?,
                span,
                heading_path: strings(row, 8)?,
                text,
            }))
        });
        match passage.optional()? {
            Some(Some(passage)) => found.push(passage),
            Some(None) => tracing::error!(
                passage = id.0,
                "a text in the catalog is damaged and not answered with; `autorag doctor --repair` has it read again"
            ),
            None => {}
        }
    }
    Ok(found)
}

/// A passage's text, unless it is not the one that was written.
fn intact(text: Vec<u8>, checksum: Option<i64>) -> Option<String> {
    let text = String::from_utf8(text).ok()?;
    holds(checksum, of_text(&text)).then_some(text)
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
/// its place; none where one of them is gone.
pub(crate) fn stretch(
    connection: &Connection,
    id: DocumentId,
    first: u32,
    last: u32,
) -> rusqlite::Result<Option<(Span, String)>> {
    let mut statement = connection.prepare_cached(
        "SELECT f.start_byte, l.end_byte, f.start_line, l.end_line, f.page
         FROM passages f JOIN passages l ON l.document = f.document JOIN texts t ON t.document = f.document
         WHERE f.document = ?1 AND f.ordinal = ?2 AND l.ordinal = ?3",
    )?;
    let row = statement.query_row(params![id.0, first, last], |row| {
        let span = span(row, 0)?;
        let bytes = Texts::new(connection).part(id.0.into(), span.start_byte..span.end_byte)?;
        let text = String::from_utf8(bytes).map_err(|_| damaged(5, "text"))?;
        Ok((span, text))
    });
    row.optional()
}

/// Live passages without a vector, newest first: those whose number is below `before`, where it is given.
pub(crate) fn pending(
    connection: &Connection,
    before: Option<PassageId>,
    limit: usize,
) -> rusqlite::Result<Vec<PendingPassage>> {
    let before = before.map_or(i64::MAX, |passage| passage.0 as i64);
    let mut statement = connection.prepare_cached(
        "SELECT p.id, p.embed_hash, d.title, p.heading_path, p.document, p.start_byte, p.end_byte
         FROM passages p JOIN documents d ON d.id = p.document JOIN texts t ON t.document = p.document
         WHERE p.vector_seq IS NULL AND p.id < ?1 AND d.retired_seq IS NULL ORDER BY p.id DESC LIMIT ?2",
    )?;
    let mut texts = Texts::new(connection);
    let found = statement.query_map(params![before, limit as i64], |row| {
        pending_passage(row, &mut texts)
    })?;
    found.collect()
}

/// A row of number, hash, title, headings, document and where in its text the passage begins and ends.
pub(super) fn pending_passage(row: &Row<'_>, texts: &mut Texts<'_>) -> rusqlite::Result<PendingPassage> {
    let place = row.get::<_, i64>(5)? as usize..row.get::<_, i64>(6)? as usize;
    let text = texts.part(row.get(4)?, place)?;
    Ok(PendingPassage {
        id: passage_id(row, 0)?,
        embed_hash: hash(row, 1)?,
        title: row.get(2)?,
        heading_path: strings(row, 3)?,
        text: String::from_utf8(text).map_err(|_| damaged(4, "text"))?,
    })
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
            passage: passage_id(row, 0)?,
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

fn entry(row: &Row<'_>) -> rusqlite::Result<DocumentEntry> {
    let metadata: String = row.get(11)?;
    Ok(DocumentEntry {
        id: DocumentId(row.get(0)?),
        key: row.get(1)?,
        stat: FileStat {
            size: row.get::<_, i64>(2)? as u64,
            modified_ns: row.get(3)?,
            inode: inode(row, 4)?,
        },
        source_hash: hash(row, 5)?,
        status: status(row, 6)?,
        reason: row.get(7)?,
        kind: row.get(8)?,
        language: row.get(9)?,
        title: row.get(10)?,
        metadata: serde_json::from_str(&metadata).map_err(|_| damaged(11, "metadata"))?,
        passages: row.get(12)?,
    })
}

/// Where a passage is, of five columns from `first` on.
fn span(row: &Row<'_>, first: usize) -> rusqlite::Result<Span> {
    Ok(Span {
        start_byte: row.get::<_, i64>(first)? as usize,
        end_byte: row.get::<_, i64>(first + 1)? as usize,
        start_line: row.get(first + 2)?,
        end_line: row.get(first + 3)?,
        page: row.get(first + 4)?,
    })
}

fn passage_id(row: &Row<'_>, column: usize) -> rusqlite::Result<PassageId> {
    row.get::<_, i64>(column).map(|id| PassageId(id as u64))
}

fn inode(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|bits| bits as u64)
}

fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<ContentHash> {
    row.get::<_, [u8; 32]>(column).map(ContentHash)
}

fn status(row: &Row<'_>, column: usize) -> rusqlite::Result<ItemStatus> {
    row.get::<_, String>(column)?
        .parse()
        .map_err(|()| damaged(column, "status"))
}

fn strings(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<String>> {
    serde_json::from_str(&row.get::<_, String>(column)?).map_err(|_| damaged(column, "heading path"))
}

pub(super) fn damaged(column: usize, what: &str) -> rusqlite::Error {
    let reason = format!("damaged {what}");
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, reason.into())
}
