//! Whether the provider answers: a circuit breaker (M. Nygard, "Release It!", 2007), so that not every query waits for one that
//! does not.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::retry::random_share;

/// How long nobody asks after the first failure; twice as long after each further one, …
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A provider that does not answer as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// When it was first noticed.
    pub since: SystemTime,
    /// What is wrong, as last seen.
    pub reason: String,
    /// How long until it is worth asking again.
    pub retry_in: Duration,
}

/// What requests have shown of the provider.
#[derive(Debug, Default)]
pub(super) struct Health {
    down: Mutex<Option<Down>>,
}

#[derive(Debug)]
struct Down {
    since: SystemTime,
    reason: String,
    failures: u32,
    counted: Instant,
    retry_at: Instant,
    /// Not only queries, whose time is short, have failed.
    holds_passages: bool,
}

/// Whose request it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    Query,
    Passages,
}

impl Health {
    /// What is wrong, if something is.
    pub(super) fn outage(&self) -> Option<Outage> {
        self.lock().as_ref().map(|down| Outage {
            since: down.since,
            reason: down.reason.clone(),
            retry_in: down.retry_at.saturating_duration_since(Instant::now()),
        })
    }

    pub(super) fn is_down(&self) -> bool {
        self.lock().is_some()
    }

    /// Whether a request may be sent. After the pause one query tries for all; `trial` is how long it may take.
    ///
    /// # Errors
    /// The reason why it is not worth it.
    pub(super) fn admit(&self, asker: Asker, trial: Duration) -> Result<(), String> {
        let mut state = self.lock();
        let Some(down) = state.as_mut() else { return Ok(()) };
        if asker == Asker::Passages && !down.holds_passages {
            return Ok(());
        }
        let now = Instant::now();
        if now < down.retry_at {
            return Err(down.reason.clone());
        }
        if asker == Asker::Query {
            down.retry_at = now + trial;
        }
        Ok(())
    }

    /// The provider has answered. Whether that is news.
    pub(super) fn works(&self) -> bool {
        self.lock().take().is_some()
    }

    /// It has not, after all attempts. Whether that is news.
    pub(super) fn failed(&self, asker: Asker, reason: &str, wish: Option<Duration>) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        let is_news = state.is_none();
        let down = state.get_or_insert_with(|| Down {
            since: SystemTime::now(),
            reason: String::new(),
            failures: 0,
            counted: now,
            retry_at: now,
            holds_passages: false,
        });
        down.reason = reason.to_owned();
        down.holds_passages |= asker == Asker::Passages;
        // Requests that were under way together fail together; they are one failure.
        if down.failures == 0 || now.duration_since(down.counted) >= FIRST_PAUSE / 2 {
            (down.failures, down.counted) = (down.failures.saturating_add(1), now);
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << (down.failures - 1).min(10));
        let pause = doubled.min(LONGEST_PAUSE);
        let jittered = pause / 2 + random_share(pause / 2);
        down.retry_at = now + wish.map_or(jittered, |wish| wish.max(jittered));
        is_news
    }

    fn lock(&self) -> MutexGuard<'_, Option<Down>> {
        // At worst a reason from before a panic elsewhere.
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIAL: Duration = Duration::from_secs(60);

    /// As if the pause were over.
    fn rest(health: &Health) {
        health.lock().as_mut().unwrap().retry_at = Instant::now();
    }

    #[test]
    fn queries_pause_after_a_failure_and_one_tries_for_all() {
        let health = Health::default();
        assert_eq!(health.admit(Asker::Query, TRIAL), Ok(()));
        assert!(health.failed(Asker::Query, "gone", None));
        assert_eq!(health.admit(Asker::Query, TRIAL), Err("gone".to_owned()));
        assert_eq!(
            health.admit(Asker::Passages, TRIAL),
            Ok(()),
            "a short time for queries says nothing of passages"
        );
        rest(&health);
        assert_eq!(health.admit(Asker::Query, TRIAL), Ok(()), "the trial");
        assert!(
            health.admit(Asker::Query, TRIAL).is_err(),
            "no second one meanwhile"
        );
        assert!(health.works());
        assert!(!health.works() && health.outage().is_none());
        assert_eq!(health.admit(Asker::Query, TRIAL), Ok(()));
    }

    #[test]
    fn passages_that_failed_pause_too_and_pauses_grow() {
        let health = Health::default();
        health.failed(Asker::Passages, "gone", None);
        let since = health.outage().unwrap().since;
        assert!(health.admit(Asker::Passages, TRIAL).is_err());
        let mut longest = Duration::ZERO;
        for _ in 0..12 {
            health.lock().as_mut().unwrap().counted -= FIRST_PAUSE;
            assert!(!health.failed(Asker::Passages, "still gone", None));
            longest = longest.max(health.outage().unwrap().retry_in);
        }
        assert!(
            longest > LONGEST_PAUSE / 3 && longest <= LONGEST_PAUSE,
            "{longest:?}"
        );
        let outage = health.outage().unwrap();
        assert_eq!((outage.since, outage.reason.as_str()), (since, "still gone"));
        rest(&health);
        assert_eq!(health.admit(Asker::Passages, TRIAL), Ok(()));
    }

    #[test]
    fn a_wish_to_be_left_alone_is_followed() {
        let health = Health::default();
        health.failed(Asker::Query, "too many", Some(Duration::from_secs(50)));
        assert!(health.outage().unwrap().retry_in > Duration::from_secs(40));
    }
}
