//! Errors of a store.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use tantivy::TantivyError;
use tantivy::directory::error::{LockError, OpenDirectoryError, OpenReadError, OpenWriteError};

use crate::io_cause::{is_disk_full, is_too_many_open_files, may_be_too_many_open_files, system_code};

/// A store that could not be opened, read or written.
///
/// The message of an error does not repeat its [source](Error::source). [`ErrorChain`] prints both.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has the store open for writing.
    #[error(
        "{dir} is in use by {holder}",
        dir = .dir.display(),
        holder = .pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    LockHeld {
        /// Folder of the store.
        dir: PathBuf,
        /// Id of the process that holds the lock, if known.
        pid: Option<u32>,
    },
    /// This process may not write in the store's folder: the disk is read-only, or the folder belongs to another user.
    #[error("{} is not writable", .dir.display())]
    Unwritable {
        /// Folder of the store.
        dir: PathBuf,
        /// Why the operating system refused the write.
        source: io::Error,
    },
    /// The folder contains no store.
    #[error("{} contains no index", .dir.display())]
    NoStore {
        /// The folder.
        dir: PathBuf,
    },
    /// A newer version wrote the store.
    #[error("{} has format {found}, but this version reads formats up to {known} only", .dir.display())]
    NewerFormat {
        /// Folder of the store.
        dir: PathBuf,
        /// Format of the store.
        found: u32,
        /// Newest format that this version reads.
        known: u32,
    },
    /// An older version wrote the store. Opening it for writing upgrades it; a read-only opening cannot.
    #[error("{} has the old format {found}; open it for writing once to upgrade it to format {known}", .dir.display())]
    OlderFormat {
        /// Folder of the store.
        dir: PathBuf,
        /// Format of the store.
        found: u32,
        /// Format that this version writes.
        known: u32,
    },
    /// A write on a store that was opened read-only.
    #[error("{} was opened read-only", .dir.display())]
    ReadOnly {
        /// Folder of the store.
        dir: PathBuf,
    },
    /// A vector of the wrong length.
    #[error("vector has {found} dimensions, but the model has {expected}")]
    Dimensions {
        /// Length of the vector.
        found: usize,
        /// Length of the model's vectors.
        expected: usize,
    },
    /// A source that cannot be recorded, such as a folder whose path is not UTF-8.
    #[error("cannot record the source folder {}", .path.display())]
    InvalidSource {
        /// The folder.
        path: PathBuf,
        /// Why its path cannot be encoded.
        source: serde_json::Error,
    },
    /// This process, or the whole machine, has too many files open.
    #[error("cannot open another file")]
    TooManyOpenFiles {
        /// The file that could not be opened.
        source: io::Error,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Io(io::Error),
    /// An operation on the catalog failed.
    #[error("the catalog {} failed", .path.display())]
    Catalog {
        /// The database file.
        path: PathBuf,
        /// What SQLite reported.
        source: SqliteError,
    },
    /// The catalog was replaced by a new one while it was read. A new snapshot reads the new one.
    #[error("the catalog {} was replaced while it was read", .path.display())]
    Replaced {
        /// The database file.
        path: PathBuf,
    },
    /// An operation on the lexical index failed.
    #[error("the lexical index {} failed", .path.display())]
    Lexical {
        /// Folder of the index.
        path: PathBuf,
        /// What tantivy reported.
        source: LexicalError,
    },
}

/// Kind of a [`StoreError`], for callers that choose a status or a hint by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Another process has the store open for writing.
    InUse,
    /// This process may not write in the store's folder.
    Unwritable,
    /// The folder contains no store.
    Missing,
    /// A newer version wrote the store.
    NewerFormat,
    /// An older version wrote the store, and it was opened read-only.
    OlderFormat,
    /// A write on a store that was opened read-only.
    ReadOnly,
    /// The caller passed a value that the store cannot take.
    InvalidInput,
    /// Files of the store are corrupt.
    Damaged,
    /// The catalog was replaced while it was read; try again with a new snapshot.
    Replaced,
    /// The disk, or the user's quota on it, is full.
    DiskFull,
    /// This process, or the whole machine, has too many files open.
    TooManyOpenFiles,
    /// Any other failure to read or write.
    Io,
}

impl StoreError {
    /// The kind of the error. A full disk or a lack of file descriptors is recognised through all layers.
    pub fn kind(&self) -> StoreErrorKind {
        match self {
            StoreError::LockHeld { .. } => StoreErrorKind::InUse,
            StoreError::Unwritable { .. } => StoreErrorKind::Unwritable,
            StoreError::NoStore { .. } => StoreErrorKind::Missing,
            StoreError::NewerFormat { .. } => StoreErrorKind::NewerFormat,
            StoreError::OlderFormat { .. } => StoreErrorKind::OlderFormat,
            StoreError::ReadOnly { .. } => StoreErrorKind::ReadOnly,
            StoreError::Dimensions { .. } | StoreError::InvalidSource { .. } => StoreErrorKind::InvalidInput,
            StoreError::TooManyOpenFiles { .. } => StoreErrorKind::TooManyOpenFiles,
            StoreError::Io(error) => kind_of_io(error),
            StoreError::Catalog { source, .. } => source.kind(),
            StoreError::Replaced { .. } => StoreErrorKind::Replaced,
            StoreError::Lexical { source, .. } => source.kind(),
        }
    }

    pub(crate) fn lexical(path: &Path, source: TantivyError) -> StoreError {
        StoreError::Lexical {
            path: path.to_owned(),
            source: LexicalError(source),
        }
    }

    /// Whether files of the lexical index are corrupt, see [`Store::report_lexical_damage`](crate::Store::report_lexical_damage).
    pub fn is_lexical_damage(&self) -> bool {
        matches!(self, StoreError::Lexical { .. }) && self.is_damage()
    }

    /// True for corrupt data, false for unreachable data.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            StoreError::Catalog { source, .. } => crate::catalog::is_damage(&source.0),
            StoreError::Lexical { source, .. } => source.is_damage(),
            _ => false,
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> StoreError {
        if may_be_too_many_open_files(&error) {
            StoreError::TooManyOpenFiles { source: error }
        } else {
            StoreError::Io(error)
        }
    }
}

/// An error of SQLite.
///
/// It has no source: SQLite's error code only repeats the message.
#[derive(Debug)]
pub struct SqliteError(pub(crate) rusqlite::Error);

impl SqliteError {
    fn kind(&self) -> StoreErrorKind {
        if crate::catalog::is_damage(&self.0) {
            return StoreErrorKind::Damaged;
        }
        // A shared-memory file that cannot grow has an error code of its own.
        let extended = self.0.sqlite_error().map(|error| error.extended_code);
        if extended == Some(rusqlite::ffi::SQLITE_IOERR_SHMSIZE) {
            return StoreErrorKind::DiskFull;
        }
        match self.0.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreErrorKind::DiskFull,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreErrorKind::InUse,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreErrorKind::Unwritable,
            _ => StoreErrorKind::Io,
        }
    }
}

impl fmt::Display for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for SqliteError {}

/// An error of tantivy.
///
/// It has no source: tantivy's messages contain those of their causes.
#[derive(Debug)]
pub struct LexicalError(pub(crate) TantivyError);

impl LexicalError {
    fn kind(&self) -> StoreErrorKind {
        match self.io_error() {
            Some(error) if is_disk_full(error) || is_too_many_open_files(error) => return kind_of_io(error),
            _ => {}
        }
        match self.0 {
            // The message does not distinguish corrupt files from a disk that could not be written.
            TantivyError::ErrorInThread(_) | TantivyError::Poisoned => StoreErrorKind::Io,
            _ if self.is_damage() => StoreErrorKind::Damaged,
            _ => StoreErrorKind::Io,
        }
    }

    fn is_damage(&self) -> bool {
        match &self.0 {
            TantivyError::IoError(error)
            | TantivyError::OpenReadError(OpenReadError::IoError { io_error: error, .. }) => {
                // An unexpected end of file is also an I/O error, but without an OS error code.
                system_code(error).is_none() && !is_disk_full(error)
                    || error.kind() == io::ErrorKind::NotFound
            }
            TantivyError::OpenWriteError(_)
            | TantivyError::LockFailure(..)
            | TantivyError::SystemError(_) => false,
            _ => true,
        }
    }

    /// The I/O error behind this one, if there is one.
    fn io_error(&self) -> Option<&io::Error> {
        match &self.0 {
            TantivyError::IoError(error)
            | TantivyError::OpenReadError(OpenReadError::IoError { io_error: error, .. })
            | TantivyError::OpenWriteError(OpenWriteError::IoError { io_error: error, .. })
            | TantivyError::OpenDirectoryError(
                OpenDirectoryError::IoError { io_error: error, .. }
                | OpenDirectoryError::FailedToCreateTempDir(error),
            )
            | TantivyError::LockFailure(LockError::IoError(error), _) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for LexicalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // tantivy prints I/O errors in their debug form.
        let Some(error) = self.io_error() else {
            return fmt::Display::fmt(&self.0, f);
        };
        match &self.0 {
            TantivyError::OpenReadError(OpenReadError::IoError { filepath, .. })
            | TantivyError::OpenWriteError(OpenWriteError::IoError { filepath, .. }) => {
                write!(f, "{}: {error}", filepath.display())
            }
            _ => fmt::Display::fmt(error, f),
        }
    }
}

impl Error for LexicalError {}

fn kind_of_io(error: &io::Error) -> StoreErrorKind {
    if is_disk_full(error) {
        StoreErrorKind::DiskFull
    } else if is_too_many_open_files(error) {
        StoreErrorKind::TooManyOpenFiles
    } else {
        StoreErrorKind::Io
    }
}

/// Displays an error and its causes in one line: `message: cause: cause of the cause`.
///
/// ```
/// use autorag_store::{ErrorChain, StoreError};
///
/// let source = std::io::Error::other("disk on fire");
/// let error = StoreError::Unwritable { dir: "/data".into(), source };
/// assert_eq!(ErrorChain(&error).to_string(), "/data is not writable: disk on fire");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ErrorChain<'e>(pub &'e (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.0, f)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rusqlite::ffi;

    use super::*;

    fn sqlite(extended_code: i32) -> StoreError {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(extended_code), Some("message".into()));
        StoreError::Catalog {
            path: "catalog.sqlite".into(),
            source: SqliteError(error),
        }
    }

    fn tantivy(error: impl Into<TantivyError>) -> StoreError {
        StoreError::lexical(Path::new("lexical"), error.into())
    }

    fn os(code: i32) -> io::Error {
        io::Error::from_raw_os_error(code)
    }

    #[test]
    fn sqlite_errors_have_the_kind_of_their_code() {
        for (code, kind) in [
            (ffi::SQLITE_FULL, StoreErrorKind::DiskFull),
            (ffi::SQLITE_IOERR_SHMSIZE, StoreErrorKind::DiskFull),
            (ffi::SQLITE_CORRUPT, StoreErrorKind::Damaged),
            (ffi::SQLITE_NOTADB, StoreErrorKind::Damaged),
            (ffi::SQLITE_BUSY, StoreErrorKind::InUse),
            (ffi::SQLITE_READONLY, StoreErrorKind::Unwritable),
            (ffi::SQLITE_IOERR, StoreErrorKind::Io),
        ] {
            assert_eq!(sqlite(code).kind(), kind, "{code}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_full_disk_and_a_lack_of_descriptors_are_no_damage_of_the_lexical_index() {
        const ENOSPC: i32 = 28;
        const EMFILE: i32 = 24;
        for (code, kind) in [
            (ENOSPC, StoreErrorKind::DiskFull),
            (EMFILE, StoreErrorKind::TooManyOpenFiles),
        ] {
            let wrapped = io::Error::other(os(code));
            let opening = OpenWriteError::wrap_io_error(os(code), "a.idx".into());
            for error in [tantivy(os(code)), tantivy(wrapped), tantivy(opening)] {
                assert_eq!(error.kind(), kind, "{error:?}");
                assert!(!error.is_lexical_damage(), "{error:?}");
            }
            assert_eq!(StoreError::from(os(code)).kind(), kind);
        }
    }

    #[test]
    fn a_file_that_ends_early_or_is_missing_is_damage() {
        for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::NotFound] {
            let error = tantivy(io::Error::from(kind));
            assert_eq!(error.kind(), StoreErrorKind::Damaged, "{kind}");
            assert!(error.is_lexical_damage(), "{kind}");
        }
        let thread = tantivy(TantivyError::ErrorInThread("panicked".into()));
        assert_eq!(thread.kind(), StoreErrorKind::Io);
    }

    #[test]
    fn the_chain_prints_each_cause_once() {
        let error = sqlite(ffi::SQLITE_FULL);
        assert_eq!(
            ErrorChain(&error).to_string(),
            "the catalog catalog.sqlite failed: message"
        );
        let reading = OpenReadError::IoError {
            io_error: Arc::new(io::Error::other("torn cable")),
            filepath: "a.idx".into(),
        };
        assert_eq!(
            ErrorChain(&tantivy(reading)).to_string(),
            "the lexical index lexical failed: a.idx: torn cable"
        );
    }
}
