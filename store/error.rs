//! What can go wrong with a store.

use std::io;
use std::path::PathBuf;

use tantivy::TantivyError;
use tantivy::directory::error::OpenReadError;

/// A store that could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process writes this store.
    #[error(
        "{dir} is in use by {holder}; stop that process, or ask it over HTTP or MCP",
        dir = .dir.display(),
        holder = .pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    LockHeld {
        /// The store's folder.
        dir: PathBuf,
        /// The process that holds it, where it said so.
        pid: Option<u32>,
    },
    /// The store's folder is on a disk, or of a user, that does not let this process write.
    #[error(
        "{} cannot be written, so that the index is searched as it is: {reason}; to bring it up to date, make that folder writable, \
         or keep the index elsewhere with --data-dir",
        .dir.display()
    )]
    Unwritable {
        /// The store's folder.
        dir: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The folder holds no store.
    #[error("{} holds no index; `autorag index` makes one", .dir.display())]
    NoStore {
        /// The folder.
        dir: PathBuf,
    },
    /// The store was written by a newer version.
    #[error("{} has format {found}, newer than format {known} that this version reads; upgrade autorag", .dir.display())]
    NewerFormat {
        /// The store's folder.
        dir: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that is understood.
        known: u32,
    },
    /// The store was written by an older version, and was opened for reading only.
    #[error(
        "{} has format {found}, older than format {known} that this version reads; `autorag index` brings it up",
        .dir.display()
    )]
    OlderFormat {
        /// The store's folder.
        dir: PathBuf,
        /// Its format.
        found: u32,
        /// The format of this version.
        known: u32,
    },
    /// A write on a store that was opened for reading.
    #[error("{} was opened for reading only", .dir.display())]
    ReadOnly {
        /// The store's folder.
        dir: PathBuf,
    },
    /// Something that is no vector of the store's model.
    #[error("a vector has {found} dimensions where the model has {expected}")]
    Dimensions {
        /// Length of the vector.
        found: usize,
        /// Length of the model's vectors.
        expected: usize,
    },
    /// A filter that cannot be understood.
    #[error(transparent)]
    Filter(#[from] crate::FilterError),
    /// A file could not be read or written. The message names it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The catalog failed.
    #[error("the catalog {}: {source}{}", .path.display(), remedy(.source))]
    Catalog {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The catalog was put aside for a new one while it was being read.
    #[error("the catalog {} was replaced while it was being read; ask again", .path.display())]
    Replaced {
        /// The database file.
        path: PathBuf,
    },
    /// The lexical index failed.
    #[error("the lexical index {}: {source}; where it is damaged, `autorag doctor --repair` makes it anew", .path.display())]
    Lexical {
        /// Its folder.
        path: PathBuf,
        /// What tantivy said.
        source: TantivyError,
    },
    /// A row of the catalog does not read back as what was written.
    #[error("the catalog {} holds a damaged {what}; delete the index folder to have it rebuilt", .path.display())]
    Damaged {
        /// The database file.
        path: PathBuf,
        /// What the row should have been.
        what: &'static str,
    },
}

impl StoreError {
    /// Whether it says that files of the lexical index are damaged, see [`crate::Store::lexical_is_damaged`].
    pub fn is_lexical_damage(&self) -> bool {
        matches!(self, StoreError::Lexical { .. }) && self.is_damage()
    }

    /// Whether it says that bytes are wrong, and not that they could not be had.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            StoreError::Catalog { source, .. } => crate::catalog::is_damage(source),
            StoreError::Lexical { source, .. } => match source {
                TantivyError::IoError(error)
                | TantivyError::OpenReadError(OpenReadError::IoError { io_error: error, .. }) => {
                    // A file that is cut off is an error of input too, but not one of the system.
                    error.raw_os_error().is_none() || error.kind() == io::ErrorKind::NotFound
                }
                TantivyError::OpenWriteError(_)
                | TantivyError::LockFailure(..)
                | TantivyError::SystemError(_) => false,
                _ => true,
            },
            StoreError::Damaged { .. } => true,
            _ => false,
        }
    }
}

/// What to do about an error of SQLite's, where that is known.
fn remedy(source: &rusqlite::Error) -> &'static str {
    match crate::catalog::is_damage(source) {
        true => "; the catalog is damaged: `autorag doctor --repair` mends it",
        false => "",
    }
}
