//! Jobs: listing, requesting and controlling them.

use autorag_store::{Control, Job, JobCause, JobId, JobItem, JobState, Store, StoreError, string_enum};

use crate::error_kind::ErrorKind;
use crate::instance::Instance;

string_enum! {
    /// What a user can do to a job.
    JobAction "job action" {
        /// Cancel the job; the next one picks up what is left.
        Cancel = "cancel",
        /// Pause indexing until it is resumed, even if the process restarts.
        Pause = "pause",
        /// Resume indexing.
        Resume = "resume",
    }
}

/// Why a job could not be found, requested or controlled.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// No job has this number, or the job was deleted as one of the oldest.
    #[error("there is no job {0}, or it was deleted because of its age")]
    NoSuchJob(JobId),
    /// The job has ended.
    #[error("job {id} is already {state}")]
    Ended {
        /// The job.
        id: JobId,
        /// How it ended.
        state: JobState,
    },
    /// No job can be requested while indexing is paused.
    #[error("indexing is paused")]
    Paused,
    /// Another process updates the index.
    #[error("another process updates this index")]
    NotTheWriter,
    /// The file that passes the action to the writer could not be written.
    #[error("could not write the request")]
    Control(#[from] std::io::Error),
    /// The catalog could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl JobError {
    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            JobError::NoSuchJob(_) => ErrorKind::NotFound,
            JobError::Ended { .. } => ErrorKind::JobEnded,
            JobError::Paused => ErrorKind::Paused,
            JobError::NotTheWriter => ErrorKind::NotTheWriter,
            JobError::Control(_) | JobError::Store(_) => ErrorKind::Internal,
        }
    }
}

/// The job `id` of a store.
///
/// # Errors
/// [`JobError::NoSuchJob`], or when the catalog cannot be read.
pub fn find_job(store: &Store, id: JobId) -> Result<Job, JobError> {
    store.job(id)?.ok_or(JobError::NoSuchJob(id))
}

/// Applies `action` to a job and returns the job as it was before. The process that runs the job notices within a second or so.
///
/// # Errors
/// When the job does not exist or has ended, or the request cannot be written.
pub fn control_job(store: &Store, id: JobId, action: JobAction) -> Result<Job, JobError> {
    let job = find_job(store, id)?;
    let control = Control::new(store.dir());
    // A pause holds for the whole index. Any job may end it, because the paused one may have ended meanwhile.
    let is_allowed = job.state.is_open() || action == JobAction::Resume && control.is_paused();
    if !is_allowed {
        let state = job.state;
        return Err(JobError::Ended { id, state });
    }
    match action {
        JobAction::Cancel => control.cancel(id)?,
        JobAction::Pause => control.pause()?,
        JobAction::Resume => control.resume()?,
    }
    Ok(job)
}

impl Instance {
    /// Up to `limit` jobs with numbers below `before`, newest first.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn jobs(&self, before: Option<JobId>, limit: usize) -> Result<Vec<Job>, JobError> {
        Ok(self.store().jobs(before, limit)?)
    }

    /// The job `id`.
    ///
    /// # Errors
    /// As [`find_job`].
    pub fn job(&self, id: JobId) -> Result<Job, JobError> {
        find_job(self.store(), id)
    }

    /// Up to `limit` entries of a job's log after the entry `after`, oldest first.
    ///
    /// # Errors
    /// As [`find_job`].
    pub fn job_items(&self, id: JobId, after: Option<u64>, limit: usize) -> Result<Vec<JobItem>, JobError> {
        find_job(self.store(), id)?;
        Ok(self.store().job_items(id, after, limit)?)
    }

    /// Applies `action` to a job and returns the job as it was before.
    ///
    /// # Errors
    /// As [`control_job`].
    pub fn control_job(&self, id: JobId, action: JobAction) -> Result<Job, JobError> {
        control_job(self.store(), id, action)
    }

    /// Requests a run over the sources. Returns its job, and whether that job was open already.
    ///
    /// # Errors
    /// When indexing is paused, or another process updates the index.
    pub fn request_job(&self, description: Option<&str>) -> Result<(Job, bool), JobError> {
        if !self.writes() {
            return Err(JobError::NotTheWriter);
        }
        if self.is_paused() {
            return Err(JobError::Paused);
        }
        let mut requested = self.requested();
        if let Some(job) = self.store().open_job()? {
            return Ok((job, true));
        }
        let id = self.store().register_job(JobCause::Request, description)?;
        *requested = Some(id);
        Ok((self.job(id)?, false))
    }

    /// True while indexing is paused.
    pub fn is_paused(&self) -> bool {
        self.control().is_paused()
    }

    /// True if a job was requested and no run has started it.
    pub fn has_requested_job(&self) -> bool {
        self.requested().is_some()
    }

    /// Applies a pause to jobs that are not running: pauses a requested job, and ends a paused one that was cancelled.
    ///
    /// # Errors
    /// When the catalog or the file with the request cannot be read or written.
    pub fn settle_paused_jobs(&self) -> Result<(), StoreError> {
        if let Some(job) = self.requested().take() {
            self.store().stop_job(job, JobState::Paused, None)?;
        }
        let control = self.control();
        match self.store().open_job()? {
            Some(job) if control.is_cancelled(job.id) => {
                autorag_indexer::cancel_paused_job(self.store(), &control, job.id)
            }
            _ => Ok(()),
        }
    }

    fn control(&self) -> Control {
        Control::new(self.store().dir())
    }
}
