//! Recognizes errors that mean "too many open files". They must come from `std`: errors of `fs_err` hide the code.

use std::io::Error;

/// Whether this process or the whole system can open no more files (`EMFILE`, `ENFILE`).
#[cfg(unix)]
pub(crate) fn are_exhausted(error: &Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
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
