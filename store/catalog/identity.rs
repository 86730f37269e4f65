//! Which file is at a path: one that was renamed goes on to be read by whoever has it open.

use std::path::Path;

/// Device and inode of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl Identity {
    /// Of the file that is at `path` now. None where there is none, and on systems that do not say.
    pub(super) fn at(path: &Path) -> Option<Identity> {
        let meta = fs_err::metadata(path).ok()?;
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt;
            Some(Identity(meta.dev(), meta.ino()))
        };
        #[cfg(not(unix))]
        let identity = {
            drop(meta);
            None
        };
        identity
    }
}
