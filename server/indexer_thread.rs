//! Opening an index and keeping it up to date, behind a service that answers already.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use autorag_embedder::EmbedError;
use autorag_indexer::{Cancel, IndexError, MissingEmbeddings, Progress, WalkReason, WatchOptions, Watcher};
use autorag_store::{ErrorChain, JobCause, UnixMs};
use tokio::sync::watch;

use crate::hint::{Interface, with_hint};
use crate::instance::{Access, Instance, InstanceConfig};
use crate::instance_handle::InstanceState;
use crate::progress::{self, Show};

/// How often a follower looks whether the process that it follows is gone.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(2);
/// How soon a folder that is gone is looked for again, …
const RETRY_ROOT: Duration = Duration::from_secs(2);
/// … and how soon a run that failed for another reason, a full disk say, is tried again.
const RETRY: Duration = Duration::from_secs(30);
/// How soon passages that the model's provider does not take, while it takes others, are offered to it again.
const RETRY_REFUSED: Duration = Duration::from_secs(300);
/// How soon a file is tried again that should have been and was not.
const RETRY_FILE: Duration = Duration::from_secs(60);
/// How often the thread that waits looks for what other processes and requests want of it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Added to the time after which the provider is worth asking, so that it is over then.
const MARGIN: Duration = Duration::from_millis(50);

/// The thread that opens an index and keeps it up to date.
pub struct IndexerThread {
    /// Where the opening stands.
    pub opening: watch::Receiver<InstanceState>,
    cancel: Cancel,
    thread: JoinHandle<()>,
}

impl IndexerThread {
    /// Starts it. Folders are watched as `watching` says, or read once. Progress of the first run is shown on standard error
    /// where `show` says so.
    pub fn start(config: InstanceConfig, watching: Option<WatchOptions>, show: Show) -> IndexerThread {
        let (sender, opening) = watch::channel(InstanceState::Opening);
        let cancel = Cancel::default();
        let stop = cancel.clone();
        let thread = std::thread::spawn(move || {
            if let Some(instance) = open(&config, &sender, &stop) {
                keep_up_to_date(&instance, watching, show, &stop);
            }
        });
        IndexerThread {
            opening,
            cancel,
            thread,
        }
    }

    /// Stops the run at its next safe point and waits for it.
    pub fn stop(self) {
        self.cancel.cancel();
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!(
                "the indexing thread panicked; the next start goes on from the last committed step"
            );
        }
    }
}

/// Opens the index, to be written by this process. While another one has it, that one is followed until it is gone.
fn open(
    config: &InstanceConfig,
    opening: &watch::Sender<InstanceState>,
    cancel: &Cancel,
) -> Option<Arc<Instance>> {
    loop {
        let instance = match Instance::open(config.clone(), Access::WriteOrFollow) {
            Ok(instance) => Arc::new(instance),
            Err(error) => {
                let reason = with_hint(error.as_ref(), Interface::CommandLine);
                tracing::error!("cannot open the index: {reason}");
                opening.send_if_modified(|state| {
                    // What can still be read of it is better than nothing.
                    let is_first = matches!(state, InstanceState::Opening);
                    if is_first {
                        *state = InstanceState::Failed(reason.into());
                    }
                    is_first
                });
                return None;
            }
        };
        opening.send_replace(InstanceState::Open(Arc::clone(&instance)));
        if instance.writes() {
            return Some(instance);
        }
        // What cannot be written is not to be taken over either.
        while instance.is_unwritable() || instance.has_writer() {
            std::thread::park_timeout(TAKE_OVER_EVERY);
            if cancel.is_cancelled() {
                return None;
            }
        }
        tracing::info!("the process that kept this index is gone; keeping it from here on");
    }
}

fn keep_up_to_date(instance: &Instance, watching: Option<WatchOptions>, show: Show, cancel: &Cancel) {
    let watcher = watching.map(Watcher::new);
    if instance.is_paused() && !rest(instance, cancel) {
        return;
    }
    let first = Arc::new(Progress::default());
    let outcome = progress::watched(show, &first, || {
        instance.update(&first, cancel, watcher.as_ref(), JobCause::Start)
    });
    if let Ok(report) = &outcome {
        progress::say(show, &progress::summary(report));
    }
    let mut missing = outcome
        .as_ref()
        .ok()
        .and_then(|report| report.missing_embeddings.clone());
    if let Some(missing) = &missing {
        tracing::warn!("{}", progress::without_vectors(missing));
    }
    if let Err(error) = &outcome {
        put_off(watcher.as_ref(), error);
    }
    let mut failure = outcome.err().filter(|error| !was_asked_for(error));
    if let Some(error) = &failure {
        tracing::error!("indexing stopped: {}", with_hint(error, Interface::CommandLine));
    }
    loop {
        let again = failure.as_ref().map(retry_after);
        let again = again.or_else(|| Some(embed_after(instance, missing.as_ref()?)));
        if let (Some(watcher), Some(after)) = (&watcher, again) {
            watcher.retry_after(after);
        }
        // Without a watcher, a run that failed is not tried again.
        let again = again.filter(|_| failure.is_none());
        let file = retry_file_after(instance);
        if let (Some(watcher), Some(after)) = (&watcher, file) {
            watcher.walk_within(after);
        }
        let due = again
            .into_iter()
            .chain(file)
            .min()
            .map(|after| Instant::now() + after);
        let Some(cause) = wait(instance, watcher.as_ref(), due, cancel) else {
            return;
        };
        (failure, missing) = update(instance, watcher.as_ref(), cause, failure, cancel);
    }
}

/// Waits until there is a reason for a run: the watcher's, or where there is none, that it is `due`; that someone asks for one; or
/// that indexing goes on after a rest. `None` when asked to stop.
fn wait(
    instance: &Instance,
    watcher: Option<&Watcher>,
    due: Option<Instant>,
    cancel: &Cancel,
) -> Option<JobCause> {
    while !cancel.is_cancelled() {
        if instance.is_paused() {
            return rest(instance, cancel).then_some(JobCause::Request);
        }
        if instance.has_requested_job() {
            return Some(JobCause::Request);
        }
        let reason = match watcher {
            Some(watcher) => watcher.wait(cancel, LOOK_EVERY),
            None => {
                let left = due.map_or(LOOK_EVERY, |due| due.saturating_duration_since(Instant::now()));
                std::thread::park_timeout(left.min(LOOK_EVERY));
                left.is_zero().then_some(WalkReason::Routine)
            }
        };
        match reason {
            // What happened after indexing was told to rest is for the run that comes after.
            Some(_) if instance.is_paused() => {}
            Some(WalkReason::Change) => return Some(JobCause::Change),
            Some(WalkReason::Routine) => return Some(JobCause::Schedule),
            None => {}
        }
    }
    None
}

/// Waits while indexing is to rest. `false` when asked to stop.
fn rest(instance: &Instance, cancel: &Cancel) -> bool {
    tracing::warn!("indexing is paused; `autorag jobs resume` goes on with it");
    let mut has_warned = false;
    while instance.is_paused() {
        if cancel.is_cancelled() {
            return false;
        }
        if let (Err(error), false) = (instance.settle_paused_jobs(), has_warned) {
            tracing::error!("could not update the paused job: {}", ErrorChain(&error));
            has_warned = true;
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
    tracing::info!("indexing goes on");
    true
}

/// A job that someone has ended is not begun anew for changes that were noticed meanwhile.
fn put_off(watcher: Option<&Watcher>, error: &IndexError) {
    if let (Some(watcher), IndexError::JobCancelled) = (watcher, error) {
        watcher.discard_changes();
    }
}

/// Whether someone wanted the run to end.
fn was_asked_for(error: &IndexError) -> bool {
    matches!(
        error,
        IndexError::Cancelled | IndexError::Paused | IndexError::JobCancelled
    )
}

/// How soon a file that could not be read is tried again.
fn retry_file_after(instance: &Instance) -> Option<Duration> {
    let at = instance.next_retry().ok()??;
    let now = UnixMs::now();
    // What is over has just been tried, or no walk comes to the file.
    let wait = if at < now {
        RETRY_FILE
    } else {
        at.saturating_since(now)
    };
    Some(wait + MARGIN)
}

/// One update after the first run. Why it failed, which is told once and not at each attempt, and what a provider left out.
fn update(
    instance: &Instance,
    watcher: Option<&Watcher>,
    cause: JobCause,
    failure: Option<IndexError>,
    cancel: &Cancel,
) -> (Option<IndexError>, Option<MissingEmbeddings>) {
    let progress = Arc::new(match cause {
        JobCause::Schedule => Progress::routine(),
        _ => Progress::default(),
    });
    if cause == JobCause::Schedule
        && let Err(error) = instance.verify_lexical()
    {
        tracing::warn!("the lexical index could not be looked at: {}", ErrorChain(&error));
    }
    match instance.update(&progress, cancel, watcher, cause) {
        Ok(report) => {
            if failure.is_some() {
                tracing::info!("indexing works again");
            }
            if let Some(line) = progress::what_changed(&report) {
                tracing::info!("{line}");
            }
            (None, report.missing_embeddings)
        }
        Err(error) if was_asked_for(&error) => {
            put_off(watcher, &error);
            (failure, None)
        }
        Err(error) => {
            let known =
                failure.is_some_and(|known| ErrorChain(&known).to_string() == ErrorChain(&error).to_string());
            if !known {
                tracing::error!("indexing stopped: {}", with_hint(&error, Interface::CommandLine));
            }
            (Some(error), None)
        }
    }
}

/// How soon passages without vectors are worth another attempt.
fn embed_after(instance: &Instance, missing: &MissingEmbeddings) -> Duration {
    let outage = instance.outage();
    match (outage, &missing.reason) {
        (Some(outage), _) => outage.retry_in + MARGIN,
        (None, EmbedError::TextRefused { .. }) => RETRY_REFUSED,
        // Up again meanwhile, as a query has found.
        (None, _) => RETRY_ROOT,
    }
}

fn retry_after(error: &IndexError) -> Duration {
    match error {
        IndexError::Root { .. } => RETRY_ROOT,
        _ => RETRY,
    }
}
