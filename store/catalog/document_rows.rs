//! Reading document rows. Checksums are verified.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::checksum::{columns_checksum, is_checksum_valid};
use super::passage_rows::{self, verified_text};
use crate::{
    ContentHash, DocumentEntry, DocumentId, DocumentKey, FileStat, FileState, ItemStatus, Kind, Metadata,
    Seq, UnixMs,
};

/// Columns of [`entry`], in its order. The checksum covers the columns from `key` to `passages`. It excludes the stat, which changes
/// without the document. A corrupt stat only causes the file to be read again.
pub(crate) const COLUMNS: &str = "id, size, modified_ns, inode, key, source_hash, status, reason, kind, language, title, metadata, \
                                  passages, checksum";
/// Number of [`COLUMNS`].
const COLUMN_COUNT: usize = 14;

/// Sentinel stat and hash that match no real file, to force a re-read.
const UNMATCHED: (FileStat, ContentHash) = (
    FileStat {
        size: u64::MAX,
        modified_ns: 0,
        inode: 0,
    },
    ContentHash([0; 32]),
);

/// Documents live at `seq` and added after `after`.
pub(crate) fn added_documents(
    connection: &Connection,
    after: Seq,
    seq: Seq,
) -> rusqlite::Result<Vec<DocumentEntry>> {
    live(connection, "added_seq", after, seq)
}

/// Documents live at `seq` whose stat changed after `after`.
pub(crate) fn touched_documents(
    connection: &Connection,
    after: Seq,
    seq: Seq,
) -> rusqlite::Result<Vec<DocumentEntry>> {
    live(connection, "touched_seq", after, seq)
}

/// Documents live at `seq` whose `column` is above `after`.
fn live(connection: &Connection, column: &str, after: Seq, seq: Seq) -> rusqlite::Result<Vec<DocumentEntry>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM documents
         WHERE {column} > ?1 AND {column} <= ?2 AND (retired_seq IS NULL OR retired_seq > ?2)"
    ))?;
    statement
        .query_map(params![after as i64, seq as i64], entry)?
        .collect()
}

/// Documents retired after `after`, up to and including `seq`.
pub(crate) fn retired_documents(
    connection: &Connection,
    after: Seq,
    seq: Seq,
) -> rusqlite::Result<Vec<DocumentId>> {
    let mut statement =
        connection.prepare_cached("SELECT id FROM documents WHERE retired_seq > ?1 AND retired_seq <= ?2")?;
    let ids = statement.query_map(params![after as i64, seq as i64], |row| {
        row.get(0).map(DocumentId)
    })?;
    ids.collect()
}

/// The state of every file, by key.
pub(crate) fn known_files(connection: &Connection) -> rusqlite::Result<HashMap<DocumentKey, FileState>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS}, attempts, retry_at FROM documents WHERE retired_seq IS NULL"
    ))?;
    let states = statement.query_map([], |row| {
        let entry = entry(row)?;
        Ok((
            entry.key,
            FileState {
                stat: entry.stat,
                source_hash: entry.source_hash,
                status: entry.status,
                reason: entry.reason,
                attempts: row.get(COLUMN_COUNT)?,
                retry_at: row.get::<_, Option<i64>>(COLUMN_COUNT + 1)?.map(UnixMs),
            },
        ))
    })?;
    states.collect()
}

/// Live documents with a corrupt row, except those already marked for re-reading.
pub(crate) fn damaged_documents(connection: &Connection) -> rusqlite::Result<Vec<DocumentId>> {
    let mut statement = connection.prepare(&format!(
        "SELECT {COLUMNS} FROM documents WHERE retired_seq IS NULL"
    ))?;
    let (mut damaged, mut rows) = (Vec::new(), statement.query([])?);
    while let Some(row) = rows.next()? {
        if is_damaged(row)? {
            damaged.push(DocumentId(row.get(0)?));
        }
    }
    Ok(damaged)
}

/// The extracted text of document `id`.
///
/// # Errors
/// When a passage does not match its checksums.
pub(crate) fn document_text(connection: &Connection, id: DocumentId) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT text FROM texts WHERE document = ?1")?;
    let text: Option<Vec<u8>> = statement.query_row([id.0], |row| row.get(0)).optional()?;
    let Some(text) = text else {
        return Ok(None);
    };
    let text = String::from_utf8(text).map_err(|_| corrupt(0, "text"))?;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {} FROM passages p WHERE p.document = ?1",
        passage_rows::COLUMNS
    ))?;
    let mut rows = statement.query([id.0])?;
    while let Some(row) = rows.next()? {
        verified_text(row, &text)?.ok_or_else(|| corrupt(0, "text"))?;
    }
    Ok(Some(text))
}

/// Computes the checksum of a row of [`COLUMNS`].
pub(super) fn checksum(row: &Row<'_>) -> rusqlite::Result<i64> {
    columns_checksum(row, 4..13)
}

/// Whether a row of [`COLUMNS`] does not match its checksum. Rows already marked for re-reading, by a negative size, are not verified.
fn is_damaged(row: &Row<'_>) -> rusqlite::Result<bool> {
    Ok(row.get::<_, i64>(1)? >= 0 && !is_checksum_valid(row.get(13)?, checksum(row)?))
}

/// Decodes a document. A corrupt row gets a stat and hash that match no file, which makes the next run read the file again.
fn entry(row: &Row<'_>) -> rusqlite::Result<DocumentEntry> {
    let id = DocumentId(row.get(0)?);
    let mut stat = FileStat {
        size: row.get::<_, i64>(1)? as u64,
        modified_ns: row.get(2)?,
        inode: row.get::<_, i64>(3)? as u64,
    };
    let mut source_hash = hash(row, 5)?;
    let is_damaged = is_damaged(row)?;
    if is_damaged {
        tracing::error!(
            document = id.0,
            "a document row in the catalog is damaged; the next run reads the file again"
        );
        (stat, source_hash) = UNMATCHED;
    }
    let text = |column| {
        let bytes = row.get_ref(column)?.as_bytes_or_null();
        let bytes = bytes.map_err(|_| corrupt(column, "text"))?;
        Ok::<_, rusqlite::Error>(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    };
    let word = |column| Ok::<_, rusqlite::Error>(text(column)?.unwrap_or_default());
    let status = word(6)?.parse().ok();
    let metadata = serde_json::from_str(&word(11)?).ok();
    Ok(DocumentEntry {
        id,
        key: DocumentKey::new(word(4)?),
        stat,
        source_hash,
        status: status
            .or(is_damaged.then_some(ItemStatus::Error))
            .ok_or_else(|| corrupt(6, "status"))?,
        reason: text(7)?,
        kind: Kind::new(&word(8)?),
        language: text(9)?,
        title: text(10)?,
        metadata: metadata
            .or(is_damaged.then(Metadata::new))
            .ok_or_else(|| corrupt(11, "metadata"))?,
        passages: row.get(12)?,
    })
}

pub(super) fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<ContentHash> {
    row.get::<_, [u8; 32]>(column).map(ContentHash)
}

/// The error for a value that cannot be decoded. It counts as damage of the catalog.
pub(super) fn corrupt(column: usize, what: &str) -> rusqlite::Error {
    let reason = format!("corrupt {what}");
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, reason.into())
}
