//! The thread that opens an index and keeps it up to date. Requests are answered meanwhile.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use autorag_embedder::EmbedError;
use autorag_indexer::{
    Cancel, IndexError, MissingEmbeddings, Progress, RunReport, WalkReason, WatchOptions, Watcher,
};
use autorag_store::{ErrorChain, JobCause, UnixMs};
use tokio::sync::watch;

use crate::hint::{Interface, with_hint};
use crate::instance::{Access, Instance, InstanceConfig};
use crate::instance_handle::InstanceState;
use crate::progress::{self, ProgressDisplay};

/// Interval at which a follower checks whether the writer is gone.
const CHECK_WRITER_EVERY: Duration = Duration::from_secs(2);
/// Delay of a cheap retry that is likely to succeed: a missing folder, or a provider that works again.
const RETRY_SOON: Duration = Duration::from_secs(2);
/// Delay of a retry after any other failure, such as a full disk.
const RETRY: Duration = Duration::from_secs(30);
/// Delay before the provider gets rejected passages again, if it accepted others.
const RETRY_REFUSED: Duration = Duration::from_secs(300);
/// Delay of the next retry of a file whose retry is overdue.
const RETRY_OVERDUE_FILE: Duration = Duration::from_secs(60);
/// Interval at which the waiting thread checks for requests, pauses and resumes.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// Added to a delay, because a thread may wake slightly before the moment it waits for.
const MARGIN: Duration = Duration::from_millis(50);

/// Handle of the thread that opens an index and keeps it up to date.
pub struct IndexerThread {
    /// The state of the instance.
    pub state: watch::Receiver<InstanceState>,
    cancel: Cancel,
    thread: JoinHandle<()>,
}

impl IndexerThread {
    /// Starts the thread. Without `watch_options`, folders are read once and then only on request or for retries. The progress of
    /// the first run is shown on `display`.
    pub fn start(
        config: InstanceConfig,
        watch_options: Option<WatchOptions>,
        display: ProgressDisplay,
    ) -> IndexerThread {
        let (sender, state) = watch::channel(InstanceState::Opening);
        let cancel = Cancel::default();
        let stop = cancel.clone();
        let thread = std::thread::spawn(move || {
            if let Some(instance) = open(&config, &sender, &stop) {
                keep_up_to_date(&instance, watch_options, display, &stop);
            }
        });
        IndexerThread {
            state,
            cancel,
            thread,
        }
    }

    /// Stops the run at its next safe point and joins the thread.
    pub fn stop(self) {
        self.cancel.cancel();
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!("the indexing thread panicked; the next start resumes after the last commit");
        }
    }
}

/// Opens the index for writing. While another process writes it, follows that process. Returns `None` if the index cannot be
/// opened, or after `cancel`.
fn open(
    config: &InstanceConfig,
    state: &watch::Sender<InstanceState>,
    cancel: &Cancel,
) -> Option<Arc<Instance>> {
    loop {
        let instance = match Instance::open(config.clone(), Access::WriteOrFollow) {
            Ok(instance) => Arc::new(instance),
            Err(error) => {
                let reason = with_hint(error.as_ref(), Interface::CommandLine);
                tracing::error!("cannot open the index: {reason}");
                state.send_if_modified(|state| {
                    // If an earlier opening succeeded, that read-only instance keeps answering.
                    let is_first = matches!(state, InstanceState::Opening);
                    if is_first {
                        *state = InstanceState::Failed(reason.into());
                    }
                    is_first
                });
                return None;
            }
        };
        state.send_replace(InstanceState::Open(Arc::clone(&instance)));
        if instance.writes() {
            return Some(instance);
        }
        // This process cannot become the writer of a read-only index, so it follows until it ends.
        while instance.is_read_only() || instance.has_writer() {
            std::thread::park_timeout(CHECK_WRITER_EVERY);
            if cancel.is_cancelled() {
                return None;
            }
        }
        tracing::info!("the process that updated this index is gone; this process updates it from now on");
    }
}

/// What is left to do after a run.
#[derive(Default)]
struct Unfinished {
    /// Why the run failed. Cancelling or pausing a run is not a failure.
    failure: Option<IndexError>,
    /// Passages that the provider returned no embeddings for.
    missing: Option<MissingEmbeddings>,
}

impl Unfinished {
    fn after(outcome: Result<RunReport, IndexError>) -> Unfinished {
        match outcome {
            Ok(report) => Unfinished {
                failure: None,
                missing: report.missing_embeddings,
            },
            Err(error) => Unfinished {
                failure: Some(error).filter(|error| !is_requested_stop(error)),
                missing: None,
            },
        }
    }

    /// Delay of the next attempt. `None` if nothing is left to do.
    fn retry_after(&self, instance: &Instance) -> Option<Duration> {
        if let Some(failure) = &self.failure {
            return Some(match failure {
                IndexError::Root { .. } => RETRY_SOON,
                _ => RETRY,
            });
        }
        let missing = self.missing.as_ref()?;
        Some(match (instance.outage(), &missing.reason) {
            (Some(outage), _) => outage.retry_in + MARGIN,
            (None, EmbedError::TextRefused { .. }) => RETRY_REFUSED,
            // A query has found the provider available again.
            (None, _) => RETRY_SOON,
        })
    }
}

fn keep_up_to_date(
    instance: &Instance,
    watch_options: Option<WatchOptions>,
    display: ProgressDisplay,
    cancel: &Cancel,
) {
    let watcher = watch_options.map(Watcher::new);
    let watcher = watcher.as_ref();
    if instance.is_paused() && !wait_while_paused(instance, cancel) {
        return;
    }
    let mut unfinished = first_run(instance, watcher, display, cancel);
    loop {
        let retry = unfinished.retry_after(instance);
        let retry_file = retry_file_after(instance);
        if let Some(watcher) = watcher {
            if let Some(delay) = retry {
                watcher.retry_after(delay);
            }
            if let Some(delay) = retry_file {
                watcher.walk_within(delay);
            }
        }
        // Without a watcher, a failed run is not retried.
        let retry = retry.filter(|_| unfinished.failure.is_none());
        let delay = retry.into_iter().chain(retry_file).min();
        let due = delay.map(|delay| Instant::now() + delay);
        let Some(cause) = wait(instance, watcher, due, cancel) else {
            return;
        };
        unfinished = next_run(instance, watcher, cause, unfinished.failure, cancel);
    }
}

fn first_run(
    instance: &Instance,
    watcher: Option<&Watcher>,
    display: ProgressDisplay,
    cancel: &Cancel,
) -> Unfinished {
    let counters = Arc::new(Progress::default());
    let outcome = display.show_during(&counters, || {
        instance.update(&counters, cancel, watcher, JobCause::Start)
    });
    match &outcome {
        Ok(report) => display.print(&progress::summary(report)),
        Err(error) => discard_changes_if_cancelled(watcher, error),
    }
    let unfinished = Unfinished::after(outcome);
    if let Some(missing) = &unfinished.missing {
        tracing::warn!("{}", progress::missing_embeddings_note(missing));
    }
    if let Some(error) = &unfinished.failure {
        tracing::error!("indexing stopped: {}", with_hint(error, Interface::CommandLine));
    }
    unfinished
}

/// A run after the first. Logs a failure unless it is the same as `last_failure`.
fn next_run(
    instance: &Instance,
    watcher: Option<&Watcher>,
    cause: JobCause,
    last_failure: Option<IndexError>,
    cancel: &Cancel,
) -> Unfinished {
    let is_routine = cause == JobCause::Schedule;
    let counters = Arc::new(if is_routine {
        Progress::routine()
    } else {
        Progress::default()
    });
    if is_routine && let Err(error) = instance.verify_lexical() {
        tracing::warn!("could not check the lexical index: {}", ErrorChain(&error));
    }
    let outcome = instance.update(&counters, cancel, watcher, cause);
    match &outcome {
        Ok(report) => {
            if last_failure.is_some() {
                tracing::info!("indexing works again");
            }
            if let Some(line) = progress::change_summary(report) {
                tracing::info!("{line}");
            }
        }
        Err(error) if is_requested_stop(error) => {
            discard_changes_if_cancelled(watcher, error);
            // The failure persists until a run succeeds.
            return Unfinished {
                failure: last_failure,
                missing: None,
            };
        }
        Err(error) => {
            let is_repeated = last_failure
                .is_some_and(|last| ErrorChain(&last).to_string() == ErrorChain(error).to_string());
            if !is_repeated {
                tracing::error!("indexing stopped: {}", with_hint(error, Interface::CommandLine));
            }
        }
    }
    Unfinished::after(outcome)
}

/// Waits until a run is due: the watcher asks for one, `due` passes if there is no watcher, a job is requested, or indexing is
/// resumed. Returns `None` after `cancel`.
fn wait(
    instance: &Instance,
    watcher: Option<&Watcher>,
    due: Option<Instant>,
    cancel: &Cancel,
) -> Option<JobCause> {
    while !cancel.is_cancelled() {
        if instance.is_paused() {
            return wait_while_paused(instance, cancel).then_some(JobCause::Request);
        }
        if instance.has_requested_job() {
            return Some(JobCause::Request);
        }
        let reason = if let Some(watcher) = watcher {
            watcher.wait(cancel, POLL_EVERY)
        } else {
            let left = due.map_or(POLL_EVERY, |due| due.saturating_duration_since(Instant::now()));
            std::thread::park_timeout(left.min(POLL_EVERY));
            left.is_zero().then_some(WalkReason::Routine)
        };
        match reason {
            // Indexing was paused meanwhile. The run after the pause picks up the change.
            Some(_) if instance.is_paused() => {}
            Some(WalkReason::Change) => return Some(JobCause::Change),
            Some(WalkReason::Routine) => return Some(JobCause::Schedule),
            None => {}
        }
    }
    None
}

/// Waits until indexing is resumed. Returns false after `cancel`.
fn wait_while_paused(instance: &Instance, cancel: &Cancel) -> bool {
    tracing::warn!("indexing is paused; run `autorag jobs resume` to resume it");
    let mut has_warned = false;
    while instance.is_paused() {
        if cancel.is_cancelled() {
            return false;
        }
        if let Err(error) = instance.settle_paused_jobs()
            && !has_warned
        {
            tracing::error!("could not update the paused job: {}", ErrorChain(&error));
            has_warned = true;
        }
        std::thread::park_timeout(POLL_EVERY);
    }
    tracing::info!("indexing is resumed");
    true
}

/// After a job was cancelled, discards the recorded changes: they would start the same job again.
fn discard_changes_if_cancelled(watcher: Option<&Watcher>, error: &IndexError) {
    if let (Some(watcher), IndexError::JobCancelled) = (watcher, error) {
        watcher.discard_changes();
    }
}

/// True if a user or the process stopped the run.
fn is_requested_stop(error: &IndexError) -> bool {
    matches!(
        error,
        IndexError::Cancelled | IndexError::Paused | IndexError::JobCancelled
    )
}

/// Delay until an unreadable file is due for a retry. `None` if no file is unreadable.
fn retry_file_after(instance: &Instance) -> Option<Duration> {
    let at = instance.next_retry().ok()??;
    let now = UnixMs::now();
    // An overdue file was either just retried, or no walk reaches it.
    let delay = if at < now {
        RETRY_OVERDUE_FILE
    } else {
        at.saturating_since(now)
    };
    Some(delay + MARGIN)
}
