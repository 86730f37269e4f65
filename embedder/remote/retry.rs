//! Waits between the attempts of a request.

use std::time::{Duration, SystemTime};

/// Longest `Retry-After` that is respected.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Exponential backoff with full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015).
///
/// The upper bound doubles up to a limit. Each wait is drawn uniformly between zero and the bound, so that many clients do not
/// return at the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    bound: Duration,
    limit: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration, limit: Duration) -> Backoff {
        Backoff { bound: first, limit }
    }

    /// The next wait, at least `retry_after`.
    pub(super) fn next_wait(&mut self, retry_after: Option<Duration>) -> Duration {
        let wait = jitter(self.bound);
        self.bound = (self.bound * 2).min(self.limit);
        wait.max(retry_after.unwrap_or_default())
    }
}

/// A random duration between zero and `bound`.
pub(super) fn jitter(bound: Duration) -> Duration {
    bound.mul_f64(fastrand::f64())
}

/// Parses a `Retry-After` header, which is in seconds or a date, and limits it to [`MAX_RETRY_AFTER`].
pub(super) fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => httpdate::parse_http_date(value)
            .ok()
            .map(|date| date.duration_since(now).unwrap_or_default()),
    };
    wait.map(|wait| wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn retry_after_is_parsed_as_seconds_or_date() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").unwrap();
        let parse = |value| parse_retry_after(value, now);
        assert_eq!(parse("7"), Some(Duration::from_secs(7)));
        assert_eq!(parse(" 0.5 "), Some(Duration::from_millis(500)));
        assert_eq!(parse("86400"), Some(MAX_RETRY_AFTER));
        assert_eq!(
            parse("Wed, 21 Oct 2026 07:28:20 GMT"),
            Some(Duration::from_secs(20))
        );
        assert_eq!(parse("Wed, 21 Oct 2026 07:00:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["", "soon", "-3", "NaN", "1e300"] {
            assert_eq!(parse(nonsense), None, "{nonsense}");
        }
    }

    proptest! {
        #[test]
        fn waits_stay_between_retry_after_and_the_limit(
            first in 1u64..5000,
            limit in 5000u64..60_000,
            retry_after in 0u64..90_000,
        ) {
            let (first, limit) = (Duration::from_millis(first), Duration::from_millis(limit));
            let retry_after = Duration::from_millis(retry_after);
            let mut backoff = Backoff::new(first, limit);
            let mut bound = first;
            for _ in 0..10 {
                prop_assert!(backoff.next_wait(None) <= bound);
                bound = (bound * 2).min(limit);
            }
            prop_assert!(backoff.next_wait(Some(retry_after)) >= retry_after);
        }
    }
}
