//! Operating system errors (full disk, too many open files) behind errors that wrap them.

use std::error::Error;
use std::io;

/// Codes of an exhausted file table: the machine's (`ENFILE`) and the process's (`EMFILE`). They are the same on every Unix.
#[cfg(unix)]
const ENFILE: i32 = 23;
#[cfg(unix)]
const EMFILE: i32 = 24;

/// The OS error code of `error`, or of its first cause that has one.
pub(crate) fn system_code(error: &io::Error) -> Option<i32> {
    if let Some(code) = error.raw_os_error() {
        return Some(code);
    }
    // `source` of a wrapping `io::Error` skips the wrapped error, so start at the wrapped error itself.
    let mut cause = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if let Some(code) = io.and_then(system_code) {
            return Some(code);
        }
        cause = error.source();
    }
    printed_code(error)
}

/// The code that the standard library prints at the end of an OS error. The wrappers of `tempfile` and `fs_err` hide the error, but
/// print it.
fn printed_code(error: &io::Error) -> Option<i32> {
    let text = error.to_string();
    let (_, rest) = text.rsplit_once("(os error ")?;
    rest.split_once(')')?.0.parse().ok()
}

/// Whether there is no space left on the disk, or in the user's quota.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    let is_full = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    };
    let code = system_code(error).map(io::Error::from_raw_os_error);
    is_full(error) || code.as_ref().is_some_and(is_full)
}

/// Whether this process, or the whole machine, has too many files open.
#[cfg(unix)]
pub(crate) fn is_too_many_open_files(error: &io::Error) -> bool {
    matches!(system_code(error), Some(ENFILE | EMFILE))
}

/// Whether this process, or the whole machine, has too many files open. Unknown on this platform.
#[cfg(not(unix))]
pub(crate) fn is_too_many_open_files(_: &io::Error) -> bool {
    false
}

/// Like [`is_too_many_open_files`], also for errors that may hide the OS error code, such as those of `fs_err`. For these, probes
/// whether files can be opened now.
pub(crate) fn may_be_too_many_open_files(error: &io::Error) -> bool {
    is_too_many_open_files(error) || has_unnamed_kind(error) && lack_of_descriptors().is_some()
}

/// Whether `error` has no OS error code, and the unstable kind that the standard library gives to `EMFILE` among others.
#[cfg(unix)]
fn has_unnamed_kind(error: &io::Error) -> bool {
    system_code(error).is_none() && error.kind() == io::Error::from_raw_os_error(EMFILE).kind()
}

#[cfg(not(unix))]
fn has_unnamed_kind(_: &io::Error) -> bool {
    false
}

/// The OS error if this process cannot open a few more files now.
///
/// `fs_err` and SQLite do not pass on the code of a failed `open`, so this function opens files itself. It opens a few, because the
/// failed operation may have closed some of its own.
#[cfg(unix)]
pub(crate) fn lack_of_descriptors() -> Option<io::Error> {
    const PROBES: usize = 4;
    #[expect(
        clippy::disallowed_methods,
        reason = "the error has to keep the OS error code"
    )]
    let opened: io::Result<Vec<_>> = (0..PROBES).map(|_| std::fs::File::open("/")).collect();
    opened.err().filter(is_too_many_open_files)
}

/// The OS error if this process cannot open a few more files now. Unknown on this platform.
#[cfg(not(unix))]
pub(crate) fn lack_of_descriptors() -> Option<io::Error> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn wrapped_errors_keep_their_code() {
        let wrap = |code: i32| {
            let inner = io::Error::from_raw_os_error(code);
            io::Error::new(inner.kind(), format!("{inner} at path \"/index/.tmp1\""))
        };
        assert!(is_too_many_open_files(&wrap(EMFILE)));
        assert!(is_too_many_open_files(&wrap(ENFILE)));
        // EIO has the same unstable kind as EMFILE.
        assert!(!is_too_many_open_files(&wrap(5)));
        assert_eq!(system_code(&io::Error::from(io::ErrorKind::UnexpectedEof)), None);
    }
}
