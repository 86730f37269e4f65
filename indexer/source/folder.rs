//! A folder: which files of it are documents.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use autorag_store::{DocumentKey, FileStat, SourceRoot};
use ignore::{DirEntry, WalkBuilder};

use crate::options::Globs;
use crate::parse::Refusal;
use crate::{Cancel, IndexError, IndexOptions, Progress};

/// The project's own ignore file, beside those that other tools have.
const IGNORE_FILE: &str = ".autoragignore";

/// A file found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub path: PathBuf,
    pub stat: FileStat,
    /// Why it is not even read.
    pub refusal: Option<Refusal>,
}

/// What was found in all sources.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Files by key.
    pub files: BTreeMap<DocumentKey, Found>,
    /// Beginnings of the keys of folders that could not be read: what is known of them says nothing about their files.
    pub unreadable: Vec<String>,
    /// Folders that documents may be in, the sources themselves among them: those to watch.
    pub folders: BTreeSet<PathBuf>,
}

/// Lists the files of a source.
///
/// # Errors
/// [`IndexError::Root`] where the folder itself is gone or cannot be read.
pub(crate) fn list(
    source: &SourceRoot,
    not_into: &Path,
    options: &IndexOptions,
    globs: &Globs,
    progress: &Progress,
    cancel: &Cancel,
    into: &mut Listing,
) -> Result<(), IndexError> {
    let root = &source.path;
    let failed = |reason: String| IndexError::Root {
        path: root.clone(),
        reason,
    };
    fs_err::read_dir(root).map_err(|error| failed(error.to_string()))?;
    into.folders.insert(root.clone());
    for entry in walk(root, not_into, options) {
        cancel.check()?;
        match entry {
            Ok(entry) => visit(&entry, source, options, globs, progress, into),
            Err(error) => failure(&error, source, into).map_err(failed)?,
        }
    }
    Ok(())
}

fn walk(root: &Path, not_into: &Path, options: &IndexOptions) -> ignore::Walk {
    // Sources are named by their canonical paths, and the index may be inside of one under another name.
    let not_into = fs_err::canonicalize(not_into).unwrap_or_else(|_| not_into.to_owned());
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
        .filter_entry(move |entry| entry.file_name() != ".git" && entry.path() != not_into)
        .build()
}

fn visit(
    entry: &DirEntry,
    source: &SourceRoot,
    options: &IndexOptions,
    globs: &Globs,
    progress: &Progress,
    into: &mut Listing,
) {
    let Some(kind) = entry.file_type() else { return };
    let (relative, key) = keys(entry.path(), source);
    if !parents(&relative).all(|folder| globs.admit_folder(folder)) {
        return;
    }
    if kind.is_dir() {
        if globs.admit_folder(&relative) {
            into.folders.insert(entry.path().to_owned());
        }
        return;
    }
    if !globs.admit_file(&relative) {
        return;
    }
    progress.found_file();
    let (stat, refusal) = match entry.metadata() {
        _ if entry.path().to_str().is_none() => (
            FileStat {
                size: 0,
                modified_ns: 0,
                inode: 0,
            },
            Some(Refusal::error("its name is not valid UTF-8; rename it")),
        ),
        Err(error) => (
            FileStat {
                size: 0,
                modified_ns: 0,
                inode: 0,
            },
            Some(Refusal::error(reason(&error))),
        ),
        Ok(meta) => (FileStat::of(&meta), refusal_of(&meta, kind.is_symlink(), options)),
    };
    into.files.insert(
        key,
        Found {
            path: entry.path().to_owned(),
            stat,
            refusal,
        },
    );
}

fn refusal_of(meta: &Metadata, link: bool, options: &IndexOptions) -> Option<Refusal> {
    if link {
        return Some(Refusal::skipped(
            "a symbolic link; index.follow_links follows them",
        ));
    }
    if !meta.is_file() {
        return Some(Refusal::skipped("not a regular file"));
    }
    (meta.len() > options.max_file_size).then(|| {
        let limit = options.max_file_size;
        Refusal::skipped(format!(
            "{} bytes are more than index.max_file_size ({limit}) allows",
            meta.len()
        ))
    })
}

/// Takes note of something that could not be walked. An error where that is the whole source.
fn failure(error: &ignore::Error, source: &SourceRoot, into: &mut Listing) -> Result<(), String> {
    let Some(path) = path_of(error) else {
        // An ignore file with a bad line, mostly; the walk goes on without that line.
        tracing::warn!("while walking {}: {error}", source.path.display());
        return Ok(());
    };
    if path == source.path {
        return Err(reason(error));
    }
    let (_, key) = keys(path, source);
    let refusal = match is_loop(error) {
        true => Refusal::skipped("a symbolic link to a folder that it is in"),
        false => Refusal::error(reason(error)),
    };
    if path.is_dir() {
        into.unreadable.push(format!("{key}/"));
    }
    let stat = FileStat {
        size: 0,
        modified_ns: 0,
        inode: 0,
    };
    into.files.insert(
        key,
        Found {
            path: path.to_owned(),
            stat,
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

fn reason(error: &ignore::Error) -> String {
    match error.io_error() {
        Some(io) => io.to_string(),
        None => error.to_string(),
    }
}

/// The path within the source, and the key, which has the source's name before it where there are several.
fn keys(path: &Path, source: &SourceRoot) -> (String, DocumentKey) {
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

    #[test]
    fn the_folders_to_watch_are_those_that_documents_may_be_in() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs_err::canonicalize(dir.path()).unwrap();
        for folder in ["a/b", "ignored/x", "excluded/x", ".hidden", ".git", "index/here"] {
            fs_err::create_dir_all(root.join(folder)).unwrap();
        }
        fs_err::write(root.join(".gitignore"), "ignored/\n").unwrap();
        let source = SourceRoot {
            name: None,
            path: root.clone(),
        };
        let options = IndexOptions {
            exclude: vec!["excluded".into()],
            ..IndexOptions::default()
        };
        let globs = Globs::new(&options).unwrap();
        let mut listing = Listing::default();
        // The index under another name than the walk meets it by.
        let index = root.join("a/../index/here");
        let (progress, cancel) = (Progress::default(), Cancel::default());
        list(
            &source,
            &index,
            &options,
            &globs,
            &progress,
            &cancel,
            &mut listing,
        )
        .unwrap();
        let expected: BTreeSet<PathBuf> = ["", "a", "a/b", "index"]
            .iter()
            .map(|folder| match *folder {
                "" => root.clone(),
                folder => root.join(folder),
            })
            .collect();
        assert_eq!(listing.folders, expected);
    }
}
