//! Rows of jobs and their logs.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::jobs::{
    ItemAction, Job, JobCause, JobCounts, JobId, JobItem, JobProgress, JobStage, JobState, NewJobItem,
};
use crate::{DocumentKey, UnixMs, UnknownVariant};

/// Maximum number of jobs to keep, …
const MAX_JOBS: i64 = 100;
/// … and of entries in all of their logs together.
const MAX_ITEMS: i64 = 100_000;

/// Columns of [`job_row`], in its order.
const JOB_COLUMNS: &str = "id, cause, description, state, started_at, last_seen_at, ended_at, end_reason, added, changed, removed, \
                           failed, skipped, unchanged, passages, embedded, stage, files_to_index, files_done, to_embed, \
                           embedded_of_stage, eta_seconds";
/// Columns of [`item_row`], in its order.
const ITEM_COLUMNS: &str = "id, at, key, action, reason, passages, milliseconds";

/// End reason of jobs whose process died.
const PROCESS_ENDED: &str = "the process ended before the job did; the next job resumes";

pub(crate) fn insert_job(
    connection: &Connection,
    cause: JobCause,
    description: Option<&str>,
) -> rusqlite::Result<JobId> {
    connection
        .prepare_cached(
            "INSERT INTO jobs (cause, description, state, started_at, last_seen_at) VALUES (?1, ?2, 'running', ?3, ?3)",
        )?
        .execute(params![cause.as_str(), description, UnixMs::now().0])?;
    Ok(JobId(connection.last_insert_rowid() as u64))
}

pub(crate) fn set_job_state(connection: &Connection, job: JobId, state: JobState) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE jobs SET state = ?2, last_seen_at = ?3, eta_seconds = NULL WHERE id = ?1")?
        .execute(params![job.0 as i64, state.as_str(), UnixMs::now().0])
        .map(drop)
}

pub(crate) fn set_job_progress(
    connection: &Connection,
    job: JobId,
    progress: &JobProgress,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE jobs SET last_seen_at = ?2, stage = ?3, unchanged = ?4, files_to_index = ?5, files_done = ?6,
                             to_embed = ?7, embedded_of_stage = ?8, eta_seconds = ?9
             WHERE id = ?1",
        )?
        .execute(params![
            job.0 as i64,
            UnixMs::now().0,
            progress.stage.map_or("", JobStage::as_str),
            progress.unchanged as i64,
            progress.files_to_index as i64,
            progress.files_done as i64,
            progress.to_embed as i64,
            progress.embedded as i64,
            progress.eta_seconds.map(|seconds| seconds as i64),
        ])
        .map(drop)
}

pub(crate) fn end_job(
    connection: &Connection,
    job: JobId,
    state: JobState,
    reason: Option<&str>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE jobs SET state = ?2, end_reason = ?3, ended_at = ?4, last_seen_at = ?4, stage = '',
                             eta_seconds = NULL
             WHERE id = ?1 AND ended_at IS NULL",
        )?
        .execute(params![job.0 as i64, state.as_str(), reason, UnixMs::now().0])
        .map(drop)
}

/// Deletes a scheduled job that completed without doing anything, for example because the embedding provider is still unreachable.
pub(crate) fn delete_idle_job(connection: &Connection, job: JobId) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM jobs WHERE id = ?1 AND cause = 'schedule' AND state = 'completed' AND items = 0 AND embedded = 0",
        )?
        .execute([job.0 as i64])
        .map(drop)
}

/// Marks running jobs as interrupted. Their process has ended.
pub(crate) fn interrupt_running_jobs(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute(
            "UPDATE jobs SET state = 'interrupted', ended_at = last_seen_at, end_reason = ?1, stage = '', eta_seconds = NULL
             WHERE state = 'running'",
            [PROCESS_ENDED],
        )
        .map(drop)
}

/// Whether [`interrupt_running_jobs`] would change a job. If not, opening a store need not write.
pub(crate) fn has_running_jobs(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM jobs WHERE state = 'running')",
        [],
        |row| row.get(0),
    )
}

/// Deletes the oldest jobs with their logs if there are too many jobs or log entries. Open jobs and the newest job are kept.
pub(crate) fn prune_jobs(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("SELECT id, state IN ('running', 'paused'), items FROM jobs ORDER BY id DESC")?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, bool>(1)?,
            row.get::<_, i64>(2)?,
        ))
    })?;
    let (mut jobs, mut items, mut surplus) = (0, 0, Vec::new());
    for row in rows {
        let (id, is_open, own_items) = row?;
        (jobs, items) = (jobs + 1, items + own_items);
        if !is_open && jobs > 1 && (jobs > MAX_JOBS || items > MAX_ITEMS) {
            surplus.push(id);
        }
    }
    for id in surplus {
        connection
            .prepare_cached("DELETE FROM job_items WHERE job = ?1")?
            .execute([id])?;
        connection
            .prepare_cached("DELETE FROM jobs WHERE id = ?1")?
            .execute([id])?;
    }
    Ok(())
}

/// Writes entries of a job's log and updates its counts.
pub(crate) fn insert_job_items(
    connection: &Connection,
    job: JobId,
    items: &[NewJobItem],
) -> rusqlite::Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let now = UnixMs::now().0;
    let mut insert = connection.prepare_cached(
        "INSERT INTO job_items (job, at, key, action, reason, passages, milliseconds) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut counts = JobCounts::default();
    for item in items {
        insert.execute(params![
            job.0 as i64,
            now,
            item.key.as_str(),
            item.action.as_str(),
            item.reason,
            item.passages as i64,
            item.milliseconds as i64,
        ])?;
        counts.passages += item.passages;
        *match item.action {
            ItemAction::Added => &mut counts.added,
            ItemAction::Changed => &mut counts.changed,
            ItemAction::Removed => &mut counts.removed,
            ItemAction::Failed => &mut counts.failed,
            ItemAction::Skipped => &mut counts.skipped,
        } += 1;
    }
    connection
        .prepare_cached(
            "UPDATE jobs SET added = added + ?2, changed = changed + ?3, removed = removed + ?4, failed = failed + ?5,
                             skipped = skipped + ?6, passages = passages + ?7, items = items + ?8
             WHERE id = ?1",
        )?
        .execute(params![
            job.0 as i64,
            counts.added as i64,
            counts.changed as i64,
            counts.removed as i64,
            counts.failed as i64,
            counts.skipped as i64,
            counts.passages as i64,
            items.len() as i64,
        ])
        .map(drop)
}

/// Adds to a job's count of embedded passages.
pub(crate) fn add_embedded(connection: &Connection, job: JobId, passages: usize) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE jobs SET embedded = embedded + ?2 WHERE id = ?1")?
        .execute(params![job.0 as i64, passages as i64])
        .map(drop)
}

pub(crate) fn list_jobs(
    connection: &Connection,
    before: Option<JobId>,
    limit: usize,
) -> rusqlite::Result<Vec<Job>> {
    let before = before.map_or(i64::MAX, clamp);
    connection
        .prepare_cached(&format!(
            "SELECT {JOB_COLUMNS} FROM jobs WHERE id < ?1 ORDER BY id DESC LIMIT ?2"
        ))?
        .query_map(params![before, limit as i64], job_row)?
        .collect()
}

pub(crate) fn find_job(connection: &Connection, id: JobId) -> rusqlite::Result<Option<Job>> {
    connection
        .prepare_cached(&format!("SELECT {JOB_COLUMNS} FROM jobs WHERE id = ?1"))?
        .query_row([clamp(id)], job_row)
        .optional()
}

/// Running and paused jobs, newest first.
pub(crate) fn open_jobs(connection: &Connection) -> rusqlite::Result<Vec<Job>> {
    connection
        .prepare_cached(&format!(
            "SELECT {JOB_COLUMNS} FROM jobs WHERE state IN ('running', 'paused') ORDER BY id DESC"
        ))?
        .query_map([], job_row)?
        .collect()
}

pub(crate) fn job_items(
    connection: &Connection,
    job: JobId,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<JobItem>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {ITEM_COLUMNS} FROM job_items WHERE job = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
    ))?;
    let items = statement.query_map(params![clamp(job), clamp(JobId(after)), limit as i64], item_row)?;
    items.collect()
}

/// Records the failed attempts at a file and the time of the next one.
pub(crate) fn set_retry(
    connection: &Connection,
    key: &DocumentKey,
    attempts: u32,
    at: Option<UnixMs>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE documents SET attempts = ?2, retry_at = ?3 WHERE key = ?1 AND retired_seq IS NULL",
        )?
        .execute(params![key.as_str(), attempts, at.map(|at| at.0)])
        .map(drop)
}

pub(crate) fn next_retry(connection: &Connection) -> rusqlite::Result<Option<UnixMs>> {
    connection
        .prepare_cached(
            "SELECT min(retry_at) FROM documents WHERE retry_at IS NOT NULL AND retired_seq IS NULL",
        )?
        .query_row([], |row| Ok(row.get::<_, Option<i64>>(0)?.map(UnixMs)))
}

/// Numbers of jobs, and of log entries, whose rows cannot be decoded.
pub(crate) fn corrupt_jobs(connection: &Connection) -> rusqlite::Result<(Vec<i64>, Vec<i64>)> {
    fn corrupt_rows<T>(
        connection: &Connection,
        statement: &str,
        decode: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<i64>> {
        let mut statement = connection.prepare(statement)?;
        let (mut corrupt, mut rows) = (Vec::new(), statement.query([])?);
        while let Some(row) = rows.next()? {
            if decode(row).is_err() {
                corrupt.push(row.get(0)?);
            }
        }
        Ok(corrupt)
    }
    let jobs = format!("SELECT {JOB_COLUMNS} FROM jobs");
    let items = format!("SELECT {ITEM_COLUMNS} FROM job_items");
    Ok((
        corrupt_rows(connection, &jobs, job_row)?,
        corrupt_rows(connection, &items, item_row)?,
    ))
}

/// Deletes jobs and log entries that cannot be decoded. They only describe past work.
pub(crate) fn delete_corrupt_jobs(connection: &Connection) -> rusqlite::Result<()> {
    let (jobs, items) = corrupt_jobs(connection)?;
    for (delete, ids) in [
        ("DELETE FROM jobs WHERE id = ?1", jobs),
        ("DELETE FROM job_items WHERE id = ?1", items),
    ] {
        let mut delete = connection.prepare(delete)?;
        for id in ids {
            delete.execute([id])?;
        }
    }
    Ok(())
}

fn job_row(row: &Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: JobId(count(row, 0)?),
        cause: variant(row, 1)?,
        description: row.get(2)?,
        state: variant(row, 3)?,
        started_at: UnixMs(row.get(4)?),
        last_seen_at: UnixMs(row.get(5)?),
        ended_at: row.get::<_, Option<i64>>(6)?.map(UnixMs),
        end_reason: row.get(7)?,
        counts: JobCounts {
            added: count(row, 8)?,
            changed: count(row, 9)?,
            removed: count(row, 10)?,
            failed: count(row, 11)?,
            skipped: count(row, 12)?,
            unchanged: count(row, 13)?,
            passages: count(row, 14)?,
            embedded: count(row, 15)?,
        },
        progress: JobProgress {
            stage: row.get::<_, String>(16)?.parse().ok(),
            unchanged: count(row, 13)?,
            files_to_index: count(row, 17)?,
            files_done: count(row, 18)?,
            to_embed: count(row, 19)?,
            embedded: count(row, 20)?,
            eta_seconds: row
                .get::<_, Option<i64>>(21)?
                .map(|seconds| seconds.max(0) as u64),
        },
    })
}

fn item_row(row: &Row<'_>) -> rusqlite::Result<JobItem> {
    Ok(JobItem {
        id: count(row, 0)?,
        at: UnixMs(row.get(1)?),
        item: NewJobItem {
            key: DocumentKey::new(row.get::<_, String>(2)?),
            action: variant(row, 3)?,
            reason: row.get(4)?,
            passages: count(row, 5)?,
            milliseconds: count(row, 6)?,
        },
    })
}

/// A number as an SQLite integer, capped at the greatest SQLite integer.
fn clamp(JobId(id): JobId) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

fn count(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(at)?.max(0) as u64)
}

fn variant<T: std::str::FromStr<Err = UnknownVariant>>(row: &Row<'_>, at: usize) -> rusqlite::Result<T> {
    let string: String = row.get(at)?;
    string
        .parse()
        .map_err(|_| super::document_rows::corrupt(at, "job"))
}
