//! Percentiles of durations, and the memory of this process.

use std::fmt;
use std::time::{Duration, Instant};

/// Durations in ascending order.
pub struct Percentiles(Vec<Duration>);

impl Percentiles {
    /// Times `work` once for each item.
    pub fn of<I, E>(
        items: impl IntoIterator<Item = I>,
        mut work: impl FnMut(I) -> Result<(), E>,
    ) -> Result<Percentiles, E> {
        let mut times = Vec::new();
        for item in items {
            let started = Instant::now();
            work(item)?;
            times.push(started.elapsed());
        }
        Ok(Percentiles::new(times))
    }

    /// Percentiles of measured durations.
    pub fn new(mut times: Vec<Duration>) -> Percentiles {
        times.sort_unstable();
        Percentiles(times)
    }

    /// The `percent`th percentile, by nearest rank; zero if there are no durations.
    pub fn at(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |percent| self.at(percent).as_secs_f64() * 1e3;
        write!(
            f,
            "p50 {:7.2} ms   p90 {:7.2} ms   p99 {:7.2} ms",
            ms(50),
            ms(90),
            ms(99)
        )
    }
}

/// Resident memory of this process and its peak, in MiB. `None` on systems without `/proc`.
pub fn resident_mib() -> Option<(u64, u64)> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace()
            .nth(1)?
            .parse::<u64>()
            .ok()
            .map(|kib| kib / 1024)
    };
    Some((field("VmRSS:")?, field("VmHWM:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let times = Percentiles((1..=200).map(Duration::from_millis).collect());
        assert_eq!(times.at(50), Duration::from_millis(100));
        assert_eq!(times.at(99), Duration::from_millis(198));
        assert_eq!(times.at(100), Duration::from_millis(200));
        assert_eq!(Percentiles(vec![]).at(50), Duration::ZERO);
    }
}
