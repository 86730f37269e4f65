//! Identity of the catalog file. A process keeps reading an open file after it was renamed. The path alone therefore does not show
//! that the catalog was replaced.

use std::path::Path;

/// Device and inode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId(u64, u64);

impl FileId {
    /// The id of the file that is at `path` now. `None` if there is no file, and on platforms without inodes.
    pub(super) fn at(path: &Path) -> Option<FileId> {
        let meta = fs_err::metadata(path).ok()?;
        #[cfg(unix)]
        let id = {
            use std::os::unix::fs::MetadataExt;
            Some(FileId(meta.dev(), meta.ino()))
        };
        #[cfg(not(unix))]
        let id = {
            drop(meta);
            None
        };
        id
    }
}
