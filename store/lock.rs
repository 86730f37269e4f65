//! The writer lock of a store: an advisory file lock, which the system releases when the process ends for any reason.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::path::Path;

use crate::StoreError;

const FILE: &str = "lock";

/// The writer lock, held until the value is dropped.
pub(crate) struct Lock(#[expect(dead_code, reason = "dropping the file releases the lock")] File);

/// Takes the writer lock of the store in `dir`, and writes the process id into the file.
pub(crate) fn acquire(dir: &Path) -> Result<Lock, StoreError> {
    let path = dir.join(FILE);
    let opened = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let mut file = opened.map_err(|error| write_error(dir, error))?.into_file();
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::LockHeld {
                dir: dir.to_owned(),
                pid: read_pid(&mut file),
            });
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Lock(file))
}

/// Whether a process holds the writer lock of the store in `dir`.
pub(crate) fn is_held(dir: &Path) -> bool {
    holder_of(dir).is_some()
}

/// The process that holds the writer lock of the store in `dir`. The inner option is
/// `None` if the process did not write its id.
pub(crate) fn holder_of(dir: &Path) -> Option<Option<u32>> {
    let mut file = fs_err::File::open(dir.join(FILE)).ok()?.into_parts().0;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read_pid(&mut file)),
        _ => None,
    }
}

/// The error for a failed write in `dir`: [`StoreError::Unwritable`] if the process lacks permission.
pub(crate) fn write_error(dir: &Path, error: io::Error) -> StoreError {
    if is_refusal(&error) {
        StoreError::Unwritable {
            dir: dir.to_owned(),
            source: error,
        }
    } else {
        error.into()
    }
}

/// Whether the OS denies writing, for example on a read-only disk.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied
    )
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_process_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_held(dir.path()));
        let lock = acquire(dir.path()).unwrap();
        assert!(is_held(dir.path()));
        match acquire(dir.path()) {
            Err(StoreError::LockHeld { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            _ => panic!("acquired twice"),
        }
        drop(lock);
        assert!(!is_held(dir.path()));
        acquire(dir.path()).unwrap();
    }
}
