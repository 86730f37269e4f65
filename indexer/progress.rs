//! How far a run is, and the wish that it stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

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
    unchanged: AtomicU64,
    clock: Clock,
}

/// When the stage began, in milliseconds since the counters were made.
#[derive(Debug)]
struct Clock {
    made: Instant,
    stage: AtomicU64,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock {
            made: Instant::now(),
            stage: AtomicU64::default(),
        }
    }
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
    /// Files as they were, so far as known.
    pub unchanged: u64,
    /// How long the stage has lasted.
    pub in_stage: Duration,
}

/// Before so long, a rate says little.
const LEAST_TIME: Duration = Duration::from_secs(1);

impl ProgressSnapshot {
    /// How long the stage still takes at the rate so far; `None` where there is no telling yet.
    pub fn estimate(&self) -> Option<Duration> {
        let (done, all) = match self.stage {
            Stage::Indexing => (self.files_done, self.files_to_index),
            Stage::Embedding => (self.embedded, self.to_embed),
            Stage::Scanning | Stage::Checking | Stage::Done => return None,
        };
        if done == 0 || self.in_stage < LEAST_TIME {
            return None;
        }
        let left = all.saturating_sub(done) as f64 / done as f64;
        Duration::try_from_secs_f64(self.in_stage.as_secs_f64() * left).ok()
    }
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
            unchanged: read(&self.unchanged),
            in_stage: Duration::from_millis(self.clock.now().saturating_sub(read(&self.clock.stage))),
        }
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
        self.clock.stage.store(self.clock.now(), Ordering::Relaxed);
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

    pub(crate) fn set_unchanged(&self, count: u64) {
        self.unchanged.store(count, Ordering::Relaxed);
    }

    pub(crate) fn finished_file(&self) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_to_embed(&self, count: u64) {
        self.to_embed.store(count, Ordering::Relaxed);
        self.embedded.store(0, Ordering::Relaxed);
        self.clock.stage.store(self.clock.now(), Ordering::Relaxed);
    }

    pub(crate) fn embedded(&self, count: usize) {
        self.embedded.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl Clock {
    fn now(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Why a run is to end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// The process ends.
    Stop,
    /// Someone has indexing rest.
    Pause,
    /// Someone wants this job to end.
    Cancel,
}

/// A wish that a run stop, shared by whoever may have it and the run.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    halt: Arc<AtomicU8>,
    /// Whoever stops all runs.
    of_all: Option<Arc<AtomicU8>>,
}

impl Cancel {
    /// Asks the run to stop at its next safe point.
    pub fn cancel(&self) {
        self.halt(Halt::Stop);
    }

    /// Asks the run to stop at its next safe point, for a reason.
    pub fn halt(&self, why: Halt) {
        self.halt.store(why as u8 + 1, Ordering::Relaxed);
    }

    /// A wish for one run alone, which stops too when all are to.
    #[must_use]
    pub fn for_one_run(&self) -> Cancel {
        Cancel {
            halt: Arc::default(),
            of_all: Some(Arc::clone(&self.halt)),
        }
    }

    /// Whether it was asked to.
    pub fn is_cancelled(&self) -> bool {
        self.why().is_some()
    }

    fn why(&self) -> Option<Halt> {
        let read = |halt: &AtomicU8| match halt.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Halt::Stop),
            2 => Some(Halt::Pause),
            _ => Some(Halt::Cancel),
        };
        // The end of the process comes first: a run that is held may be ended, not the other way round.
        self.of_all.as_deref().and_then(read).or_else(|| read(&self.halt))
    }

    pub(crate) fn check(&self) -> Result<(), IndexError> {
        match self.why() {
            None => Ok(()),
            Some(Halt::Stop) => Err(IndexError::Cancelled),
            Some(Halt::Pause) => Err(IndexError::Paused),
            Some(Halt::Cancel) => Err(IndexError::JobCancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedding(embedded: u64, to_embed: u64, seconds: u64) -> Option<Duration> {
        let now = ProgressSnapshot {
            stage: Stage::Embedding,
            in_stage: Duration::from_secs(seconds),
            to_embed,
            embedded,
            ..Progress::default().snapshot()
        };
        now.estimate()
    }

    #[test]
    fn the_estimate_is_the_rate_so_far() {
        assert_eq!(embedding(50, 200, 10), Some(Duration::from_secs(30)));
        assert_eq!(embedding(200, 200, 10), Some(Duration::ZERO));
        assert_eq!(embedding(0, 200, 10), None, "there is no rate");
        assert_eq!(embedding(50, 200, 0), None, "it says little");
        assert_eq!(Progress::default().snapshot().estimate(), None);
    }

    #[test]
    fn one_run_ends_for_its_own_reason_or_with_all() {
        let all = Cancel::default();
        let (one, other) = (all.for_one_run(), all.for_one_run());
        one.halt(Halt::Pause);
        assert!(matches!(one.check(), Err(IndexError::Paused)));
        assert!(other.check().is_ok() && all.check().is_ok());
        all.cancel();
        for cancel in [&all, &one, &other] {
            assert!(matches!(cancel.check(), Err(IndexError::Cancelled)));
        }
    }
}
