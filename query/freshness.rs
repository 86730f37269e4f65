//! Whether the file of a hit still has the indexed content.

use std::io;
use std::path::Path;

use autorag_store::{ContentHash, DocumentEntry, FileStat, string_enum};

string_enum! {
    /// State of a document's file compared with the index, at the time of the answer.
    Freshness "freshness" {
        /// The file has the indexed bytes.
        Current = "current",
        /// The file has changed or is unreadable.
        Stale = "stale",
        /// The file no longer exists.
        Deleted = "deleted",
    }
}

/// Compares the file at `path` with its index entry.
///
/// `root` is the folder of the source. A missing file counts as deleted only while `root` exists, because an unmounted folder says
/// nothing about its files.
pub(crate) fn check(root: &Path, path: &Path, entry: &DocumentEntry) -> Freshness {
    match is_current(path, entry.stat, entry.source_hash) {
        Ok(true) => Freshness::Current,
        Ok(false) => Freshness::Stale,
        Err(error) if error.kind() == io::ErrorKind::NotFound && root.is_dir() => Freshness::Deleted,
        Err(_) => Freshness::Stale,
    }
}

/// Compares stat first. The file is read and hashed only if its size is equal and its time or inode differs.
fn is_current(path: &Path, indexed: FileStat, indexed_hash: ContentHash) -> io::Result<bool> {
    let metadata = fs_err::metadata(path)?;
    let stat = FileStat::of(&metadata);
    if !metadata.is_file() || stat.size != indexed.size {
        return Ok(false);
    }
    if stat == indexed {
        return Ok(true);
    }
    Ok(ContentHash::of(&fs_err::read(path)?) == indexed_hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{TestIndex, document};

    /// The folder of a source with one file, and the index entry of that file.
    struct IndexedFile {
        folder: tempfile::TempDir,
        entry: std::sync::Arc<DocumentEntry>,
    }

    impl IndexedFile {
        fn new(text: &str) -> IndexedFile {
            let folder = tempfile::tempdir().unwrap();
            fs_err::write(folder.path().join("a.md"), text).unwrap();
            let metadata = fs_err::metadata(folder.path().join("a.md")).unwrap();
            let mut new = document("a.md", text);
            new.stat = FileStat::of(&metadata);
            let index = TestIndex::new(vec![new]);
            let entry = index.snapshot().document("a.md").unwrap();
            IndexedFile { folder, entry }
        }

        fn check(&self) -> Freshness {
            let root = self.folder.path();
            check(root, &root.join("a.md"), &self.entry)
        }

        /// Replaces the file. The new file has another inode, so stat differs even within the clock's resolution.
        fn replace(&self, text: &str) {
            fs_err::write(self.folder.path().join("new"), text).unwrap();
            fs_err::rename(self.folder.path().join("new"), self.folder.path().join("a.md")).unwrap();
        }
    }

    #[test]
    fn an_unchanged_file_is_current() {
        assert_eq!(IndexedFile::new("old").check(), Freshness::Current);
    }

    #[test]
    fn a_changed_file_of_equal_length_is_stale() {
        let file = IndexedFile::new("old");
        file.replace("new");
        assert_eq!(file.check(), Freshness::Stale);
    }

    #[test]
    fn a_file_rewritten_with_the_same_bytes_is_current() {
        let file = IndexedFile::new("old");
        file.replace("old");
        assert_eq!(file.check(), Freshness::Current);
    }

    #[test]
    fn a_file_of_another_length_is_stale() {
        let file = IndexedFile::new("old");
        file.replace("longer");
        assert_eq!(file.check(), Freshness::Stale);
    }

    #[test]
    fn a_missing_file_is_deleted_only_while_its_folder_exists() {
        let file = IndexedFile::new("old");
        let path = file.folder.path().join("a.md");
        fs_err::remove_file(&path).unwrap();
        assert_eq!(file.check(), Freshness::Deleted);
        let unmounted = file.folder.path().join("unmounted");
        assert_eq!(
            check(&unmounted, &unmounted.join("a.md"), &file.entry),
            Freshness::Stale
        );
    }
}
