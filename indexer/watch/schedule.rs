//! When the folders are to be walked next.

use std::time::{Duration, Instant};

/// When nothing has happened for so long, whoever was writing is taken to be done.
const QUIET: Duration = Duration::from_millis(200);
/// A steady stream of changes puts off a walk by no more than this.
const PATIENCE: Duration = Duration::from_secs(2);
/// After a walk, the next one for a change waits so many times as long as that one took, so that a large folder in which
/// something always happens does not occupy the machine …
const REST: u32 = 4;
/// … and the next one without a reason so many times.
const ROUTINE_REST: u32 = 20;

/// Why folders are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Something may have changed.
    Change,
    /// It is time to look whether something has.
    Routine,
}

/// What is known of changes since the last walk began, and what is planned in any case.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// The first and the last change.
    changes: Option<(Instant, Instant)>,
    /// No walk for a change before this.
    rests_until: Option<Instant>,
    routine: Option<Instant>,
}

impl Schedule {
    /// Something may have changed.
    pub(super) fn changed(&mut self, now: Instant) {
        let first = self.changes.map_or(now, |(first, _)| first);
        self.changes = Some((first, now));
    }

    /// What has changed so far is no reason to walk.
    pub(super) fn forget(&mut self) {
        self.changes = None;
    }

    /// A walk begins.
    pub(super) fn walking(&mut self) {
        self.changes = None;
        self.routine = None;
    }

    /// It has ended, and another one is wanted in any case `every` so often.
    pub(super) fn walked(&mut self, now: Instant, took: Duration, every: Option<Duration>) {
        self.rests_until = Some(now + took * REST);
        self.routine = every.map(|every| now + every.max(took * ROUTINE_REST));
    }

    /// The run has failed and is to be tried again at `at`.
    pub(super) fn retry(&mut self, at: Instant) {
        self.routine = Some(at);
    }

    /// A walk is wanted at `at` at the latest.
    pub(super) fn no_later_than(&mut self, at: Instant) {
        self.routine = Some(self.routine.map_or(at, |planned| planned.min(at)));
    }

    /// When the next walk is due, and why. `None` where only a change will bring one about.
    pub(super) fn next(&self) -> Option<(Instant, Reason)> {
        let change = self.changes.map(|(first, last)| {
            let settled = (last + QUIET).min(first + PATIENCE);
            let at = self.rests_until.map_or(settled, |rested| rested.max(settled));
            (at, Reason::Change)
        });
        let routine = self.routine.map(|at| (at, Reason::Routine));
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
    fn changes_are_taken_together_once_it_is_quiet() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        assert_eq!(schedule.next(), None);
        schedule.changed(start);
        schedule.changed(start + ms(150));
        assert_eq!(schedule.next(), Some((start + ms(150) + QUIET, Reason::Change)));
        schedule.walking();
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn a_steady_stream_is_not_waited_out() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        for tick in 0..100 {
            schedule.changed(start + ms(tick * 100));
        }
        assert_eq!(schedule.next(), Some((start + PATIENCE, Reason::Change)));
    }

    #[test]
    fn a_change_during_a_walk_brings_another_one_after_a_rest() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        schedule.walking();
        schedule.changed(start + ms(10));
        schedule.walked(start + ms(1000), ms(1000), None);
        assert_eq!(
            schedule.next(),
            Some((start + ms(1000) + ms(1000) * REST, Reason::Change))
        );
        schedule.walking();
        schedule.walked(start + ms(9000), ms(1), None);
        schedule.changed(start + ms(20_000));
        assert_eq!(
            schedule.next(),
            Some((start + ms(20_000) + QUIET, Reason::Change)),
            "a rest that is long over delays nothing"
        );
    }

    #[test]
    fn walks_without_a_reason_come_as_planned_but_never_take_over() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        schedule.walked(start, ms(10), Some(ms(2000)));
        assert_eq!(schedule.next(), Some((start + ms(2000), Reason::Routine)));
        schedule.changed(start + ms(500));
        assert_eq!(schedule.next(), Some((start + ms(500) + QUIET, Reason::Change)));
        schedule.walking();
        schedule.walked(start, ms(1000), Some(ms(2000)));
        assert_eq!(
            schedule.next(),
            Some((start + ms(1000) * ROUTINE_REST, Reason::Routine))
        );
        schedule.walking();
        assert_eq!(schedule.next(), None, "the walk has failed");
        schedule.retry(start + ms(700));
        assert_eq!(schedule.next(), Some((start + ms(700), Reason::Routine)));
        schedule.no_later_than(start + ms(900));
        assert_eq!(schedule.next(), Some((start + ms(700), Reason::Routine)));
        schedule.no_later_than(start + ms(600));
        assert_eq!(schedule.next(), Some((start + ms(600), Reason::Routine)));
    }
}
