//! Limits concurrent requests. Only a few requests for passages run at once, and none starts while a query is in flight.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest time that passages wait for queries. Without this bound, a steady stream of queries would stop indexing.
const MAX_DELAY: Duration = Duration::from_secs(1);
/// Interval at which a waiting request checks whether its caller still wants it.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Counts the requests in flight.
#[derive(Debug)]
pub(super) struct Slots {
    in_flight: Mutex<InFlight>,
    changed: Condvar,
    limit: usize,
}

#[derive(Debug, Default)]
struct InFlight {
    passages: usize,
    queries: usize,
}

/// Counts one request as in flight until it is dropped.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    slots: &'a Slots,
    is_query: bool,
}

impl Slots {
    /// `limit` is the number of concurrent requests for passages.
    pub(super) fn new(limit: usize) -> Slots {
        Slots {
            in_flight: Mutex::default(),
            changed: Condvar::new(),
            limit: limit.max(1),
        }
    }

    /// A slot for a query, which never waits.
    pub(super) fn query(&self) -> Slot<'_> {
        self.lock().queries += 1;
        Slot {
            slots: self,
            is_query: true,
        }
    }

    /// Waits for a slot for passages. `None` if `is_wanted` turns false meanwhile.
    pub(super) fn passages(&self, is_wanted: &dyn Fn() -> bool) -> Option<Slot<'_>> {
        let start = Instant::now();
        let mut in_flight = self.lock();
        loop {
            let yields = in_flight.queries > 0 && start.elapsed() < MAX_DELAY;
            if in_flight.passages < self.limit && !yields {
                in_flight.passages += 1;
                return Some(Slot {
                    slots: self,
                    is_query: false,
                });
            }
            let waited = self.changed.wait_timeout(in_flight, POLL_INTERVAL);
            in_flight = waited.unwrap_or_else(PoisonError::into_inner).0;
            if !is_wanted() {
                return None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, InFlight> {
        // Each count changes in a single step, so a panic elsewhere leaves it correct.
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut in_flight = self.slots.lock();
        if self.is_query {
            in_flight.queries -= 1;
        } else {
            in_flight.passages -= 1;
        }
        drop(in_flight);
        self.slots.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_wait_for_a_free_slot_and_for_queries() {
        let slots = Slots::new(2);
        let not_wanted = || false;
        let first = slots.passages(&not_wanted).unwrap();
        let second = slots.passages(&not_wanted).unwrap();
        assert!(slots.passages(&not_wanted).is_none(), "the limit is two");
        let query = slots.query();
        drop((first, second));
        assert!(slots.passages(&not_wanted).is_none(), "a query is in flight");
        assert!(slots.passages(&|| true).is_some(), "the wait is bounded");
        drop(query);
        assert!(slots.passages(&not_wanted).is_some());
    }

    #[test]
    fn a_waiting_request_gets_the_slot_that_becomes_free() {
        let slots = Slots::new(1);
        let slot = slots.passages(&|| true).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| slots.passages(&|| true).is_some());
            drop(slot);
            assert!(waiting.join().unwrap());
        });
    }
}
