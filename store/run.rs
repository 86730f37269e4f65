//! Marks of indexing runs, kept in the catalog so that whoever opens the store next knows whether the last one finished.

use rusqlite::Connection;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::catalog::{meta, set_meta};

const UNDER_WAY: &str = "run_under_way";
const FINISHED_AT: &str = "run_finished_at";
const FILES_SEEN: &str = "run_files_seen";

/// What is known of the last run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunState {
    /// Whether a run has finished and none has begun since.
    pub finished: bool,
    /// When the last complete run ended, RFC 3339.
    pub last_run: Option<String>,
    /// How many files that run found.
    pub files_seen: u64,
}

pub(crate) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    set_meta(connection, UNDER_WAY, "1")
}

pub(crate) fn finish(connection: &Connection, files_seen: u64) -> rusqlite::Result<()> {
    let now = OffsetDateTime::now_utc()
        .replace_nanosecond(0)
        .ok()
        .and_then(|now| now.format(&Rfc3339).ok());
    set_meta(connection, UNDER_WAY, "0")?;
    set_meta(connection, FINISHED_AT, &now.unwrap_or_default())?;
    set_meta(connection, FILES_SEEN, &files_seen.to_string())
}

pub(crate) fn state(connection: &Connection) -> rusqlite::Result<RunState> {
    let under_way = meta(connection, UNDER_WAY)?;
    let files_seen = meta(connection, FILES_SEEN)?.and_then(|text| text.parse().ok());
    Ok(RunState {
        finished: under_way.as_deref() == Some("0"),
        last_run: meta(connection, FINISHED_AT)?.filter(|text| !text.is_empty()),
        files_seen: files_seen.unwrap_or(0),
    })
}
