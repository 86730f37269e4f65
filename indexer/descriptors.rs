//! Recognizes errors that mean "too many open files".

use std::io::Error;

/// Whether this process or the whole system can open no more files (`EMFILE`, `ENFILE`).
#[cfg(unix)]
pub(crate) fn are_exhausted(error: &Error) -> bool {
    use rustix::io::Errno;
    // `fs_err` wraps the system's error to add the path, so its code is further down the chain.
    let first: &(dyn std::error::Error + 'static) = error;
    std::iter::successors(Some(first), |&cause| cause.source())
        .filter_map(|cause| cause.downcast_ref::<Error>())
        .filter_map(Errno::from_io_error)
        .any(|code| matches!(code, Errno::MFILE | Errno::NFILE))
}

/// Whether this process or user has reached a limit of its own (`EMFILE`).
#[cfg(unix)]
pub(crate) fn is_own_limit(error: &Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::MFILE)
}

#[cfg(not(unix))]
pub(crate) fn are_exhausted(_: &Error) -> bool {
    false
}

#[cfg(not(unix))]
pub(crate) fn is_own_limit(_: &Error) -> bool {
    false
}
