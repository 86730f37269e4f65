//! Opening an index and keeping it up to date, behind a service that answers already.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use autorag_indexer::{Cancel, IndexError, Progress, Reason, WatchOptions, Watcher};
use tokio::sync::watch;

use crate::corpus::{Access, Corpus, Plan};
use crate::progress::{self, Show};
use crate::service::Opening;

/// How often a follower looks whether the process that it follows is gone.
const TAKE_OVER_EVERY: Duration = Duration::from_secs(2);
/// How soon a folder that is gone is looked for again, …
const RETRY_ROOT: Duration = Duration::from_secs(2);
/// … and how soon a run that failed for another reason, a full disk say, is tried again.
const RETRY: Duration = Duration::from_secs(30);

/// The thread that opens an index and keeps it up to date.
pub struct Background {
    /// Where the opening stands.
    pub opening: watch::Receiver<Opening>,
    cancel: Cancel,
    thread: JoinHandle<()>,
}

impl Background {
    /// Starts it. Folders are watched as `watching` says, or read once. Progress of the first run is shown on standard error
    /// where `show` says so.
    pub fn start(plan: Plan, watching: Option<WatchOptions>, show: Show) -> Background {
        let (sender, opening) = watch::channel(Opening::Pending);
        let cancel = Cancel::default();
        let stop = cancel.clone();
        let thread = std::thread::spawn(move || {
            if let Some(corpus) = open(&plan, &sender, &stop) {
                keep_up_to_date(&corpus, watching, show, &stop);
            }
        });
        Background {
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
fn open(plan: &Plan, opening: &watch::Sender<Opening>, cancel: &Cancel) -> Option<Arc<Corpus>> {
    loop {
        let corpus = match Corpus::open(plan.clone(), Access::WriteOrFollow) {
            Ok(corpus) => Arc::new(corpus),
            Err(error) => {
                tracing::error!("cannot open the index: {error:#}");
                opening.send_if_modified(|state| {
                    // What can still be read of it is better than nothing.
                    let is_first = matches!(state, Opening::Pending);
                    if is_first {
                        *state = Opening::Failed(format!("{error:#}").into());
                    }
                    is_first
                });
                return None;
            }
        };
        opening.send_replace(Opening::Open(Arc::clone(&corpus)));
        if corpus.writes() {
            return Some(corpus);
        }
        while corpus.engine().store().has_writer() {
            std::thread::park_timeout(TAKE_OVER_EVERY);
            if cancel.is_cancelled() {
                return None;
            }
        }
        tracing::info!("the process that kept this index is gone; keeping it from here on");
    }
}

fn keep_up_to_date(corpus: &Corpus, watching: Option<WatchOptions>, show: Show, cancel: &Cancel) {
    let watcher = watching.map(Watcher::new);
    let first = Arc::new(Progress::default());
    let outcome = progress::watched(show, &first, || corpus.update(&first, cancel, watcher.as_ref()));
    if let Ok(report) = &outcome {
        progress::say(show, &progress::summary(report));
    }
    let mut failure = outcome.err();
    if let Some(error) = &failure
        && !matches!(error, IndexError::Cancelled)
    {
        tracing::error!("indexing stopped: {error}");
    }
    let Some(watcher) = watcher else { return };
    loop {
        if let Some(error) = &failure {
            watcher.retry(retry_after(error));
        }
        let Some(reason) = watcher.wait(cancel) else {
            return;
        };
        failure = update(corpus, &watcher, reason, failure, cancel);
    }
}

/// One update after the first run. Why it failed, which is told once and not at each attempt.
fn update(
    corpus: &Corpus,
    watcher: &Watcher,
    reason: Reason,
    failure: Option<IndexError>,
    cancel: &Cancel,
) -> Option<IndexError> {
    let progress = Arc::new(match reason {
        Reason::Change => Progress::default(),
        Reason::Routine => Progress::routine(),
    });
    match corpus.update(&progress, cancel, Some(watcher)) {
        Ok(report) => {
            if failure.is_some() {
                tracing::info!("indexing works again");
            }
            if let Some(line) = progress::what_changed(&report) {
                tracing::info!("{line}");
            }
            None
        }
        Err(IndexError::Cancelled) => failure,
        Err(error) => {
            let known = failure.is_some_and(|known| known.to_string() == error.to_string());
            if !known {
                tracing::error!("indexing stopped: {error}");
            }
            Some(error)
        }
    }
}

fn retry_after(error: &IndexError) -> Duration {
    match error {
        IndexError::Root { .. } => RETRY_ROOT,
        _ => RETRY,
    }
}
