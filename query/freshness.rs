//! Whether a citation still describes the file on disk.

use std::io;
use std::path::Path;

use autorag_store::{ContentHash, DocumentEntry, FileStat};

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
    let now = FileStat::of(&meta);
    if !meta.is_file() || now.size != entry.stat.size {
        return Ok(Freshness::Stale);
    }
    if now == entry.stat {
        return Ok(Freshness::Current);
    }
    let bytes = fs_err::read(path)?;
    Ok(match ContentHash::of(&bytes) == entry.source_hash {
        true => Freshness::Current,
        false => Freshness::Stale,
    })
}
