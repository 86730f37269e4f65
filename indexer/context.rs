//! Handles that a run shares with other parts of the process.

use autorag_store::StoreError;

use crate::{Cancel, Journal, Progress, Watcher};

/// Handles through which a run is observed, stopped and recorded.
#[derive(Clone, Copy)]
pub struct RunContext<'a> {
    /// Counters that the run updates.
    pub progress: &'a Progress,
    /// Stops the run at its next safe point.
    pub cancel: &'a Cancel,
    /// Learns which folders to watch. When the watcher has a walk due, embedding pauses for that walk.
    pub watcher: Option<&'a Watcher>,
    /// Records the run as a job once the run finds work. Without a journal there is no job.
    pub journal: Option<&'a Journal>,
}

impl<'a> RunContext<'a> {
    /// A run without a watcher that leaves no job.
    pub fn new(progress: &'a Progress, cancel: &'a Cancel) -> RunContext<'a> {
        RunContext {
            progress,
            cancel,
            watcher: None,
            journal: None,
        }
    }

    /// Whether the watcher has a walk due.
    pub(crate) fn is_walk_due(&self) -> bool {
        self.watcher.is_some_and(Watcher::is_due)
    }

    /// Begins the job, if the run is recorded and has none yet.
    pub(crate) fn begin_job(&self) -> Result<(), StoreError> {
        self.journal.map_or(Ok(()), Journal::begin)
    }
}
