//! What the walk found against what the catalog knows.

use std::collections::HashMap;

use autorag_store::{ContentHash, FileState, ItemStatus};

use crate::source::{Found, Listing};

/// A file to be read, and what is known of it.
pub(crate) struct Job {
    pub key: String,
    pub found: Found,
    pub known: Option<FileState>,
}

/// What the catalog lacks.
pub(crate) struct Changes {
    /// Files that are new or look changed.
    pub jobs: Vec<Job>,
    /// Keys of documents whose file is gone.
    pub removed: Vec<String>,
    /// Files as they were.
    pub unchanged: u64,
    /// All files found.
    pub seen: u64,
}

impl Changes {
    /// What was found against what is `known`, which was cut the same way as now where it says `same_recipe`.
    pub(crate) fn between(
        listing: Listing,
        mut known: HashMap<String, FileState>,
        same_recipe: bool,
    ) -> Changes {
        let (mut jobs, mut unchanged) = (Vec::new(), 0);
        let seen = listing.files.len() as u64;
        for (key, found) in listing.files {
            let known = known.remove(&key);
            if same_recipe && known.as_ref().is_some_and(|known| is_settled(known, &found)) {
                unchanged += 1;
            } else {
                jobs.push(Job { key, found, known });
            }
        }
        Changes {
            jobs,
            removed: vanished(known, &listing.unreadable),
            unchanged,
            seen,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.removed.is_empty()
    }
}

/// Whether nothing can have come of a file but what is known. One that could not be read may come right without a change of
/// its own, by other permissions say.
fn is_settled(known: &FileState, found: &Found) -> bool {
    let still_unread = || match &found.refusal {
        Some(refusal) => known.reason.as_ref() == Some(&refusal.reason),
        None => fs_err::File::open(&found.path).is_err(),
    };
    known.stat == found.stat && (!is_unread(known) || still_unread())
}

/// Stands for the bytes of a file that could not be read.
pub(crate) fn unread_hash() -> ContentHash {
    ContentHash::of(b"")
}

/// Whether a file could not be read last time.
pub(crate) fn is_unread(known: &FileState) -> bool {
    known.status == ItemStatus::Error && known.source_hash == unread_hash()
}

/// Keys of documents whose file is gone: not those in a folder that could not be looked into.
fn vanished(known: HashMap<String, FileState>, unreadable: &[String]) -> Vec<String> {
    let unseen = |key: &String| unreadable.iter().any(|folder| key.starts_with(folder.as_str()));
    let mut gone: Vec<String> = known.into_keys().filter(|key| !unseen(key)).collect();
    gone.sort_unstable();
    gone
}
