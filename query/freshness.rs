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

/// Compares the file at `path` with what was indexed: what the system says of it first, the hash only where it is a file of that
/// size with another time or number. `root` is the source's folder; a file is only called deleted while that is there, since an
/// unmounted folder says nothing about its files.
pub(crate) fn check(root: &Path, path: &Path, entry: &DocumentEntry) -> Freshness {
    compare(path, entry).unwrap_or_else(|error| match error.kind() {
        io::ErrorKind::NotFound if root.is_dir() => Freshness::Deleted,
        _ => Freshness::Stale,
    })
}

fn compare(path: &Path, entry: &DocumentEntry) -> io::Result<Freshness> {
    let meta = fs_err::metadata(path)?;
    if !meta.is_file() || meta.len() != entry.stat.size {
        return Ok(Freshness::Stale);
    }
    if modified_ns(&meta) == Some(entry.stat.modified_ns) && inode(&meta) == entry.stat.inode {
        return Ok(Freshness::Current);
    }
    let bytes = fs_err::read(path)?;
    Ok(match ContentHash::of(&bytes) == entry.source_hash {
        true => Freshness::Current,
        false => Freshness::Stale,
    })
}

#[cfg(unix)]
fn inode(meta: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(meta)
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}

fn modified_ns(meta: &std::fs::Metadata) -> Option<i64> {
    let time = meta.modified().ok()?;
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).ok(),
        Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|ns| -ns),
    }
}
