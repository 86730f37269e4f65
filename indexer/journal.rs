//! Records a run as a job. The job begins when the run finds work, and ends with a state and a reason. Other
//! processes see its progress in the catalog.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use autorag_store::{
    Control, ErrorChain, JobCause, JobId, JobProgress, JobStage, JobState, Store, StoreError,
};
use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::{Cancel, Halt, IndexError, Progress, ProgressSnapshot, RunReport, Stage};

/// How often the run checks for a request to pause or cancel.
const CHECK_EVERY: Duration = Duration::from_millis(500);
/// How often progress is written for other processes.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// End reason of a job whose process was stopped.
const INTERRUPTED: &str = "its process was stopped; the next job resumes";

/// Records one run as a job.
pub struct Journal {
    store: Arc<Store>,
    control: Control,
    cause: JobCause,
    job: Mutex<Option<JobId>>,
    /// Files that the job processed before it was paused. The resumed run counts them as unchanged.
    processed_before: u64,
}

impl Journal {
    /// A journal for a run that has no job yet. A paused job is resumed.
    ///
    /// # Errors
    /// If the catalog cannot be read or written.
    pub fn new(store: Arc<Store>, cause: JobCause) -> Result<Journal, StoreError> {
        store.fail_stale_jobs(None)?;
        let control = Control::new(store.dir());
        let mut paused = store.open_job()?.filter(|job| job.state == JobState::Paused);
        if let Some(job) = paused.take_if(|job| control.is_cancelled(job.id)) {
            cancel_paused_job(&store, &control, job.id)?;
        }
        match paused {
            Some(job) => Journal::for_job(store, job.id),
            None => Ok(Journal {
                store,
                control,
                cause,
                job: Mutex::default(),
                processed_before: 0,
            }),
        }
    }

    /// A journal for a run that executes `job`, which was requested or paused.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn for_job(store: Arc<Store>, job: JobId) -> Result<Journal, StoreError> {
        store.fail_stale_jobs(Some(job))?;
        store.start_job(job)?;
        let counts = store.job(job)?.map(|job| job.counts).unwrap_or_default();
        Ok(Journal {
            control: Control::new(store.dir()),
            store,
            cause: JobCause::Request,
            job: Some(job).into(),
            processed_before: counts.added + counts.changed + counts.failed + counts.skipped,
        })
    }

    /// Begins the job, since the run has found work.
    pub(crate) fn begin(&self) -> Result<(), StoreError> {
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        if job.is_none() {
            *job = Some(self.store.begin_job(self.cause, None)?);
        }
        Ok(())
    }

    /// The job, once there is one.
    pub fn job(&self) -> Option<JobId> {
        *self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes `run` and records it. The run stops when `cancel` asks for it, when its job is cancelled and
    /// when indexing is paused.
    ///
    /// # Errors
    /// Those of `run`, and if the end of the job cannot be written.
    pub fn record(
        &self,
        progress: &Progress,
        cancel: &Cancel,
        run: impl FnOnce(&Cancel) -> Result<RunReport, IndexError>,
    ) -> Result<RunReport, IndexError> {
        let cancel = cancel.for_one_run();
        let (done, waiting) = bounded::<()>(0);
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut reported = Instant::now();
                while waiting.recv_timeout(CHECK_EVERY) == Err(RecvTimeoutError::Timeout) {
                    self.check_control(&cancel);
                    if reported.elapsed() >= REPORT_EVERY {
                        self.report(progress);
                        reported = Instant::now();
                    }
                }
            });
            let outcome = run(&cancel);
            drop(done);
            outcome
        });
        let ended = self.end(progress, &outcome);
        let report = outcome?;
        ended?;
        Ok(report)
    }

    fn check_control(&self, cancel: &Cancel) {
        if self.control.is_paused() {
            cancel.halt(Halt::Pause);
        }
        if self.job().is_some_and(|job| self.control.is_cancelled(job)) {
            cancel.halt(Halt::Cancel);
        }
    }

    fn report(&self, progress: &Progress) {
        let Some(job) = self.job() else { return };
        let mut current = job_progress(&progress.snapshot());
        current.unchanged = current.unchanged.saturating_sub(self.processed_before);
        if let Err(error) = self.store.report_job(job, &current) {
            // A run that cannot write the catalog soon fails with an error of its own.
            tracing::debug!("cannot write the progress of job {job}: {}", ErrorChain(&error));
        }
    }

    fn end(&self, progress: &Progress, outcome: &Result<RunReport, IndexError>) -> Result<(), StoreError> {
        let Some(job) = self.job() else { return Ok(()) };
        self.report(progress);
        let (state, reason) = match outcome {
            Ok(report) => {
                let missing = report.missing_embeddings.as_ref().map(|missing| {
                    format!(
                        "{} passages have no embedding yet: {}",
                        missing.passages, missing.reason
                    )
                });
                (JobState::Completed, missing)
            }
            Err(IndexError::Cancelled) => (JobState::Interrupted, Some(INTERRUPTED.to_owned())),
            Err(IndexError::Paused) => (JobState::Paused, None),
            Err(IndexError::JobCancelled) => (JobState::Cancelled, None),
            Err(error) => (JobState::Failed, Some(ErrorChain(error).to_string())),
        };
        self.store.stop_job(job, state, reason.as_deref())?;
        if state != JobState::Paused && self.control.is_cancelled(job) {
            self.control.clear_cancel()?;
        }
        Ok(())
    }
}

/// Cancels a paused job, as requested.
///
/// # Errors
/// If the catalog cannot be written.
pub fn cancel_paused_job(store: &Store, control: &Control, job: JobId) -> Result<(), StoreError> {
    store.stop_job(job, JobState::Cancelled, None)?;
    control.clear_cancel()?;
    Ok(())
}

fn job_progress(now: &ProgressSnapshot) -> JobProgress {
    JobProgress {
        stage: match now.stage {
            Stage::Scanning => Some(JobStage::Scanning),
            Stage::Indexing => Some(JobStage::Indexing),
            Stage::Embedding => Some(JobStage::Embedding),
            Stage::Checking | Stage::Done => None,
        },
        unchanged: now.unchanged,
        files_to_index: now.files_to_index,
        files_done: now.files_done,
        to_embed: now.to_embed,
        embedded: now.embedded,
        // Rounded up: 0 seconds would mean the end.
        eta_seconds: now.estimate().map(|left| left.as_secs() + 1),
    }
}
