//! Points in time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since the Unix epoch, negative before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMs(pub i64);

impl UnixMs {
    /// The latest representable time.
    pub const MAX: UnixMs = UnixMs(i64::MAX);

    /// The time by the system's clock; the epoch itself if the clock is set before it.
    pub fn now() -> UnixMs {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMs::default().saturating_add(since)
    }

    /// The time `duration` later, at most [`UnixMs::MAX`].
    pub fn saturating_add(self, duration: Duration) -> UnixMs {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        UnixMs(self.0.saturating_add(ms))
    }

    /// The time from `earlier` to this one; zero if `earlier` is later.
    pub fn saturating_since(self, earlier: UnixMs) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(UnixMs::MAX.saturating_add(Duration::from_secs(1)), UnixMs::MAX);
        assert_eq!(UnixMs(5).saturating_since(UnixMs(7)), Duration::ZERO);
        assert_eq!(UnixMs(7).saturating_since(UnixMs(5)), Duration::from_millis(2));
    }
}
