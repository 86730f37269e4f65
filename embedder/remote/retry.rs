//! How long to wait before a request is sent again.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

/// Most that a provider's wish to be left alone is followed.
const LONGEST_WISH: Duration = Duration::from_secs(60);

/// Waits that double up to a limit, each chosen anew between nothing and that ("full jitter": M. Brooker, "Exponential Backoff
/// And Jitter", 2015), so that many clients do not come back together.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    limit: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, limit: Duration) -> Backoff {
        Backoff { next: first, limit }
    }

    /// The next wait; at least as long as the provider wishes.
    pub(super) fn wait(&mut self, wish: Option<Duration>) -> Duration {
        let jittered = random_share(self.next);
        self.next = (self.next * 2).min(self.limit);
        wish.map_or(jittered, |wish| wish.max(jittered))
    }
}

/// Some part of a duration, chosen evenly.
pub(super) fn random_share(of: Duration) -> Duration {
    // The standard library seeds each of these at random; waits need no better dice.
    let dice = RandomState::new().hash_one(0);
    of.mul_f64(dice as f64 / u64::MAX as f64)
}

/// What a `Retry-After` header asks for, in seconds or as a date, up to a minute.
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wish = match value.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => httpdate::parse_http_date(value)
            .ok()
            .map(|date| date.duration_since(now).unwrap_or_default()),
    };
    wish.map(|wish| wish.min(LONGEST_WISH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_of_either_form_are_read() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap();
        let after = |value| retry_after(value, now);
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after(" 0.5 "), Some(Duration::from_millis(500)));
        assert_eq!(after("86400"), Some(LONGEST_WISH));
        assert_eq!(
            after("Wed, 21 Oct 2026 07:28:20 GMT"),
            Some(Duration::from_secs(20))
        );
        assert_eq!(after("Wed, 21 Oct 2026 07:00:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["", "soon", "-3", "NaN", "1e300"] {
            assert_eq!(after(nonsense), None, "{nonsense}");
        }
    }

    proptest! {
        #[test]
        fn waits_stay_between_the_wish_and_the_limit(first in 1u64..5000, limit in 5000u64..60_000, wish in 0u64..90_000) {
            let (first, limit) = (Duration::from_millis(first), Duration::from_millis(limit));
            let wish = Duration::from_millis(wish);
            let mut free = Backoff::new(first, limit);
            let mut ceiling = first;
            for _ in 0..10 {
                prop_assert!(free.wait(None) <= ceiling);
                ceiling = (ceiling * 2).min(limit);
            }
            prop_assert!(free.wait(Some(wish)) >= wish);
        }
    }
}
