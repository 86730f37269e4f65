//! What a parsing process may use.

use std::time::Duration;

/// Address space, bytes. The program itself takes some 60 MB of it.
#[cfg(unix)]
const MEMORY: u64 = 512 << 20;
/// Time that a file may take besides what it always may, for each megabyte of it. A PDF of 1,600 pages is 7 MB.
const A_MEGABYTE: Duration = Duration::from_secs(10);

/// How long a file of `bytes` may take where a small one may take `least`.
pub(super) fn allowance(least: Duration, bytes: usize) -> Duration {
    least + A_MEGABYTE * u32::try_from(bytes >> 20).unwrap_or(u32::MAX)
}

/// Limits this process: memory, and neither files nor images of its memory. A limit that the system refuses to set is as it was.
#[cfg(unix)]
pub(super) fn confine() {
    use rustix::process::Resource;
    for (resource, limit) in [(Resource::As, MEMORY), (Resource::Fsize, 0), (Resource::Core, 0)] {
        set(resource, limit);
    }
}

/// Lets this process use so much time of a processor from now on. It ends one whose parent has been killed and cannot any more.
#[cfg(unix)]
pub(super) fn allow_time(time: Duration) {
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
    let most = limits.maximum.unwrap_or(u64::MAX);
    limits.current = Some(limit.min(most));
    // Without the limit, whoever waits still gives up after a while.
    let _ = rustix::process::setrlimit(resource, limits);
}

#[cfg(not(unix))]
pub(super) fn confine() {}

#[cfg(not(unix))]
pub(super) fn allow_time(_: Duration) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_has_more_time() {
        let allowed = |bytes| allowance(Duration::from_secs(30), bytes).as_secs();
        assert_eq!(allowed(1000), 30);
        assert_eq!(allowed(7 << 20), 100);
    }
}
