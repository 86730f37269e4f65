//! Opening and indexing behind a service that answers already.

use std::sync::Arc;
use std::thread::JoinHandle;

use autorag_indexer::{Cancel, IndexError, Progress};
use tokio::sync::watch;

use crate::corpus::{Access, Corpus, Plan};
use crate::progress;
use crate::service::Opening;

/// The thread that opens an index and brings it up to date.
pub struct Background {
    /// Where the opening stands.
    pub opening: watch::Receiver<Opening>,
    cancel: Cancel,
    thread: JoinHandle<()>,
}

impl Background {
    /// Starts it. Progress is shown on standard error where `show` says so.
    pub fn start(plan: Plan, show: progress::Show) -> Background {
        let (sender, opening) = watch::channel(Opening::Pending);
        let cancel = Cancel::default();
        let stop = cancel.clone();
        let thread = std::thread::spawn(move || work(plan, show, &sender, &stop));
        Background {
            opening,
            cancel,
            thread,
        }
    }

    /// Stops the run at its next safe point and waits for it.
    pub fn stop(self) {
        self.cancel.cancel();
        if self.thread.join().is_err() {
            tracing::error!(
                "the indexing thread panicked; the next start goes on from the last committed step"
            );
        }
    }
}

fn work(plan: Plan, show: progress::Show, opening: &watch::Sender<Opening>, cancel: &Cancel) {
    let corpus = match Corpus::open(plan, Access::WriteOrFollow) {
        Ok(corpus) => Arc::new(corpus),
        Err(error) => {
            tracing::error!("cannot open the index: {error:#}");
            opening.send_replace(Opening::Failed(format!("{error:#}").into()));
            return;
        }
    };
    opening.send_replace(Opening::Open(Arc::clone(&corpus)));
    if !corpus.writes() {
        return;
    }
    let progress = Arc::new(Progress::default());
    let outcome = progress::watched(show, &progress, || corpus.update(&progress, cancel));
    match outcome {
        Ok(report) => progress::say(show, &progress::summary(&report)),
        Err(IndexError::Cancelled) => {}
        Err(error) => tracing::error!("indexing stopped: {error}"),
    }
}
