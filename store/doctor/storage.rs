//! What a store has around it: room to be made anew in, who writes it, and what was left behind.

use std::path::{Path, PathBuf};

use crate::{StoreError, lock, salvage};

/// What is around the store in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageReport {
    /// Bytes free on its disk.
    pub free: u64,
    /// Bytes that making it anew takes at most: a catalog that is put aside stays beside the new one.
    pub needed: u64,
    /// Who writes it.
    pub writer: Writer,
    /// What no one needs any more, with its bytes.
    pub leftovers: Vec<(PathBuf, u64)>,
}

/// Who writes a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// No one.
    None,
    /// A process, of this number where it says so.
    Process(Option<u32>),
}

/// Looks around the store in `dir`.
///
/// # Errors
/// Where its files or its disk cannot be asked.
pub fn storage_report(dir: &Path) -> Result<StorageReport, StoreError> {
    let writer = match lock::holder_of(dir) {
        Some(pid) => Writer::Process(pid),
        None => Writer::None,
    };
    let aside = dir.join(salvage::ASIDE);
    let mut leftovers = Vec::new();
    let mut needed = 0;
    for (path, bytes) in files(dir)? {
        if path.starts_with(&aside) {
            continue;
        }
        // Who writes may be about to give it its name.
        if writer == Writer::None && is_temporary(&path) {
            leftovers.push((path, bytes));
        } else {
            needed += bytes;
        }
    }
    if aside.exists() {
        let bytes = files(&aside)?.iter().map(|(_, bytes)| bytes).sum();
        leftovers.push((aside, bytes));
    }
    leftovers.sort_unstable();
    Ok(StorageReport {
        free: fs4::available_space(dir)?,
        needed,
        writer,
        leftovers,
    })
}

/// Whether a file was to be renamed when it was whole.
fn is_temporary(path: &Path) -> bool {
    let begins = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(".tmp");
    let ends = path.extension().is_some_and(|ending| ending == "new");
    ends || path.file_name().is_some_and(begins)
}

/// All files below a folder with their sizes. What goes meanwhile is not there.
fn files(folder: &Path) -> Result<Vec<(PathBuf, u64)>, StoreError> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => found.extend(files(&entry.path())?),
            Ok(meta) => found.push((entry.path(), meta.len())),
            Err(_) => {}
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_behind_is_told_with_its_size_and_needs_no_room() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["lexical", "damaged"] {
            fs_err::create_dir(dir.path().join(folder)).unwrap();
        }
        let write = |name: &str, bytes: usize| fs_err::write(dir.path().join(name), vec![0; bytes]).unwrap();
        write("catalog.sqlite", 100);
        write("lexical/a.idx", 10);
        write("lexical/.tmpX1", 7);
        write("damaged/catalog.sqlite", 50);
        write("damaged/catalog.sqlite-wal", 3);
        let found = storage_report(dir.path()).unwrap();
        let at = |name: &str| dir.path().join(name);
        assert_eq!(found.leftovers, [(at("damaged"), 53), (at("lexical/.tmpX1"), 7)]);
        assert_eq!((found.needed, found.writer), (110, Writer::None));
        assert!(found.free > 0);
        let held = lock::acquire(dir.path()).unwrap();
        let found = storage_report(dir.path()).unwrap();
        assert_eq!(found.writer, Writer::Process(Some(std::process::id())));
        assert_eq!(found.leftovers, [(at("damaged"), 53)]);
        drop(held);
    }
}
