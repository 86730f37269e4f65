//! What can stop an indexing run.

use std::path::PathBuf;

use autorag_embedder::EmbedError;
use autorag_store::StoreError;

/// A run that could not start or go on. A file that cannot be read is none: it becomes an item with its reason.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// A folder that is gone or cannot be read. Its documents stay as they are: an unmounted disk is no empty folder.
    #[error("cannot read the folder {}: {reason}; what was indexed of it stays", .path.display())]
    Root {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A setting that cannot be used.
    #[error("{setting}: {message}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The run was asked to stop. Everything up to there is kept.
    #[error("stopped before the end; the next run goes on from here")]
    Cancelled,
    /// Someone has indexing rest. Everything up to there is kept.
    #[error("indexing is paused; `autorag jobs resume` goes on with it")]
    Paused,
    /// Someone has ended the job. Everything up to there is kept.
    #[error("the job was cancelled; what it left undone is for the next one")]
    JobCancelled,
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model failed.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The process, or the machine, may open no more files.
    #[error("too many files are open to read another; raise the limit (`ulimit -n`). What was indexed stays")]
    NoDescriptors,
    /// A thread of the run panicked outside of a parser.
    #[error("a thread of the indexing run panicked; the next run goes on from the last committed step")]
    Panicked,
}
