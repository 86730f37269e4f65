//! Reading documents. Each is compared with its checksum.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::checksum::{holds, of_columns};
use super::passages::{PASSAGE, intact_part};
use crate::{
    ContentHash, DocumentEntry, DocumentId, DocumentKey, FileStat, FileState, ItemStatus, Kind, Metadata,
    Seq, UnixMs,
};

/// Columns of [`entry`], in its order. Those from the key to the number of passages are under the checksum; what the file system
/// says changes without the document, and costs a look at the file where it is wrong.
pub(crate) const ENTRY: &str = "id, size, modified_ns, inode, key, source_hash, status, reason, kind, language, title, metadata, \
                                passages, checksum";
/// How many those are.
const ENTRY_COLUMNS: usize = 14;

/// What a file is remembered as that is to be read again: as none that there is.
const DOUBTED: (FileStat, ContentHash) = (
    FileStat {
        size: u64::MAX,
        modified_ns: 0,
        inode: 0,
    },
    ContentHash([0; 32]),
);

/// Documents that were live at `seq` and were added after `after`.
pub(crate) fn entries(connection: &Connection, after: Seq, seq: Seq) -> rusqlite::Result<Vec<DocumentEntry>> {
    live(connection, "added_seq", after, seq)
}

/// Documents that were live at `seq`, and of which something other than their text changed after `after`.
pub(crate) fn touched(connection: &Connection, after: Seq, seq: Seq) -> rusqlite::Result<Vec<DocumentEntry>> {
    live(connection, "touched_seq", after, seq)
}

/// Documents that were live at `seq` and whose `column` came after `after`.
fn live(connection: &Connection, column: &str, after: Seq, seq: Seq) -> rusqlite::Result<Vec<DocumentEntry>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ENTRY} FROM documents
         WHERE {column} > ?1 AND {column} <= ?2 AND (retired_seq IS NULL OR retired_seq > ?2)"
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
pub(crate) fn known_files(connection: &Connection) -> rusqlite::Result<HashMap<DocumentKey, FileState>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ENTRY}, attempts, retry_at FROM documents WHERE retired_seq IS NULL"
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
                attempts: row.get(ENTRY_COLUMNS)?,
                retry_at: row.get::<_, Option<i64>>(ENTRY_COLUMNS + 1)?.map(UnixMs),
            },
        ))
    })?;
    states.collect()
}

/// Live documents whose row is not what was written, but for those that are to be read again anyway.
pub(crate) fn damaged_documents(connection: &Connection) -> rusqlite::Result<Vec<DocumentId>> {
    let mut statement = connection.prepare(&format!(
        "SELECT {ENTRY} FROM documents WHERE retired_seq IS NULL"
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
/// Damage, where a passage of it is not what was written.
pub(crate) fn text_of(connection: &Connection, id: DocumentId) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT text FROM texts WHERE document = ?1")?;
    let text: Option<Vec<u8>> = statement.query_row([id.0], |row| row.get(0)).optional()?;
    let Some(text) = text else {
        return Ok(None);
    };
    let text = String::from_utf8(text).map_err(|_| damaged(0, "text"))?;
    let mut statement =
        connection.prepare_cached(&format!("SELECT {PASSAGE} FROM passages p WHERE p.document = ?1"))?;
    let mut rows = statement.query([id.0])?;
    while let Some(row) = rows.next()? {
        intact_part(row, &text)?.ok_or_else(|| damaged(0, "text"))?;
    }
    Ok(Some(text))
}

/// The checksum of a row of [`ENTRY`], as it was read.
pub(super) fn checksum(row: &Row<'_>) -> rusqlite::Result<i64> {
    of_columns(row, 4..13)
}

/// Whether a row of [`ENTRY`] is not what was written. What is in doubt already, and so has no size, is not judged.
fn is_damaged(row: &Row<'_>) -> rusqlite::Result<bool> {
    Ok(row.get::<_, i64>(1)? >= 0 && !holds(row.get(13)?, checksum(row)?))
}

/// A document. One whose row is damaged is remembered as a file that it is not, as those are that are to be read again.
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
            "the row of a document in the catalog is damaged; the next run reads its file again"
        );
        (stat, source_hash) = DOUBTED;
    }
    let text = |column| {
        let bytes = row.get_ref(column)?.as_bytes_or_null();
        let bytes = bytes.map_err(|_| damaged(column, "text"))?;
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
            .ok_or_else(|| damaged(6, "status"))?,
        reason: text(7)?,
        kind: Kind::new(&word(8)?),
        language: text(9)?,
        title: text(10)?,
        metadata: metadata
            .or(is_damaged.then(Metadata::new))
            .ok_or_else(|| damaged(11, "metadata"))?,
        passages: row.get(12)?,
    })
}

pub(super) fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<ContentHash> {
    row.get::<_, [u8; 32]>(column).map(ContentHash)
}

pub(super) fn damaged(column: usize, what: &str) -> rusqlite::Error {
    let reason = format!("damaged {what}");
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, reason.into())
}
