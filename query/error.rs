//! What can go wrong between a question and its hits.

use std::path::PathBuf;

use autorag_embedder::EmbedError;
use autorag_store::StoreError;

/// A failed search or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The request breaks a limit; `field` names the part of it.
    #[error("{field}: {message}")]
    Invalid {
        /// Which field of the request.
        field: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
    /// No document has this key.
    #[error("there is no document {key:?}")]
    NoSuchDocument {
        /// The key that was asked for.
        key: String,
    },
    /// No document has this key so far, and files are still being read.
    #[error("there is no document {key:?} yet, but indexing is in progress")]
    NotIndexedYet {
        /// The key that was asked for.
        key: String,
    },
    /// The document is known, but gave no text.
    #[error("{key:?} has no text: {reason}")]
    NoText {
        /// The key that was asked for.
        key: String,
        /// Why the file gave no text.
        reason: String,
    },
    /// A file of a collection or a run cannot be read.
    #[error("{}: {message}", .path.display())]
    Collection {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        message: String,
    },
    /// A reranker cannot be used as it is set up.
    #[error("the reranker cannot be used: {message}")]
    Reranker {
        /// What is wrong.
        message: String,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A search by meaning alone, while the question cannot be embedded or compared.
    #[error("semantic search is not available: {reason}")]
    DenseUnavailable {
        /// Why not.
        reason: String,
    },
    /// A search by words while their index is damaged, and that cannot go on by meaning.
    #[error("cannot search by words: {reason}")]
    LexicalUnavailable {
        /// Why not, and what happens.
        reason: String,
    },
    /// The query could not be embedded.
    #[error(transparent)]
    Embed(#[from] EmbedError),
}
