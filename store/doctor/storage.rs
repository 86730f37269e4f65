//! Free disk space, the writing process and leftover files of a store.

use std::path::{Path, PathBuf};

use crate::{StoreError, lock, salvage};

/// Disk space, writer and leftover files of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageReport {
    /// Free bytes on the disk.
    pub free: u64,
    /// Upper bound of the bytes needed to rebuild the whole store. A damaged catalog that is moved aside stays beside the new one.
    pub needed: u64,
    /// The process that has the store open for writing.
    pub writer: Writer,
    /// Paths that are no longer needed, with their sizes in bytes.
    pub leftovers: Vec<(PathBuf, u64)>,
}

/// The process that has a store open for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// No process has the store open for writing.
    None,
    /// A process, with its id if known.
    Process(Option<u32>),
}

/// Reports on the folder of the store in `dir`.
///
/// # Errors
/// When the folder cannot be listed, or the disk does not report its free space.
pub fn storage_report(dir: &Path) -> Result<StorageReport, StoreError> {
    let writer = match lock::holder_of(dir) {
        Some(pid) => Writer::Process(pid),
        None => Writer::None,
    };
    let aside = dir.join(salvage::ASIDE);
    let mut leftovers = Vec::new();
    let mut needed = 0;
    for (path, bytes) in list_files(dir)? {
        if path.starts_with(&aside) {
            continue;
        }
        // A temporary file of a running writer is in use.
        if writer == Writer::None && is_temporary(&path) {
            leftovers.push((path, bytes));
        } else {
            needed += bytes;
        }
    }
    if aside.exists() {
        let bytes = list_files(&aside)?.iter().map(|(_, bytes)| bytes).sum();
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

/// Whether the file is temporary: its writer renames it when it is complete.
fn is_temporary(path: &Path) -> bool {
    let has_prefix = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(".tmp");
    let has_suffix = path.extension().is_some_and(|ending| ending == "new");
    has_suffix || path.file_name().is_some_and(has_prefix)
}

/// All files below a folder, with their sizes. Skips files that are removed meanwhile.
fn list_files(folder: &Path) -> Result<Vec<(PathBuf, u64)>, StoreError> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => files.extend(list_files(&entry.path())?),
            Ok(meta) => files.push((entry.path(), meta.len())),
            Err(_) => {}
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_listed_with_their_sizes_and_not_counted_as_needed() {
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
        let report = storage_report(dir.path()).unwrap();
        let at = |name: &str| dir.path().join(name);
        assert_eq!(report.leftovers, [(at("damaged"), 53), (at("lexical/.tmpX1"), 7)]);
        assert_eq!((report.needed, report.writer), (110, Writer::None));
        assert!(report.free > 0);
        let guard = lock::acquire(dir.path()).unwrap();
        let report = storage_report(dir.path()).unwrap();
        assert_eq!(report.writer, Writer::Process(Some(std::process::id())));
        assert_eq!(report.leftovers, [(at("damaged"), 53)]);
        drop(guard);
    }
}
