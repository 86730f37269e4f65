//! What the system refused, behind errors that wrap its code.

use std::error::Error;
use std::io;

/// The codes of an exhausted file table, the machine's (`ENFILE`) and the process's (`EMFILE`): the same on every Unix.
#[cfg(unix)]
const ENFILE: i32 = 23;
#[cfg(unix)]
const EMFILE: i32 = 24;

/// The system's code of `error`, or of the first cause that has one.
pub(crate) fn system_code(error: &io::Error) -> Option<i32> {
    if let Some(code) = error.raw_os_error() {
        return Some(code);
    }
    // The source of a wrapping `io::Error` is that of the wrapped error, so the wrapped error has to be asked for.
    let mut cause = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if let Some(code) = io.and_then(system_code) {
            return Some(code);
        }
        cause = error.source();
    }
    None
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

/// The same for errors that may hide the system's code, as those of `fs_err` do. For these the system is asked once more.
pub(crate) fn may_be_too_many_open_files(error: &io::Error) -> bool {
    is_too_many_open_files(error) || has_unnamed_kind(error) && lack_of_descriptors().is_some()
}

/// Whether the kind of `error` is the unstable one that the standard library gives to `EMFILE` among others.
#[cfg(unix)]
fn has_unnamed_kind(error: &io::Error) -> bool {
    system_code(error).is_none() && error.kind() == io::Error::from_raw_os_error(EMFILE).kind()
}

#[cfg(not(unix))]
fn has_unnamed_kind(_: &io::Error) -> bool {
    false
}

/// The system's error if this process cannot open a few more files now.
///
/// `fs_err` and SQLite do not pass on the code of a failed `open`, so this opens files itself. A few, because the failed
/// operation may have closed some of its own.
#[cfg(unix)]
pub(crate) fn lack_of_descriptors() -> Option<io::Error> {
    const PROBES: usize = 4;
    #[expect(
        clippy::disallowed_methods,
        reason = "the error has to keep the system's code"
    )]
    let opened: io::Result<Vec<_>> = (0..PROBES).map(|_| std::fs::File::open("/")).collect();
    opened.err().filter(is_too_many_open_files)
}

/// The system's error if this process cannot open a few more files now. Unknown on this platform.
#[cfg(not(unix))]
pub(crate) fn lack_of_descriptors() -> Option<io::Error> {
    None
}
