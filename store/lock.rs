//! One writer a store: an advisory lock on a file, which the system frees when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;

use crate::StoreError;

const FILE: &str = "lock";

/// Held for as long as the value lives.
pub(crate) struct Lock(#[expect(dead_code, reason = "held for its lock, which ends with it")] File);

/// Takes the lock of `dir`.
pub(crate) fn acquire(dir: &Path) -> Result<Lock, StoreError> {
    let path = dir.join(FILE);
    let opened = fs_err::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path);
    let mut file = opened.map_err(|error| unwritable(dir, error))?.into_file();
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StoreError::LockHeld {
                dir: dir.to_owned(),
                pid: holder(&mut file),
            });
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Lock(file))
}

/// Whether some process holds the lock of `dir` now.
pub(crate) fn is_held(dir: &Path) -> bool {
    holder_of(dir).is_some()
}

/// The process that holds the lock of `dir` now, if any does, by its number where it says so.
pub(crate) fn holder_of(dir: &Path) -> Option<Option<u32>> {
    let mut file = fs_err::File::open(dir.join(FILE)).ok()?.into_parts().0;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(holder(&mut file)),
        _ => None,
    }
}

/// An error of a write in `dir`, by whether it says that this process may not.
pub(crate) fn unwritable(dir: &Path, error: std::io::Error) -> StoreError {
    if is_refusal(&error) {
        StoreError::Unwritable {
            dir: dir.to_owned(),
            source: error,
        }
    } else {
        error.into()
    }
}

/// Whether an error says that this process may not write there, on a disk that is read only for example.
pub(crate) fn is_refusal(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied
    )
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_held(dir.path()));
        let held = acquire(dir.path()).unwrap();
        assert!(is_held(dir.path()));
        match acquire(dir.path()) {
            Err(StoreError::LockHeld { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            _ => panic!("taken twice"),
        }
        drop(held);
        assert!(!is_held(dir.path()));
        acquire(dir.path()).unwrap();
    }
}
