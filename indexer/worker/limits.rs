//! Resource limits of a parser process.

use std::time::Duration;

/// Address space (`RLIMIT_AS`), bytes. The program itself takes about 60 MB of it.
#[cfg(unix)]
const MEMORY: u64 = 512 << 20;
/// Additional time per megabyte of a file. For scale: a PDF of 1,600 pages has 7 MB.
const TIME_PER_MEGABYTE: Duration = Duration::from_secs(10);

/// Time limit of a file of `bytes` bytes. `base` is the limit of a small file.
pub(super) fn time_limit(base: Duration, bytes: usize) -> Duration {
    base + TIME_PER_MEGABYTE * u32::try_from(bytes >> 20).unwrap_or(u32::MAX)
}

/// Limits the memory of this process and forbids it to write files and core dumps. If the system refuses a
/// limit, the old one stays.
#[cfg(unix)]
pub(super) fn confine() {
    use rustix::process::Resource;
    for (resource, limit) in [(Resource::As, MEMORY), (Resource::Fsize, 0), (Resource::Core, 0)] {
        set(resource, limit);
    }
}

/// Sets `RLIMIT_CPU` to the time used so far plus `time`: the backstop for a process whose parent was killed
/// and cannot stop it.
#[cfg(unix)]
pub(super) fn limit_cpu_time(time: Duration) {
    use rustix::time::{ClockId, clock_gettime};
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec;
    set(
        rustix::process::Resource::Cpu,
        used.unsigned_abs() + time.as_secs(),
    );
}

#[cfg(unix)]
fn set(resource: rustix::process::Resource, limit: u64) {
    let mut limits = rustix::process::getrlimit(resource);
    let maximum = limits.maximum.unwrap_or(u64::MAX);
    limits.current = Some(limit.min(maximum));
    // Best effort: without this limit, the parent process still stops us after a timeout.
    let _ = rustix::process::setrlimit(resource, limits);
}

#[cfg(not(unix))]
pub(super) fn confine() {}

#[cfg(not(unix))]
pub(super) fn limit_cpu_time(_: Duration) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_files_get_more_time() {
        let limit = |bytes| time_limit(Duration::from_secs(30), bytes).as_secs();
        assert_eq!(limit(1000), 30);
        assert_eq!(limit(7 << 20), 100);
    }
}
