//! What a parsing process may use.

/// Address space, bytes. The program itself takes some 60 MB of it.
#[cfg(unix)]
const MEMORY: u64 = 512 << 20;
/// Time of a processor for one file, seconds. It ends a process whose parent has been killed and cannot any more.
#[cfg(unix)]
const SECONDS: u64 = 30;

/// Limits this process: memory, and neither files nor images of its memory. A limit that the system refuses to set is as it was.
#[cfg(unix)]
pub(super) fn confine() {
    use rustix::process::Resource;
    for (resource, limit) in [(Resource::As, MEMORY), (Resource::Fsize, 0), (Resource::Core, 0)] {
        set(resource, limit);
    }
}

/// Lets this process use as much time as a file may take from now on.
#[cfg(unix)]
pub(super) fn allow_time() {
    use rustix::time::{ClockId, clock_gettime};
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec;
    set(rustix::process::Resource::Cpu, used.unsigned_abs() + SECONDS);
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
pub(super) fn allow_time() {}
