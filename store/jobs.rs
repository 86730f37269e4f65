//! Jobs: index updates that found work, each with a log of the files it handled.

use std::fmt;
use std::num::ParseIntError;
use std::path::Path;
use std::str::FromStr;
use std::sync::{MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::catalog::{self, Catalog};
use crate::{DocumentKey, Store, StoreError, UnixMs, lock};

/// End reason of a job whose real end could not be written.
const END_UNRECORDED: &str = "the end of the job could not be recorded; the next job resumes";

/// Number of a job. Later jobs have greater numbers, and numbers are never reused.
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
    /// What started a job.
    JobCause "job cause" {
        /// A command that updates the index and exits.
        Command = "command",
        /// The start of a process that keeps the index up to date.
        Start = "start",
        /// A change reported by the file watcher.
        Change = "change",
        /// A scheduled check, or a file that was due for another attempt.
        Schedule = "schedule",
        /// A request to the process that keeps the index up to date.
        Request = "request",
    }
}

string_enum! {
    /// State of a job.
    JobState "job state" {
        /// In progress, or about to start.
        Running = "running",
        /// Paused until it is resumed.
        Paused = "paused",
        /// Finished. Some of its files may have failed.
        Completed = "completed",
        /// Ended by an error.
        Failed = "failed",
        /// Cancelled on request.
        Cancelled = "cancelled",
        /// Its process ended first.
        Interrupted = "interrupted",
    }
}

string_enum! {
    /// Stage of a running job.
    JobStage "job stage" {
        /// Listing files and comparing them with the catalog.
        Scanning = "scanning",
        /// Reading and parsing files.
        Indexing = "indexing",
        /// Computing embeddings.
        Embedding = "embedding",
    }
}

string_enum! {
    /// What a job did with a file.
    ItemAction "job item action" {
        /// Added a new document.
        Added = "added",
        /// Replaced a document by its new version.
        Changed = "changed",
        /// Removed the document of a deleted file.
        Removed = "removed",
        /// Could not read or parse the file.
        Failed = "failed",
        /// Skipped the file.
        Skipped = "skipped",
    }
}

impl JobState {
    /// Whether the job has not ended.
    pub fn is_open(self) -> bool {
        matches!(self, JobState::Running | JobState::Paused)
    }
}

/// Counts of a job. Each file is counted once, in one of the first six fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Documents added.
    pub added: u64,
    /// Documents replaced by a new version.
    pub changed: u64,
    /// Documents removed.
    pub removed: u64,
    /// Files that could not be read or parsed.
    pub failed: u64,
    /// Files that were skipped.
    pub skipped: u64,
    /// Files that had not changed.
    pub unchanged: u64,
    /// Passages of the added and changed documents.
    pub passages: u64,
    /// Passages that were embedded.
    pub embedded: u64,
}

/// Progress of a job. Its process reports it about once a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobProgress {
    /// Current stage. `None` between stages.
    pub stage: Option<JobStage>,
    /// Unchanged files found so far.
    pub unchanged: u64,
    /// New and changed files.
    pub files_to_index: u64,
    /// How many of `files_to_index` are finished.
    pub files_done: u64,
    /// Passages without a vector at the start of embedding.
    pub to_embed: u64,
    /// How many of `to_embed` have a vector now.
    pub embedded: u64,
    /// Estimated seconds until the end of the stage. `None` until a rate is known.
    pub eta_seconds: Option<u64>,
}

/// A recorded job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Number of the job.
    pub id: JobId,
    /// What started the job.
    pub cause: JobCause,
    /// Description given by the requester.
    pub description: Option<String>,
    /// State of the job.
    pub state: JobState,
    /// Start of the job.
    pub started_at: UnixMs,
    /// Last report of its process.
    pub last_seen_at: UnixMs,
    /// End of the job.
    pub ended_at: Option<UnixMs>,
    /// Why the job ended, if a reason was recorded.
    pub end_reason: Option<String>,
    /// Counts so far.
    pub counts: JobCounts,
    /// Progress at the last report.
    pub progress: JobProgress,
}

/// A log entry to write under the current job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewJobItem {
    /// Key of the document.
    pub key: DocumentKey,
    /// What the job did with the file.
    pub action: ItemAction,
    /// Why the file failed or was skipped.
    pub reason: Option<String>,
    /// Number of passages the document has now.
    pub passages: u64,
    /// Time spent on reading and parsing the file.
    pub milliseconds: u64,
}

/// An entry of a job's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobItem {
    /// Number of the entry. Later entries have greater numbers.
    pub id: u64,
    /// Time of writing.
    pub at: UnixMs,
    /// The entry itself.
    pub item: NewJobItem,
}

impl Store {
    /// Starts a new job. Changes applied from now on are logged under it. The oldest jobs are deleted if there are too many.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn begin_job(&self, cause: JobCause, description: Option<&str>) -> Result<JobId, StoreError> {
        let job = self.register_job(cause, description)?;
        *self.current_job_slot() = Some(job);
        Ok(job)
    }

    /// Records a job to be started soon with [`Store::start_job`].
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

    /// Starts a registered job, or resumes a paused one. Changes applied from now on are logged under it.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn start_job(&self, job: JobId) -> Result<(), StoreError> {
        self.catalog()
            .write(|transaction| catalog::set_job_state(transaction, job, JobState::Running))?;
        *self.current_job_slot() = Some(job);
        Ok(())
    }

    /// Marks all running jobs as failed, except `except`, the job of the new run. Call this at the start of a run: the other jobs
    /// are leftovers whose end could not be written.
    ///
    /// # Errors
    /// When the catalog cannot be read or written.
    pub fn fail_stale_jobs(&self, except: Option<JobId>) -> Result<(), StoreError> {
        let open = self.catalog().read(catalog::open_jobs)?;
        for job in open {
            if job.state == JobState::Running && Some(job.id) != except {
                self.stop_job(job.id, JobState::Failed, Some(END_UNRECORDED))?;
            }
        }
        Ok(())
    }

    /// Records the progress of a running job.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn report_job(&self, job: JobId, progress: &JobProgress) -> Result<(), StoreError> {
        self.catalog()
            .write(|transaction| catalog::set_job_progress(transaction, job, progress))
    }

    /// Pauses or ends a job. A scheduled job that completed without doing anything is deleted.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn stop_job(&self, job: JobId, state: JobState, reason: Option<&str>) -> Result<(), StoreError> {
        // Changes must not be logged under the job any more, even if writing to the catalog fails below.
        self.current_job_slot().take_if(|current| *current == job);
        self.catalog().write(|transaction| {
            if state == JobState::Paused {
                return catalog::set_job_state(transaction, job, state);
            }
            catalog::end_job(transaction, job, state, reason)?;
            catalog::delete_idle_job(transaction, job)?;
            catalog::prune_jobs(transaction)
        })
    }

    /// At most `limit` jobs with numbers below `before`, newest first.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn jobs(&self, before: Option<JobId>, limit: usize) -> Result<Vec<Job>, StoreError> {
        let mut jobs = self
            .catalog()
            .read(|connection| catalog::list_jobs(connection, before, limit))?;
        self.mark_interrupted(&mut jobs);
        Ok(jobs)
    }

    /// The job with number `id`.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let mut job = self
            .catalog()
            .read(|connection| catalog::find_job(connection, id))?;
        self.mark_interrupted(job.as_mut_slice());
        Ok(job)
    }

    /// The running or paused job, if there is one.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn open_job(&self) -> Result<Option<Job>, StoreError> {
        let mut open = self.catalog().read(catalog::open_jobs)?;
        self.mark_interrupted(&mut open);
        Ok(open.into_iter().find(|job| job.state.is_open()))
    }

    /// At most `limit` entries of a job's log with numbers above `after`, in the order of writing.
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

    /// The earliest time at which a file that could not be read is due for another attempt.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn next_retry(&self) -> Result<Option<UnixMs>, StoreError> {
        self.catalog().read(catalog::next_retry)
    }

    /// The job that changes are logged under.
    pub(crate) fn current_job(&self) -> Option<JobId> {
        *self.current_job_slot()
    }

    fn current_job_slot(&self) -> MutexGuard<'_, Option<JobId>> {
        self.current_job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows running jobs as interrupted if no process has the store open for writing. The next writer records the same.
    fn mark_interrupted(&self, jobs: &mut [Job]) {
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

/// Cancels a job of the store in `dir` while no process has the store open for writing, for example a paused job.
///
/// Returns `false` if a process has the store open. In that case, request the cancellation through [`Control`](crate::Control).
///
/// # Errors
/// When the catalog cannot be opened or written.
pub fn cancel_paused_job(dir: &Path, job: JobId) -> Result<bool, StoreError> {
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
