//! State of indexing runs, in the catalog. From it, the next process knows whether the last run finished.

use rusqlite::Connection;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::catalog::{meta, set_meta};

/// Keys of the table `meta`.
const IN_PROGRESS: &str = "run_under_way";
const FINISHED_AT: &str = "run_finished_at";
const FILES_SEEN: &str = "run_files_seen";

/// State of the last indexing run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunState {
    /// Whether a run has finished and none has started since.
    pub finished: bool,
    /// End of the last finished run, RFC 3339.
    pub last_run: Option<String>,
    /// Number of files that the last finished run listed.
    pub files_seen: u64,
}

pub(crate) fn begin(connection: &Connection) -> rusqlite::Result<()> {
    set_meta(connection, IN_PROGRESS, "1")
}

pub(crate) fn finish(connection: &Connection, files_seen: u64) -> rusqlite::Result<()> {
    let now = OffsetDateTime::now_utc()
        .replace_nanosecond(0)
        .ok()
        .and_then(|now| now.format(&Rfc3339).ok());
    set_meta(connection, IN_PROGRESS, "0")?;
    set_meta(connection, FINISHED_AT, &now.unwrap_or_default())?;
    set_meta(connection, FILES_SEEN, &files_seen.to_string())
}

pub(crate) fn read(connection: &Connection) -> rusqlite::Result<RunState> {
    let in_progress = meta(connection, IN_PROGRESS)?;
    let files_seen = meta(connection, FILES_SEEN)?.and_then(|text| text.parse().ok());
    Ok(RunState {
        finished: in_progress.as_deref() == Some("0"),
        last_run: meta(connection, FINISHED_AT)?.filter(|text| !text.is_empty()),
        files_seen: files_seen.unwrap_or(0),
    })
}
