//! Whether a citation still describes the file on disk.

use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use autorag_store::{ContentHash, DocumentEntry};

/// State of a hit's file at the moment of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// The file has the bytes that were indexed.
    Current,
    /// The file has changed since, or can no longer be read.
    Stale,
    /// The file is gone.
    Deleted,
}

impl Freshness {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Freshness::Current => "current",
            Freshness::Stale => "stale",
            Freshness::Deleted => "deleted",
        }
    }
}

/// Compares the file at `path` with what was indexed: size and time first, the hash only when just the time moved.
/// `root` is the source's folder; a file is only called deleted while that is there, since an unmounted folder
/// says nothing about its files.
pub(crate) fn check(root: &Path, path: &Path, entry: &DocumentEntry) -> Freshness {
    let meta = match fs_err::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return if root.is_dir() {
                Freshness::Deleted
            } else {
                Freshness::Stale
            };
        }
        Err(_) => return Freshness::Stale,
    };
    if !meta.is_file() || meta.len() != entry.stat.size {
        return Freshness::Stale;
    }
    if modified_ns(&meta) == Some(entry.stat.modified_ns) {
        return Freshness::Current;
    }
    match fs_err::read(path) {
        Ok(bytes) if ContentHash::of(&bytes) == entry.source_hash => Freshness::Current,
        _ => Freshness::Stale,
    }
}

fn modified_ns(meta: &std::fs::Metadata) -> Option<i64> {
    let time = meta.modified().ok()?;
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|ns| -ns),
    }
}
