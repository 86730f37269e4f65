//! Jobs: updates of the index that found something to do, with a log of what became of each file.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use crate::catalog::{self, Catalog};
use crate::{DocumentKey, Store, StoreError, UnixMs, lock};

/// What is said of a job whose end is not known.
const LOST: &str = "its end could not be written down; the next job goes on from there";

/// A job's number. Later jobs have greater ones; numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub u64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for JobId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<JobId, ParseIntError> {
        text.parse().map(JobId)
    }
}

string_enum! {
    /// Why there is a job.
    JobCause "job cause" {
        /// A command that brings the index up to date and ends.
        Command = "command",
        /// A process that keeps the index has started.
        Start = "start",
        /// The watcher has seen a change.
        Change = "change",
        /// It was time to look, and there was something, or something was to be tried again.
        Schedule = "schedule",
        /// Someone asked the process that keeps the index.
        Request = "request",
    }
}

string_enum! {
    /// Where a job stands.
    JobState "job state" {
        /// Under way, or about to be.
        Running = "running",
        /// Held until someone says to go on.
        Paused = "paused",
        /// At its end. Some of its files may have failed.
        Completed = "completed",
        /// Ended by an error.
        Failed = "failed",
        /// Ended because someone said so.
        Cancelled = "cancelled",
        /// The process that ran it has ended before it did.
        Interrupted = "interrupted",
    }
}

string_enum! {
    /// What became of a file in a job.
    ItemAction "job item action" {
        /// New, and searchable now.
        Added = "added",
        /// Searchable in its new form.
        Changed = "changed",
        /// No longer there, and no longer found.
        Removed = "removed",
        /// Could not be read or parsed.
        Failed = "failed",
        /// Left out on purpose.
        Skipped = "skipped",
    }
}

impl JobState {
    /// Whether the job is not at its end.
    pub fn is_open(self) -> bool {
        matches!(self, JobState::Running | JobState::Paused)
    }
}

/// What a job has done. A file is in one of the first six, as it is in the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Files that are new and searchable.
    pub added: u64,
    /// Files that are searchable in a new form.
    pub changed: u64,
    /// Documents whose file is gone.
    pub removed: u64,
    /// Files that could not be read or parsed.
    pub failed: u64,
    /// Files left out on purpose.
    pub skipped: u64,
    /// Files as they were.
    pub unchanged: u64,
    /// Passages of the files added and changed.
    pub passages: u64,
    /// Passages that got a vector.
    pub embedded: u64,
}

/// How far a job is. Whoever runs it says so about once a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobProgress {
    /// `scanning`, `indexing`, `embedding`, or empty where it is at none of them.
    pub stage: &'static str,
    /// Files as they were, so far as known.
    pub unchanged: u64,
    /// Files that are new or have changed.
    pub files_to_index: u64,
    /// Of those, files that have been dealt with.
    pub files_done: u64,
    /// Passages that had no vector when embedding began.
    pub to_embed: u64,
    /// Of those, passages that have one now.
    pub embedded: u64,
    /// Seconds until the end of the stage at the rate so far, where there is a rate.
    pub eta_seconds: Option<u64>,
}

/// A job as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// Why there is one.
    pub cause: JobCause,
    /// What whoever asked for it calls it.
    pub description: Option<String>,
    /// Where it stands.
    pub state: JobState,
    /// When it began.
    pub started_at: UnixMs,
    /// When it was last seen at work.
    pub last_seen_at: UnixMs,
    /// When it ended.
    pub ended_at: Option<UnixMs>,
    /// Why it ended, where there is more to say than that it is done.
    pub end_reason: Option<String>,
    /// What it has done.
    pub counts: JobCounts,
    /// How far it is, as last said.
    pub progress: JobProgress,
}

/// What became of a file, on its way into the log of the job under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJobItem {
    /// Key of its document.
    pub key: DocumentKey,
    /// What became of it.
    pub action: ItemAction,
    /// Why it failed or was left out.
    pub reason: Option<String>,
    /// How many passages it has now.
    pub passages: u64,
    /// Time spent on reading and parsing it.
    pub milliseconds: u64,
}

/// A line of a job's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobItem {
    /// Its number; later lines have greater ones.
    pub id: u64,
    /// When it was written.
    pub at: UnixMs,
    /// What became of which file.
    pub item: NewJobItem,
}

impl Store {
    /// Begins a job; what is applied from now on is logged as its doing. Old jobs make room for it.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn begin_job(&self, cause: JobCause, description: Option<&str>) -> Result<JobId, StoreError> {
        let job = self.register_job(cause, description)?;
        self.set_current_job(Some(job));
        Ok(job)
    }

    /// Keeps a job that is to run soon, by [`Store::start_job`].
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn register_job(&self, cause: JobCause, description: Option<&str>) -> Result<JobId, StoreError> {
        self.catalog().write(|transaction| {
            let job = catalog::insert_job(transaction, cause, description)?;
            catalog::prune_jobs(transaction)?;
            Ok(job)
        })
    }

    /// Goes on with a job that was held or registered, as [`Store::begin_job`] does with a new one.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn start_job(&self, job: JobId) -> Result<(), StoreError> {
        self.catalog()
            .write(|transaction| catalog::set_job_state(transaction, job, JobState::Running))?;
        self.set_current_job(Some(job));
        Ok(())
    }

    /// Ends what passes for running and cannot be, since a run is about to begin: the catalog could not be told of its end. The job
    /// `except` is the one of that run.
    ///
    /// # Errors
    /// When the catalog cannot be read or written.
    pub fn fail_stale_jobs(&self, except: Option<JobId>) -> Result<(), StoreError> {
        let open = self.catalog().read(catalog::open_jobs)?;
        for job in open {
            if job.state == JobState::Running && Some(job.id) != except {
                self.stop_job(job.id, JobState::Failed, Some(LOST))?;
            }
        }
        Ok(())
    }

    /// Says how far the job under way is.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn report_job(&self, job: JobId, progress: &JobProgress) -> Result<(), StoreError> {
        self.catalog()
            .write(|transaction| catalog::report_job(transaction, job, progress))
    }

    /// Holds or ends a job. One that nothing asked for and that has done nothing leaves no trace.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn stop_job(&self, job: JobId, state: JobState, reason: Option<&str>) -> Result<(), StoreError> {
        // From here on nothing is this job's doing, even if the catalog cannot be told.
        {
            let mut current = self.job.lock().unwrap_or_else(PoisonError::into_inner);
            current.take_if(|current| *current == job);
        }
        self.catalog().write(|transaction| {
            if state == JobState::Paused {
                return catalog::set_job_state(transaction, job, state);
            }
            catalog::end_job(transaction, job, state, reason)?;
            catalog::forget_idle_job(transaction, job)?;
            catalog::prune_jobs(transaction)
        })
    }

    /// Jobs before `before`, newest first.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn jobs(&self, before: Option<JobId>, limit: usize) -> Result<Vec<Job>, StoreError> {
        let mut jobs = self
            .catalog()
            .read(|connection| catalog::list_jobs(connection, before, limit))?;
        self.unmask(&mut jobs);
        Ok(jobs)
    }

    /// A job.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let mut found = self.catalog().read(|connection| catalog::job(connection, id))?;
        self.unmask(found.as_mut_slice());
        Ok(found)
    }

    /// The job that is under way or held, if there is one.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn open_job(&self) -> Result<Option<Job>, StoreError> {
        let mut open = self.catalog().read(catalog::open_jobs)?;
        self.unmask(&mut open);
        Ok(open.into_iter().find(|job| job.state.is_open()))
    }

    /// The log of a job, in the order it was written, after the line `after`.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn job_items(
        &self,
        job: JobId,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<JobItem>, StoreError> {
        self.catalog()
            .read(|connection| catalog::job_items(connection, job, after.unwrap_or(0), limit))
    }

    /// When a file that could not be read is to be tried again.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn next_retry(&self) -> Result<Option<UnixMs>, StoreError> {
        self.catalog().read(catalog::next_retry)
    }

    /// The job that changes are logged under, if one is running.
    pub(crate) fn current_job(&self) -> Option<JobId> {
        *self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_current_job(&self, job: Option<JobId>) {
        *self.job.lock().unwrap_or_else(PoisonError::into_inner) = job;
    }

    /// To a reader, a job that no process runs any more was interrupted; the next writer will note it down.
    fn unmask(&self, jobs: &mut [Job]) {
        let mut running = jobs
            .iter_mut()
            .filter(|job| job.state == JobState::Running)
            .peekable();
        if running.peek().is_some() && !self.has_writer() {
            for job in running {
                job.state = JobState::Interrupted;
                job.ended_at = Some(job.last_seen_at);
            }
        }
    }
}

/// Ends a job of the store in `dir` that no process runs, a held one say. `false` where some process has the store: that one is to
/// be asked, see [`Control`](crate::Control).
///
/// # Errors
/// When the catalog cannot be opened or written.
pub fn cancel_paused_job(dir: &std::path::Path, job: JobId) -> Result<bool, StoreError> {
    let _lock = match lock::acquire(dir) {
        Err(StoreError::LockHeld { .. }) => return Ok(false),
        acquired => acquired?,
    };
    let catalog = Catalog::open(dir)?;
    catalog.write(|transaction| catalog::end_job(transaction, job, JobState::Cancelled, None))?;
    Ok(true)
}

#[cfg(test)]
mod tests;
