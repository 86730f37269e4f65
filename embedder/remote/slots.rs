//! Who may ask the provider now: few requests for passages at once, and none begins while a query is under way.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest that passages give way to queries, so that a steady stream of those does not stop indexing for good.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often whoever waits looks whether it is to go on waiting.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Counts requests under way.
#[derive(Debug)]
pub(super) struct Slots {
    under_way: Mutex<UnderWay>,
    changed: Condvar,
    limit: usize,
}

#[derive(Debug, Default)]
struct UnderWay {
    passages: usize,
    queries: usize,
}

/// A request under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    slots: &'a Slots,
    is_query: bool,
}

impl Slots {
    pub(super) fn new(limit: usize) -> Slots {
        Slots {
            under_way: Mutex::default(),
            changed: Condvar::new(),
            limit: limit.max(1),
        }
    }

    /// A query's, at once.
    pub(super) fn query(&self) -> Slot<'_> {
        self.lock().queries += 1;
        Slot {
            slots: self,
            is_query: true,
        }
    }

    /// One for passages, once there is room. `None` where it is no longer wanted.
    pub(super) fn passages(&self, is_wanted: &dyn Fn() -> bool) -> Option<Slot<'_>> {
        let began = Instant::now();
        let mut under_way = self.lock();
        loop {
            let gives_way = under_way.queries > 0 && began.elapsed() < PATIENCE;
            if under_way.passages < self.limit && !gives_way {
                under_way.passages += 1;
                return Some(Slot {
                    slots: self,
                    is_query: false,
                });
            }
            let waited = self.changed.wait_timeout(under_way, LOOK_EVERY);
            under_way = waited.unwrap_or_else(PoisonError::into_inner).0;
            if !is_wanted() {
                return None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        // Counts are changed in one step each, so that a panic elsewhere leaves them right.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut under_way = self.slots.lock();
        match self.is_query {
            true => under_way.queries -= 1,
            false => under_way.passages -= 1,
        }
        drop(under_way);
        self.slots.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_wait_for_room_and_for_queries() {
        let slots = Slots::new(2);
        let no_longer = || false;
        let first = slots.passages(&no_longer).unwrap();
        let second = slots.passages(&no_longer).unwrap();
        assert!(slots.passages(&no_longer).is_none(), "no third one");
        let query = slots.query();
        drop((first, second));
        assert!(slots.passages(&no_longer).is_none(), "a query is under way");
        assert!(slots.passages(&|| true).is_some(), "but not for ever");
        drop(query);
        assert!(slots.passages(&no_longer).is_some());
    }

    #[test]
    fn a_freed_slot_is_taken_by_who_waits() {
        let slots = Slots::new(1);
        let held = slots.passages(&|| true).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slots.passages(&|| true).is_some());
            drop(held);
            assert!(waiting.join().unwrap());
        });
    }
}
