//! Progress of a run, and the request to stop it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::IndexError;

/// Stage of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Lists files and compares them with the catalog.
    Scanning,
    /// Parses files and indexes them for keyword search.
    Indexing,
    /// Embeds passages.
    Embedding,
    /// Finished.
    Done,
    /// Lists files on a schedule, with no sign of a change.
    Checking,
}

/// Counters of a run. The run writes them; any thread may read them meanwhile.
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

/// Measures how long the stage has lasted.
#[derive(Debug)]
struct Clock {
    created: Instant,
    /// When the stage began, milliseconds since `created`.
    stage: AtomicU64,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock {
            created: Instant::now(),
            stage: AtomicU64::default(),
        }
    }
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressSnapshot {
    /// Current stage.
    pub stage: Stage,
    /// Files listed so far.
    pub files_seen: u64,
    /// New and changed files found so far.
    pub files_to_index: u64,
    /// New and changed files processed so far.
    pub files_done: u64,
    /// Passages without an embedding when embedding began.
    pub to_embed: u64,
    /// Passages embedded since then.
    pub embedded: u64,
    /// Files found to be up to date so far.
    pub unchanged: u64,
    /// How long the current stage has lasted.
    pub in_stage: Duration,
}

/// Shortest time in a stage before an estimate, because an early rate is too noisy.
const MIN_TIME: Duration = Duration::from_secs(1);

impl ProgressSnapshot {
    /// Time until the end of the stage at the rate so far; `None` while no rate is known.
    pub fn estimate(&self) -> Option<Duration> {
        let (done, total) = match self.stage {
            Stage::Indexing => (self.files_done, self.files_to_index),
            Stage::Embedding => (self.embedded, self.to_embed),
            Stage::Scanning | Stage::Checking | Stage::Done => return None,
        };
        if done == 0 || self.in_stage < MIN_TIME {
            return None;
        }
        let left = total.saturating_sub(done) as f64 / done as f64;
        Duration::try_from_secs_f64(self.in_stage.as_secs_f64() * left).ok()
    }
}

impl Progress {
    /// Counters of a scheduled run. It stays at [`Stage::Checking`] until it finds work.
    pub fn routine() -> Progress {
        Progress {
            stage: AtomicU8::new(Stage::Checking as u8),
            ..Progress::default()
        }
    }

    /// The current counters.
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

    /// Begins a walk over all files. A run may walk more than once.
    pub(crate) fn begin_scan(&self) {
        if self.snapshot().stage != Stage::Checking {
            self.enter(Stage::Scanning);
        }
        self.files_seen.store(0, Ordering::Relaxed);
        self.files_done.store(0, Ordering::Relaxed);
        self.embedded.store(0, Ordering::Relaxed);
    }

    pub(crate) fn add_file_seen(&self) {
        self.files_seen.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_files_to_index(&self, count: usize) {
        self.files_to_index.store(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_unchanged(&self, count: u64) {
        self.unchanged.store(count, Ordering::Relaxed);
    }

    pub(crate) fn add_file_done(&self) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_to_embed(&self, count: u64) {
        self.to_embed.store(count, Ordering::Relaxed);
        self.embedded.store(0, Ordering::Relaxed);
        self.clock.stage.store(self.clock.now(), Ordering::Relaxed);
    }

    pub(crate) fn add_embedded(&self, count: usize) {
        self.embedded.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl Clock {
    fn now(&self) -> u64 {
        u64::try_from(self.created.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Why a run stops early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// The process is shutting down.
    Stop,
    /// Indexing is paused.
    Pause,
    /// The job is cancelled.
    Cancel,
}

/// A request to stop, shared between a run and the threads that may stop it. Clones share the request.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    halt: Arc<AtomicU8>,
    /// The request that stops all runs.
    all_runs: Option<Arc<AtomicU8>>,
}

impl Cancel {
    /// Asks the run to stop at its next safe point.
    pub fn cancel(&self) {
        self.halt(Halt::Stop);
    }

    /// Asks the run to stop at its next safe point, for this reason.
    pub fn halt(&self, reason: Halt) {
        self.halt.store(reason as u8 + 1, Ordering::Relaxed);
    }

    /// A request for one run alone. That run also stops when `self` asks all runs to stop.
    #[must_use]
    pub fn for_one_run(&self) -> Cancel {
        Cancel {
            halt: Arc::default(),
            all_runs: Some(Arc::clone(&self.halt)),
        }
    }

    /// Whether the run was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.reason().is_some()
    }

    fn reason(&self) -> Option<Halt> {
        let read = |halt: &AtomicU8| match halt.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Halt::Stop),
            2 => Some(Halt::Pause),
            _ => Some(Halt::Cancel),
        };
        // Shutdown of the process wins over pausing or cancelling one run.
        self.all_runs
            .as_deref()
            .and_then(read)
            .or_else(|| read(&self.halt))
    }

    pub(crate) fn check(&self) -> Result<(), IndexError> {
        match self.reason() {
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
    fn the_estimate_extrapolates_the_rate() {
        assert_eq!(embedding(50, 200, 10), Some(Duration::from_secs(30)));
        assert_eq!(embedding(200, 200, 10), Some(Duration::ZERO));
        assert_eq!(embedding(0, 200, 10), None, "no rate yet");
        assert_eq!(embedding(50, 200, 0), None, "too early for a rate");
        assert_eq!(Progress::default().snapshot().estimate(), None);
    }

    #[test]
    fn a_run_stops_for_its_own_reason_or_with_all_runs() {
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
