//! How far a run is, and the wish that it stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use crate::IndexError;

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Finding files and comparing them with what is known.
    Scanning,
    /// Parsing files and making them searchable by BM25.
    Indexing,
    /// Building vectors.
    Embedding,
    /// Over.
    Done,
    /// Looking whether anything has changed, without a reason to think so.
    Checking,
}

/// Counters of a run. Whoever watches reads them while the run writes.
#[derive(Debug, Default)]
pub struct Progress {
    stage: AtomicU8,
    files_seen: AtomicU64,
    files_to_index: AtomicU64,
    files_done: AtomicU64,
    to_embed: AtomicU64,
    embedded: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressSnapshot {
    /// What the run is at.
    pub stage: Stage,
    /// Files found.
    pub files_seen: u64,
    /// Files that are new or have changed, so far as known.
    pub files_to_index: u64,
    /// Of those, files that have been dealt with.
    pub files_done: u64,
    /// Passages that had no vector when embedding began.
    pub to_embed: u64,
    /// Of those, passages that have one now.
    pub embedded: u64,
}

impl Progress {
    /// Counters of a run that nothing has asked for: until it finds something to do, it is at [`Stage::Checking`].
    pub fn routine() -> Progress {
        Progress {
            stage: AtomicU8::new(Stage::Checking as u8),
            ..Progress::default()
        }
    }

    /// The counters now.
    pub fn snapshot(&self) -> ProgressSnapshot {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ProgressSnapshot {
            stage: match self.stage.load(Ordering::Relaxed) {
                0 => Stage::Scanning,
                1 => Stage::Indexing,
                2 => Stage::Embedding,
                3 => Stage::Done,
                _ => Stage::Checking,
            },
            files_seen: read(&self.files_seen),
            files_to_index: read(&self.files_to_index),
            files_done: read(&self.files_done),
            to_embed: read(&self.to_embed),
            embedded: read(&self.embedded),
        }
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// The run looks at every file, perhaps once more.
    pub(crate) fn scan(&self) {
        if self.snapshot().stage != Stage::Checking {
            self.enter(Stage::Scanning);
        }
        self.files_seen.store(0, Ordering::Relaxed);
        self.files_done.store(0, Ordering::Relaxed);
        self.embedded.store(0, Ordering::Relaxed);
    }

    pub(crate) fn found_file(&self) {
        self.files_seen.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_files_to_index(&self, count: usize) {
        self.files_to_index.store(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn finished_file(&self) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_to_embed(&self, count: u64) {
        self.to_embed.store(count, Ordering::Relaxed);
    }

    pub(crate) fn embedded(&self, count: usize) {
        self.embedded.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// A wish that a run stop, shared by whoever may have it and the run.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the run to stop at its next safe point.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn check(&self) -> Result<(), IndexError> {
        if self.is_cancelled() {
            Err(IndexError::Cancelled)
        } else {
            Ok(())
        }
    }
}
