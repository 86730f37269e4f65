//! A circuit breaker for the provider (M. Nygard, "Release It!", 2007). While the provider is down, requests fail at once instead of
//! waiting for a timeout.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::retry::jitter;

/// Pause after the first failure. It doubles with every further failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Upper bound of the pause.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A period in which the embedding provider fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// Time of the first failure.
    pub since: SystemTime,
    /// The latest failure.
    pub reason: String,
    /// Time until requests are sent again.
    pub retry_in: Duration,
}

/// Open while the provider fails, closed while it works.
#[derive(Debug, Default)]
pub(super) struct CircuitBreaker {
    state: Mutex<Option<Open>>,
}

#[derive(Debug)]
struct Open {
    since: SystemTime,
    reason: String,
    failures: u32,
    last_counted: Instant,
    retry_at: Instant,
    /// Whether passages pause too. A failed query alone does not pause them, because its timeout is short.
    pauses_passages: bool,
}

/// The purpose of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    Query,
    Passages,
}

impl CircuitBreaker {
    /// The current outage.
    pub(super) fn outage(&self) -> Option<Outage> {
        self.lock().as_ref().map(|open| Outage {
            since: open.since,
            reason: open.reason.clone(),
            retry_in: open.retry_at.saturating_duration_since(Instant::now()),
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().is_some()
    }

    /// Checks that a request may be sent. After a pause, one query tests the provider. Meanwhile, for at most `trial`, the other
    /// queries keep failing.
    ///
    /// # Errors
    /// The reason of the outage.
    pub(super) fn admit(&self, kind: RequestKind, trial: Duration) -> Result<(), String> {
        let mut state = self.lock();
        let Some(open) = state.as_mut() else { return Ok(()) };
        if kind == RequestKind::Passages && !open.pauses_passages {
            return Ok(());
        }
        let now = Instant::now();
        if now < open.retry_at {
            return Err(open.reason.clone());
        }
        if kind == RequestKind::Query {
            open.retry_at = now + trial;
        }
        Ok(())
    }

    /// Closes the breaker. Returns true if it was open.
    pub(super) fn record_success(&self) -> bool {
        self.lock().take().is_some()
    }

    /// Opens the breaker, or extends the pause. Returns true if it was closed.
    pub(super) fn record_failure(
        &self,
        kind: RequestKind,
        reason: &str,
        retry_after: Option<Duration>,
    ) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        let was_closed = state.is_none();
        let open = state.get_or_insert_with(|| Open {
            since: SystemTime::now(),
            reason: String::new(),
            failures: 0,
            last_counted: now,
            retry_at: now,
            pauses_passages: false,
        });
        open.reason = reason.to_owned();
        open.pauses_passages |= kind == RequestKind::Passages;
        // Concurrent requests fail together and count as one failure.
        if open.failures == 0 || now.duration_since(open.last_counted) >= FIRST_PAUSE / 2 {
            (open.failures, open.last_counted) = (open.failures.saturating_add(1), now);
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << (open.failures - 1).min(10));
        let pause = doubled.min(MAX_PAUSE);
        let pause = pause / 2 + jitter(pause / 2);
        open.retry_at = now + pause.max(retry_after.unwrap_or_default());
        was_closed
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        // If a thread panicked with the lock, at worst the reason is outdated.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIAL: Duration = Duration::from_secs(60);

    fn end_pause(breaker: &CircuitBreaker) {
        breaker.lock().as_mut().unwrap().retry_at = Instant::now();
    }

    #[test]
    fn queries_pause_after_a_failure_until_one_of_them_succeeds() {
        let breaker = CircuitBreaker::default();
        assert_eq!(breaker.admit(RequestKind::Query, TRIAL), Ok(()));
        assert!(breaker.record_failure(RequestKind::Query, "gone", None));
        assert_eq!(breaker.admit(RequestKind::Query, TRIAL), Err("gone".to_owned()));
        assert_eq!(
            breaker.admit(RequestKind::Passages, TRIAL),
            Ok(()),
            "a failed query does not pause passages"
        );
        end_pause(&breaker);
        assert_eq!(
            breaker.admit(RequestKind::Query, TRIAL),
            Ok(()),
            "the trial query"
        );
        assert!(
            breaker.admit(RequestKind::Query, TRIAL).is_err(),
            "only one query runs during the trial"
        );
        assert!(breaker.record_success());
        assert!(!breaker.record_success() && breaker.outage().is_none());
        assert_eq!(breaker.admit(RequestKind::Query, TRIAL), Ok(()));
    }

    #[test]
    fn failed_passages_pause_passages_and_pauses_grow() {
        let breaker = CircuitBreaker::default();
        breaker.record_failure(RequestKind::Passages, "gone", None);
        let since = breaker.outage().unwrap().since;
        assert!(breaker.admit(RequestKind::Passages, TRIAL).is_err());
        let mut longest = Duration::ZERO;
        for _ in 0..12 {
            breaker.lock().as_mut().unwrap().last_counted -= FIRST_PAUSE;
            assert!(!breaker.record_failure(RequestKind::Passages, "still gone", None));
            longest = longest.max(breaker.outage().unwrap().retry_in);
        }
        assert!(longest > MAX_PAUSE / 3 && longest <= MAX_PAUSE, "{longest:?}");
        let outage = breaker.outage().unwrap();
        assert_eq!((outage.since, outage.reason.as_str()), (since, "still gone"));
        end_pause(&breaker);
        assert_eq!(breaker.admit(RequestKind::Passages, TRIAL), Ok(()));
    }

    #[test]
    fn retry_after_extends_the_pause() {
        let breaker = CircuitBreaker::default();
        breaker.record_failure(RequestKind::Query, "too many", Some(Duration::from_secs(50)));
        assert!(breaker.outage().unwrap().retry_in > Duration::from_secs(40));
    }
}
