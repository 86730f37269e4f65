//! Lists the files of a folder that are documents.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use autorag_store::{DocumentKey, FileStat, SourceRoot};
use ignore::{DirEntry, WalkBuilder};

use crate::options::Globs;
use crate::parse::{ReasonCode, Refusal};
use crate::{IndexError, IndexOptions, RunContext, descriptors};

/// Our own ignore file, honoured beside `.gitignore` and `.ignore`.
const IGNORE_FILE: &str = ".autoragignore";

/// The stat to record where the system gives none.
pub(crate) const NO_STAT: FileStat = FileStat {
    size: 0,
    modified_ns: 0,
    inode: 0,
};

/// A file as listed by the walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedFile {
    pub path: PathBuf,
    pub stat: FileStat,
    /// Why the file is not read, if the walk already knows.
    pub refusal: Option<Refusal>,
}

/// The files of all sources.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Files by key.
    pub files: BTreeMap<DocumentKey, ListedFile>,
    /// Key prefixes of folders that could not be read. Nothing is known about the files below them.
    pub unreadable: Vec<String>,
    /// Folders that may hold documents, including the sources themselves: the folders to watch.
    pub folders: BTreeSet<PathBuf>,
}

/// Walks folders and lists their files.
pub(crate) struct FolderWalk<'a> {
    /// The index's own folder, which is skipped if it lies inside a source.
    pub data_dir: &'a Path,
    pub options: &'a IndexOptions,
    pub globs: &'a Globs,
    pub context: &'a RunContext<'a>,
}

impl FolderWalk<'_> {
    /// Adds the files of `source` to `listing`.
    ///
    /// # Errors
    /// [`IndexError::Root`] if the folder itself is gone or unreadable.
    pub(crate) fn list(&self, source: &SourceRoot, listing: &mut Listing) -> Result<(), IndexError> {
        let root = &source.path;
        let failed = |error: &std::io::Error| {
            if descriptors::are_exhausted(error) {
                return IndexError::TooManyOpenFiles;
            }
            IndexError::Root {
                path: root.clone(),
                reason: error.to_string(),
            }
        };
        #[allow(
            clippy::disallowed_methods,
            reason = "the error gets the path here, and fs_err hides its code"
        )]
        std::fs::read_dir(root).map_err(|error| failed(&error))?;
        listing.folders.insert(root.clone());
        for entry in self.entries(root) {
            self.context.cancel.check()?;
            match entry {
                Ok(entry) => self.add(&entry, source, listing),
                Err(error) => add_failure(error, source, listing).map_err(|error| failed(&error))?,
            }
        }
        Ok(())
    }

    fn entries(&self, root: &Path) -> ignore::Walk {
        // Sources have canonical paths, but `data_dir` may not be canonical.
        let data_dir = fs_err::canonicalize(self.data_dir).unwrap_or_else(|_| self.data_dir.to_owned());
        let options = self.options;
        let mut walk = WalkBuilder::new(root);
        if options.respect_ignore {
            walk.add_custom_ignore_filename(IGNORE_FILE);
        }
        walk.hidden(!options.hidden)
            .ignore(options.respect_ignore)
            .git_ignore(options.respect_ignore)
            .git_exclude(options.respect_ignore)
            .git_global(false)
            .parents(options.respect_ignore)
            .require_git(false)
            .follow_links(options.follow_links)
            .filter_entry(move |entry| entry.file_name() != ".git" && entry.path() != data_dir)
            .build()
    }

    fn add(&self, entry: &DirEntry, source: &SourceRoot, listing: &mut Listing) {
        let Some(kind) = entry.file_type() else { return };
        let (relative, key) = relative_and_key(entry.path(), source);
        if !parents(&relative).all(|folder| self.globs.admits_folder(folder)) {
            return;
        }
        if kind.is_dir() {
            if self.globs.admits_folder(&relative) {
                listing.folders.insert(entry.path().to_owned());
            }
            return;
        }
        if !self.globs.admits_file(&relative) {
            return;
        }
        self.context.progress.add_file_seen();
        let (stat, refusal) = match entry.metadata() {
            _ if entry.path().to_str().is_none() => (
                NO_STAT,
                Some(Refusal::new(
                    ReasonCode::InvalidName,
                    "file name is not valid UTF-8; rename it",
                )),
            ),
            Err(error) => (NO_STAT, Some(Refusal::walk_failed(&error))),
            Ok(meta) => (
                FileStat::of(&meta),
                refuse_unread(&meta, kind.is_symlink(), self.options),
            ),
        };
        let path = entry.path().to_owned();
        listing.files.insert(key, ListedFile { path, stat, refusal });
    }
}

/// Refuses a file that is not worth opening.
fn refuse_unread(meta: &Metadata, is_link: bool, options: &IndexOptions) -> Option<Refusal> {
    if is_link {
        return Some(Refusal::new(
            ReasonCode::SymbolicLink,
            "symbolic link; set index.follow_links to follow it",
        ));
    }
    if !meta.is_file() {
        return Some(Refusal::new(
            ReasonCode::NotAFile,
            "not a regular file (a socket, device or pipe)",
        ));
    }
    (meta.len() > options.max_file_size).then(|| {
        let limit = options.max_file_size;
        Refusal::new(
            ReasonCode::TooLarge,
            format!("{} bytes, over index.max_file_size ({limit} bytes)", meta.len()),
        )
    })
}

/// Records a file or folder that the walk could not read. Fails if that is the source itself.
fn add_failure(
    error: ignore::Error,
    source: &SourceRoot,
    listing: &mut Listing,
) -> Result<(), std::io::Error> {
    let Some(path) = path_of(&error) else {
        // Most often a bad line in an ignore file. The walk continues and ignores that line.
        tracing::warn!("while walking {}: {error}", source.path.display());
        return Ok(());
    };
    if path == source.path {
        let message = error.to_string();
        return Err(error
            .into_io_error()
            .unwrap_or_else(|| std::io::Error::other(message)));
    }
    let (_, key) = relative_and_key(path, source);
    let refusal = if is_loop(&error) {
        Refusal::new(
            ReasonCode::SymbolicLink,
            "symbolic link to a folder that contains it",
        )
    } else {
        Refusal::walk_failed(&error)
    };
    if path.is_dir() {
        listing.unreadable.push(format!("{key}/"));
    }
    listing.files.insert(
        key,
        ListedFile {
            path: path.to_owned(),
            stat: NO_STAT,
            refusal: Some(refusal),
        },
    );
    Ok(())
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::Loop { child, .. } => Some(child),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        _ => None,
    }
}

fn is_loop(error: &ignore::Error) -> bool {
    match error {
        ignore::Error::Loop { .. } => true,
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithPath { err, .. } => is_loop(err),
        _ => false,
    }
}

/// The path within the source, and the key. With several sources, the key begins with the source's name.
fn relative_and_key(path: &Path, source: &SourceRoot) -> (String, DocumentKey) {
    let within = path.strip_prefix(&source.path).unwrap_or(path);
    let parts: Vec<_> = within
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    let relative = parts.join("/");
    let key = source.key_of(&relative);
    (relative, key)
}

/// The folders above a file, outermost first.
fn parents(relative: &str) -> impl Iterator<Item = &str> {
    relative.match_indices('/').map(|(at, _)| &relative[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cancel, Progress};

    fn list(root: &Path, data_dir: &Path, options: &IndexOptions) -> Listing {
        let source = SourceRoot {
            name: None,
            path: root.to_owned(),
        };
        let (progress, cancel) = (Progress::default(), Cancel::default());
        let walk = FolderWalk {
            data_dir,
            options,
            globs: &Globs::new(options).unwrap(),
            context: &RunContext::new(&progress, &cancel),
        };
        let mut listing = Listing::default();
        walk.list(&source, &mut listing).unwrap();
        listing
    }

    #[test]
    fn only_folders_that_may_hold_documents_are_watched() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(dir.path()).unwrap();
        for folder in ["a/b", "ignored/x", "excluded/x", ".hidden", ".git", "index/here"] {
            fs_err::create_dir_all(root.join(folder)).unwrap();
        }
        fs_err::write(root.join(".gitignore"), "ignored/\n").unwrap();
        let options = IndexOptions {
            exclude: vec!["excluded".into()],
            ..IndexOptions::default()
        };
        // The walk meets the data folder under another path than this one.
        let listing = list(&root, &root.join("a/../index/here"), &options);
        let expected: BTreeSet<PathBuf> = ["", "a", "a/b", "index"]
            .iter()
            .map(|folder| match *folder {
                "" => root.clone(),
                folder => root.join(folder),
            })
            .collect();
        assert_eq!(listing.folders, expected);
    }

    #[test]
    fn ignore_files_hide_files_unless_they_are_turned_off() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(dir.path()).unwrap();
        fs_err::create_dir_all(root.join("sub")).unwrap();
        fs_err::write(root.join(".gitignore"), "git.md\n").unwrap();
        fs_err::write(root.join(".ignore"), "tools.md\n").unwrap();
        fs_err::write(root.join("sub/.autoragignore"), "own.md\n").unwrap();
        for file in [
            "git.md",
            "tools.md",
            "own.md",
            "sub/own.md",
            "kept.md",
            ".hidden.md",
        ] {
            fs_err::write(root.join(file), "text").unwrap();
        }
        let keys = |options: &IndexOptions| -> Vec<String> {
            list(&root, &root.join("none"), options)
                .files
                .into_keys()
                .map(|key| key.as_str().to_owned())
                .collect()
        };
        assert_eq!(keys(&IndexOptions::default()), ["kept.md", "own.md"]);
        let all = IndexOptions {
            respect_ignore: false,
            ..IndexOptions::default()
        };
        assert_eq!(
            keys(&all),
            ["git.md", "kept.md", "own.md", "sub/own.md", "tools.md"]
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_pipes_and_large_files_are_listed_with_their_reason() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(dir.path()).unwrap();
        fs_err::write(root.join("large.md"), "more than ten bytes").unwrap();
        fs_err::write(root.join("small.md"), "text").unwrap();
        std::os::unix::fs::symlink(root.join("small.md"), root.join("link.md")).unwrap();
        std::os::unix::net::UnixListener::bind(root.join("socket.md")).unwrap();
        let options = IndexOptions {
            max_file_size: 10,
            ..IndexOptions::default()
        };
        let codes: Vec<(String, Option<ReasonCode>)> = list(&root, &root.join("none"), &options)
            .files
            .into_iter()
            .map(|(key, file)| (key.as_str().to_owned(), file.refusal.map(|refusal| refusal.code)))
            .collect();
        let expected = [
            ("large.md", Some(ReasonCode::TooLarge)),
            ("link.md", Some(ReasonCode::SymbolicLink)),
            ("small.md", None),
            ("socket.md", Some(ReasonCode::NotAFile)),
        ];
        assert_eq!(codes, expected.map(|(key, code)| (key.to_owned(), code)));
    }
}
