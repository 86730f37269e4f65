//! A run as a job: begun when it finds something to do, seen by other processes while it goes on, ended with its reason.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use autorag_store::{Control, ErrorChain, JobCause, JobId, JobProgress, JobState, Store, StoreError};
use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::{Cancel, Halt, IndexError, Progress, ProgressSnapshot, RunReport, Stage};

/// How soon a wish that the run rest or end is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often progress is written down for others to see.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// What a job says that ended with its process.
const STOPPED: &str = "the process that ran it was told to stop; the next job goes on from there";

/// Keeps a run's job.
pub struct Journal {
    store: Arc<Store>,
    control: Control,
    cause: JobCause,
    job: Mutex<Option<JobId>>,
    /// Files that the job dealt with before it was held. To its second run they are unchanged.
    before: u64,
}

impl Journal {
    /// For a run that nobody has a job for yet. One that was held is gone on with.
    ///
    /// # Errors
    /// When the catalog cannot be read or written.
    pub fn new(store: Arc<Store>, cause: JobCause) -> Result<Journal, StoreError> {
        store.fail_stale_jobs(None)?;
        let control = Control::new(store.dir());
        let mut held = store.open_job()?.filter(|job| job.state == JobState::Paused);
        if let Some(job) = held.take_if(|job| control.is_cancelled(job.id)) {
            end_held(&store, &control, job.id)?;
        }
        match held {
            Some(job) => Journal::of(store, job.id),
            None => Ok(Journal {
                store,
                control,
                cause,
                job: Mutex::default(),
                before: 0,
            }),
        }
    }

    /// For a run that is this job.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn of(store: Arc<Store>, job: JobId) -> Result<Journal, StoreError> {
        store.fail_stale_jobs(Some(job))?;
        store.start_job(job)?;
        let done = store.job(job)?.map(|job| job.counts).unwrap_or_default();
        Ok(Journal {
            control: Control::new(store.dir()),
            store,
            cause: JobCause::Request,
            job: Some(job).into(),
            before: done.added + done.changed + done.failed + done.skipped,
        })
    }

    /// The run has found something to do.
    pub(crate) fn begin(&self) -> Result<(), StoreError> {
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        if job.is_none() {
            *job = Some(self.store.begin_job(self.cause, None)?);
        }
        Ok(())
    }

    /// Its job, once it has one.
    pub fn job(&self) -> Option<JobId> {
        *self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `run`, and has it stop where `cancel` says so, or someone who wants this job to end or indexing to rest.
    ///
    /// # Errors
    /// Those of `run`, and when the end of the job cannot be written down.
    pub fn keep(
        &self,
        progress: &Progress,
        cancel: &Cancel,
        run: impl FnOnce(&Cancel) -> Result<RunReport, IndexError>,
    ) -> Result<RunReport, IndexError> {
        let own = cancel.for_one_run();
        let (done, waiting) = bounded::<()>(0);
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut reported = Instant::now();
                while waiting.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                    self.look(&own);
                    if reported.elapsed() >= REPORT_EVERY {
                        self.report(progress);
                        reported = Instant::now();
                    }
                }
            });
            let outcome = run(&own);
            drop(done);
            outcome
        });
        let ended = self.end(progress, &outcome);
        let report = outcome?;
        ended?;
        Ok(report)
    }

    fn look(&self, run: &Cancel) {
        if self.control.is_paused() {
            run.halt(Halt::Pause);
        }
        if self.job().is_some_and(|job| self.control.is_cancelled(job)) {
            run.halt(Halt::Cancel);
        }
    }

    fn report(&self, progress: &Progress) {
        let Some(job) = self.job() else { return };
        let mut told = told(&progress.snapshot());
        told.unchanged = told.unchanged.saturating_sub(self.before);
        if let Err(error) = self.store.report_job(job, &told) {
            // A run that cannot write ends by itself.
            tracing::debug!(
                "the progress of job {job} was not written down: {}",
                ErrorChain(&error)
            );
        }
    }

    fn end(&self, progress: &Progress, outcome: &Result<RunReport, IndexError>) -> Result<(), StoreError> {
        let Some(job) = self.job() else { return Ok(()) };
        self.report(progress);
        let (state, reason) = match outcome {
            Ok(report) => {
                let waiting = report.unembedded.as_ref().map(|unembedded| {
                    format!(
                        "{} passages have no vector yet: {}",
                        unembedded.passages, unembedded.reason
                    )
                });
                (JobState::Completed, waiting)
            }
            Err(IndexError::Cancelled) => (JobState::Interrupted, Some(STOPPED.to_owned())),
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

/// Ends a job that is held, as someone has asked.
///
/// # Errors
/// When the catalog cannot be written.
pub fn end_held(store: &Store, control: &Control, job: JobId) -> Result<(), StoreError> {
    store.stop_job(job, JobState::Cancelled, None)?;
    control.clear_cancel()?;
    Ok(())
}

fn told(now: &ProgressSnapshot) -> JobProgress {
    JobProgress {
        stage: match now.stage {
            Stage::Scanning => "scanning",
            Stage::Indexing => "indexing",
            Stage::Embedding => "embedding",
            Stage::Checking | Stage::Done => "",
        },
        unchanged: now.unchanged,
        files_to_index: now.files_to_index,
        files_done: now.files_done,
        to_embed: now.to_embed,
        embedded: now.embedded,
        // A second that is begun counts: "0 s left" would be the end.
        eta_seconds: now.estimate().map(|left| left.as_secs() + 1),
    }
}
