//! Schedules the next walk.

use std::time::{Duration, Instant};

/// A walk starts when no event has arrived for this long: the writer is probably done.
const QUIET: Duration = Duration::from_millis(200);
/// A steady stream of changes delays a walk by at most this.
const MAX_DELAY: Duration = Duration::from_secs(2);
/// After a walk, the next walk for a change waits this many times the walk's duration. Otherwise a large folder
/// that changes all the time would keep the machine busy.
const CHANGE_COOLDOWN: u32 = 4;
/// Like [`CHANGE_COOLDOWN`], for the next routine walk.
const ROUTINE_COOLDOWN: u32 = 20;

/// Why a walk is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WalkReason {
    /// An event says that something may have changed.
    Change,
    /// A scheduled walk or retry, without an event.
    Routine,
}

/// The changes since the last walk began, and the planned routine walk.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// Times of the first and the last change.
    changes: Option<(Instant, Instant)>,
    /// Earliest time of a walk for a change.
    cooldown_until: Option<Instant>,
    /// Time of the next routine walk.
    routine: Option<Instant>,
}

impl Schedule {
    /// Records that something may have changed.
    pub(super) fn record_change(&mut self, now: Instant) {
        let first = self.changes.map_or(now, |(first, _)| first);
        self.changes = Some((first, now));
    }

    /// Drops the recorded changes.
    pub(super) fn discard_changes(&mut self) {
        self.changes = None;
    }

    /// Begins a walk, which covers every change recorded so far.
    pub(super) fn begin_walk(&mut self) {
        self.changes = None;
        self.routine = None;
    }

    /// Ends a walk that lasted `took`. Plans the next routine walk after `every`; `None` plans none.
    pub(super) fn end_walk(&mut self, now: Instant, took: Duration, every: Option<Duration>) {
        self.cooldown_until = Some(now + took * CHANGE_COOLDOWN);
        self.routine = every.map(|every| now + every.max(took * ROUTINE_COOLDOWN));
    }

    /// Plans a retry of a failed run.
    pub(super) fn retry_at(&mut self, at: Instant) {
        self.routine = Some(at);
    }

    /// Plans a routine walk at `at` or earlier.
    pub(super) fn walk_by(&mut self, at: Instant) {
        self.routine = Some(self.routine.map_or(at, |planned| planned.min(at)));
    }

    /// When the next walk is due, and why. `None` if only a change can cause one.
    pub(super) fn next(&self) -> Option<(Instant, WalkReason)> {
        let change = self.changes.map(|(first, last)| {
            let settled = (last + QUIET).min(first + MAX_DELAY);
            let at = self
                .cooldown_until
                .map_or(settled, |earliest| earliest.max(settled));
            (at, WalkReason::Change)
        });
        let routine = self.routine.map(|at| (at, WalkReason::Routine));
        match (change, routine) {
            (Some(change), Some(routine)) if routine.0 < change.0 => Some(routine),
            (change, routine) => change.or(routine),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn changes_are_batched_until_it_is_quiet() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        assert_eq!(schedule.next(), None);
        schedule.record_change(start);
        schedule.record_change(start + ms(150));
        assert_eq!(
            schedule.next(),
            Some((start + ms(150) + QUIET, WalkReason::Change))
        );
        schedule.begin_walk();
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn a_steady_stream_delays_a_walk_by_a_bounded_time() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        for tick in 0..100 {
            schedule.record_change(start + ms(tick * 100));
        }
        assert_eq!(schedule.next(), Some((start + MAX_DELAY, WalkReason::Change)));
    }

    #[test]
    fn a_change_during_a_walk_causes_another_after_a_cooldown() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        schedule.begin_walk();
        schedule.record_change(start + ms(10));
        schedule.end_walk(start + ms(1000), ms(1000), None);
        assert_eq!(
            schedule.next(),
            Some((start + ms(1000) + ms(1000) * CHANGE_COOLDOWN, WalkReason::Change))
        );
        schedule.begin_walk();
        schedule.end_walk(start + ms(9000), ms(1), None);
        schedule.record_change(start + ms(20_000));
        assert_eq!(
            schedule.next(),
            Some((start + ms(20_000) + QUIET, WalkReason::Change)),
            "a cooldown that has passed delays nothing"
        );
    }

    #[test]
    fn routine_walks_keep_their_interval_and_their_share_of_time() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        schedule.end_walk(start, ms(10), Some(ms(2000)));
        assert_eq!(schedule.next(), Some((start + ms(2000), WalkReason::Routine)));
        schedule.record_change(start + ms(500));
        assert_eq!(
            schedule.next(),
            Some((start + ms(500) + QUIET, WalkReason::Change))
        );
        schedule.begin_walk();
        schedule.end_walk(start, ms(1000), Some(ms(2000)));
        assert_eq!(
            schedule.next(),
            Some((start + ms(1000) * ROUTINE_COOLDOWN, WalkReason::Routine))
        );
        schedule.begin_walk();
        assert_eq!(schedule.next(), None, "the run failed before its walk ended");
        schedule.retry_at(start + ms(700));
        assert_eq!(schedule.next(), Some((start + ms(700), WalkReason::Routine)));
        schedule.walk_by(start + ms(900));
        assert_eq!(schedule.next(), Some((start + ms(700), WalkReason::Routine)));
        schedule.walk_by(start + ms(600));
        assert_eq!(schedule.next(), Some((start + ms(600), WalkReason::Routine)));
    }
}
