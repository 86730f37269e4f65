//! Errors that stop a run.

use std::path::PathBuf;

use autorag_embedder::EmbedError;
use autorag_store::StoreError;

/// Why a run could not start or finish. Work committed before the error is kept.
///
/// A file that cannot be read is not an error: it becomes an item with a reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// A source's folder is gone or unreadable. Its documents stay: an unmounted disk is not an empty folder.
    #[error("cannot read the folder {}: {reason}; its documents stay in the index", .path.display())]
    Root {
        /// The folder.
        path: PathBuf,
        /// The system's error, or why the folder is not trusted to be empty.
        reason: String,
    },
    /// An option has an invalid value.
    #[error("{setting}: {message}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// What is wrong with the value.
        message: String,
    },
    /// The process asked the run to stop.
    #[error("interrupted; the next run resumes")]
    Cancelled,
    /// Indexing was paused.
    #[error("indexing is paused")]
    Paused,
    /// The job was cancelled.
    #[error("the job was cancelled; the next job picks up what is left")]
    JobCancelled,
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model failed.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The process or the system can open no more files.
    #[error("too many open files")]
    TooManyOpenFiles,
    /// A thread of the run panicked outside of a parser.
    #[error("an indexing thread panicked; the next run resumes after the last commit")]
    Panicked,
}
