//! What the walk found against what the catalog knows.

use std::collections::HashMap;

use autorag_store::{ContentHash, DocumentKey, FileState, ItemStatus, UnixMs};

use crate::retry::is_due;
use crate::source::{Found, Listing};

/// A file to be read, and what is known of it.
pub(crate) struct Task {
    pub key: DocumentKey,
    pub found: Found,
    pub known: Option<FileState>,
}

/// What the catalog lacks.
pub(crate) struct Changes {
    /// Files that are new or look changed.
    pub tasks: Vec<Task>,
    /// Keys of documents whose file is gone.
    pub removed: Vec<DocumentKey>,
    /// Files as they were.
    pub unchanged: u64,
    /// All files found.
    pub seen: u64,
}

impl Changes {
    /// What was found against what is `known`, which was cut the same way as now where it says `same_recipe`.
    pub(crate) fn between(
        listing: Listing,
        mut known: HashMap<DocumentKey, FileState>,
        same_recipe: bool,
    ) -> Changes {
        let (mut tasks, mut unchanged) = (Vec::new(), 0);
        let seen = listing.files.len() as u64;
        let now = UnixMs::now();
        for (key, found) in listing.files {
            let known = known.remove(&key);
            if same_recipe && known.as_ref().is_some_and(|known| is_settled(known, &found, now)) {
                unchanged += 1;
            } else {
                tasks.push(Task { key, found, known });
            }
        }
        Changes {
            tasks,
            removed: vanished(known, &listing.unreadable),
            unchanged,
            seen,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.removed.is_empty()
    }
}

/// Whether nothing can have come of a file but what is known. One that could not be opened may come right without a change of
/// its own, by other permissions say; one that could not be read for another reason is tried again after a while.
fn is_settled(known: &FileState, found: &Found, now: UnixMs) -> bool {
    let still_unread = || match &found.refusal {
        Some(refusal) => known.reason.as_ref() == Some(&refusal.reason),
        None => fs_err::File::open(&found.path).is_err(),
    };
    known.stat == found.stat && !is_due(known, now) && (!is_unread(known) || still_unread())
}

/// Stands for the bytes of a file that could not be opened.
pub(crate) fn unread_hash() -> ContentHash {
    ContentHash::of(b"")
}

/// Stands for the bytes of a file that could be opened and not read to its end.
pub(crate) fn half_read_hash() -> ContentHash {
    ContentHash::of(b"not read to its end")
}

/// Whether a file could not be opened last time.
pub(crate) fn is_unread(known: &FileState) -> bool {
    known.status == ItemStatus::Error && known.source_hash == unread_hash()
}

/// Keys of documents whose file is gone: not those in a folder that could not be looked into.
fn vanished(known: HashMap<DocumentKey, FileState>, unreadable: &[String]) -> Vec<DocumentKey> {
    let unseen = |key: &DocumentKey| {
        unreadable
            .iter()
            .any(|folder| key.as_str().starts_with(folder.as_str()))
    };
    let mut gone: Vec<DocumentKey> = known.into_keys().filter(|key| !unseen(key)).collect();
    gone.sort_unstable();
    gone
}
