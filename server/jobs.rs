//! Jobs as callers see them: which there are, and what can be asked of them.

use autorag_store::{Control, Job, JobCause, JobId, JobState, Store, StoreError};

use crate::error_kind::ErrorKind;
use crate::instance::Instance;

/// What can be asked of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// That it end. What it has not done is for the next one.
    Cancel,
    /// That indexing rest, over restarts too.
    Pause,
    /// That indexing go on.
    Resume,
}

/// Something that cannot be asked of a job, or not of this process.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// There is no such job.
    #[error(
        "there is no job {0}, or it is so old that it was forgotten; GET /v1/jobs and `autorag jobs` list them"
    )]
    NoSuchJob(JobId),
    /// It is over.
    #[error("job {id} is {} already", .state.as_str())]
    Ended {
        /// Which.
        id: JobId,
        /// How it ended.
        state: JobState,
    },
    /// Nothing runs while indexing rests.
    #[error(
        "indexing is paused; resume it first, with `autorag jobs resume` or the action \"resume\" of a job"
    )]
    Paused,
    /// Another process keeps the index.
    #[error("another process keeps this index; ask that one for a job")]
    Followed,
    /// A file that says what is wanted could not be written.
    #[error("the wish could not be noted down")]
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
            JobError::Followed => ErrorKind::NotTheWriter,
            JobError::Control(_) | JobError::Store(_) => ErrorKind::Internal,
        }
    }
}

/// A job of a store.
///
/// # Errors
/// [`JobError::NoSuchJob`], and when the catalog cannot be read.
pub fn job(store: &Store, id: JobId) -> Result<Job, JobError> {
    store.job(id)?.ok_or(JobError::NoSuchJob(id))
}

/// Asks something of a job. Whoever runs it notices within a second or so.
///
/// # Errors
/// Where it cannot be asked, or the wish cannot be noted down.
pub fn ask(store: &Store, id: JobId, action: Action) -> Result<Job, JobError> {
    let job = job(store, id)?;
    let control = Control::new(store.dir());
    // A pause is one of the whole index: any job can end it, since the one under way then may have ended meanwhile.
    let allowed = job.state.is_open() || action == Action::Resume && control.is_paused();
    if !allowed {
        let state = job.state;
        return Err(JobError::Ended { id, state });
    }
    match action {
        Action::Cancel => control.cancel(id)?,
        Action::Pause => control.pause()?,
        Action::Resume => control.resume()?,
    }
    Ok(job)
}

impl Instance {
    /// Has the folders looked through soon: the job for it, and whether it was under way already.
    ///
    /// # Errors
    /// Where indexing rests, or is another process's business.
    pub fn request_job(&self, description: Option<&str>) -> Result<(Job, bool), JobError> {
        let store = self.engine().store();
        if !self.writes() {
            return Err(JobError::Followed);
        }
        if self.is_paused() {
            return Err(JobError::Paused);
        }
        let mut requested = self.requested();
        if let Some(job) = store.open_job()? {
            return Ok((job, true));
        }
        let id = store.register_job(JobCause::Request, description)?;
        *requested = Some(id);
        Ok((job(store, id)?, false))
    }

    /// Whether indexing is to rest.
    pub fn is_paused(&self) -> bool {
        Control::new(self.engine().store().dir()).is_paused()
    }
}
