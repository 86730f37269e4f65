//! Compares a walk's listing with the files recorded in the catalog.

use std::collections::HashMap;

use autorag_store::{DocumentKey, FileState, ItemStatus, UnixMs};

use crate::parse::{ReasonCode, Refusal};
use crate::retry::is_due;
use crate::source::{ListedFile, Listing};

/// A file to read, and its recorded state if there is one.
pub(crate) struct FileTask {
    pub key: DocumentKey,
    pub file: ListedFile,
    pub known: Option<FileState>,
}

/// The difference between the folders and the catalog.
pub(crate) struct Changes {
    /// New files, and files that may have changed.
    pub tasks: Vec<FileTask>,
    /// Keys of documents whose file is gone.
    pub removed: Vec<DocumentKey>,
    /// Number of files that are up to date.
    pub unchanged: u64,
    /// Number of files listed.
    pub seen: u64,
}

impl Changes {
    /// Compares `listing` with the `known` files. Without the `same_recipe`, every file becomes a task.
    pub(crate) fn between(
        listing: Listing,
        mut known: HashMap<DocumentKey, FileState>,
        same_recipe: bool,
    ) -> Changes {
        let (mut tasks, mut unchanged) = (Vec::new(), 0);
        let seen = listing.files.len() as u64;
        let now = UnixMs::now();
        for (key, file) in listing.files {
            let known = known.remove(&key);
            if same_recipe && known.as_ref().is_some_and(|known| is_settled(known, &file, now)) {
                unchanged += 1;
            } else {
                tasks.push(FileTask { key, file, known });
            }
        }
        Changes {
            tasks,
            removed: removed_keys(known, &listing.unreadable),
            unchanged,
            seen,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.removed.is_empty()
    }
}

/// Whether the recorded outcome of a file still holds, so that the file need not be read.
///
/// A file that could not be opened may become readable without changing, for example by new permissions. Such a
/// file is opened to find out. Files that failed in another way are retried on a schedule, see [`is_due`].
fn is_settled(known: &FileState, file: &ListedFile, now: UnixMs) -> bool {
    if known.stat != file.stat || is_due(known, now) {
        return false;
    }
    if !is_unopened(known) {
        return true;
    }
    match &file.refusal {
        Some(refusal) => is_same_outcome(known, refusal),
        None => fs_err::File::open(&file.path).is_err(),
    }
}

/// Whether the catalog already records `refusal` for a file whose bytes were not read.
///
/// Compares the reason codes, which the stand-in hashes identify. The messages may have been reworded.
pub(crate) fn is_same_outcome(known: &FileState, refusal: &Refusal) -> bool {
    known.status == refusal.status() && known.source_hash == refusal.code.stand_in_hash()
}

/// Whether the file could not be opened last time.
pub(crate) fn is_unopened(known: &FileState) -> bool {
    known.status == ItemStatus::Error && ReasonCode::is_unopened(known.source_hash)
}

/// Keys of documents whose file is gone. Files below an `unreadable` folder were not listed and may still exist.
fn removed_keys(known: HashMap<DocumentKey, FileState>, unreadable: &[String]) -> Vec<DocumentKey> {
    let is_unlisted = |key: &DocumentKey| {
        unreadable
            .iter()
            .any(|folder| key.as_str().starts_with(folder.as_str()))
    };
    let mut removed: Vec<DocumentKey> = known.into_keys().filter(|key| !is_unlisted(key)).collect();
    removed.sort_unstable();
    removed
}

#[cfg(test)]
mod tests {
    use super::*;
    use autorag_store::{ContentHash, FileStat};

    const STAT: FileStat = FileStat {
        size: 1,
        modified_ns: 2,
        inode: 3,
    };

    fn known(source_hash: ContentHash, status: ItemStatus, reason: &str) -> FileState {
        FileState {
            stat: STAT,
            source_hash,
            status,
            reason: Some(reason.to_owned()),
            attempts: 0,
            retry_at: None,
        }
    }

    fn listed(refusal: Option<Refusal>) -> ListedFile {
        ListedFile {
            path: "/nonexistent/file".into(),
            stat: STAT,
            refusal,
        }
    }

    #[test]
    fn rewording_a_reason_changes_no_file() {
        let refusal = Refusal::new(ReasonCode::InvalidName, "worded today");
        let hash = refusal.code.stand_in_hash();
        let old = known(hash, ItemStatus::Error, "worded differently yesterday");
        assert!(is_settled(&old, &listed(Some(refusal)), UnixMs(0)));
        let other = Refusal::new(ReasonCode::PermissionDenied, "worded differently yesterday");
        assert!(!is_settled(&old, &listed(Some(other)), UnixMs(0)));
    }

    #[test]
    fn an_unopened_file_of_an_earlier_version_is_recorded_again() {
        let old = known(ContentHash::of(b""), ItemStatus::Error, "permission denied");
        assert!(is_unopened(&old));
        let refusal = Refusal::new(ReasonCode::PermissionDenied, "permission denied");
        assert!(!is_settled(&old, &listed(Some(refusal)), UnixMs(0)));
        assert!(
            is_settled(&old, &listed(None), UnixMs(0)),
            "it still cannot be opened"
        );
    }

    #[test]
    fn a_file_is_settled_by_its_stat_until_a_retry_is_due() {
        let mut file = known(ContentHash::of(b"text"), ItemStatus::Completed, "");
        assert!(is_settled(&file, &listed(None), UnixMs(0)));
        file.retry_at = Some(UnixMs(5));
        assert!(is_settled(&file, &listed(None), UnixMs(4)));
        assert!(!is_settled(&file, &listed(None), UnixMs(5)));
        file = known(ContentHash::of(b"text"), ItemStatus::Completed, "");
        let grown = ListedFile {
            stat: FileStat { size: 2, ..STAT },
            ..listed(None)
        };
        assert!(!is_settled(&file, &grown, UnixMs(0)));
    }

    #[test]
    fn files_below_an_unreadable_folder_are_not_removed() {
        let known = ["a.md", "locked/b.md", "locked-not/c.md"].map(|key| {
            (
                DocumentKey::new(key),
                known(ContentHash::of(b""), ItemStatus::Completed, ""),
            )
        });
        let removed = removed_keys(known.into(), &["locked/".to_owned()]);
        assert_eq!(removed, ["a.md", "locked-not/c.md"].map(DocumentKey::new));
    }
}
