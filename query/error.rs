//! Errors of searches, reads and evaluations.

use std::path::PathBuf;

use autorag_embedder::EmbedError;
use autorag_store::{StoreError, StoreErrorKind};

/// A failed search, read or evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// A field of the request is invalid.
    #[error("{field}: {message}")]
    Invalid {
        /// Name of the field.
        field: &'static str,
        /// What is invalid about the field, as the predicate of a sentence.
        message: String,
    },
    /// No document has this key.
    #[error("there is no document {key:?}")]
    NoSuchDocument {
        /// Requested key.
        key: String,
    },
    /// No document has this key so far, and indexing is in progress.
    #[error("there is no document {key:?} yet, but indexing is in progress")]
    NotIndexedYet {
        /// Requested key.
        key: String,
    },
    /// The document exists but has no text.
    #[error("{key:?} has no text: {reason}")]
    NoText {
        /// Requested key.
        key: String,
        /// Why the document has no text.
        reason: String,
    },
    /// A file of an evaluation is unreadable or malformed.
    #[error("{}: {message}", .path.display())]
    Collection {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong, with the line number.
        message: String,
    },
    /// The options of a reranker are invalid.
    #[error("the reranker cannot be used: {message}")]
    Reranker {
        /// What is invalid.
        message: String,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The search needs the dense retriever, but the query cannot be embedded or compared.
    #[error("semantic search is not available: {reason}")]
    DenseUnavailable {
        /// Why the dense retriever is not available.
        reason: String,
    },
    /// The search needs the lexical retriever, but the lexical index is corrupt.
    #[error("keyword search is not available: {reason}")]
    LexicalUnavailable {
        /// Why the lexical retriever is not available.
        reason: &'static str,
        /// True if this process is rebuilding the lexical index.
        is_rebuilding: bool,
    },
    /// The query could not be embedded.
    #[error(transparent)]
    Embed(#[from] EmbedError),
}

/// Kind of a [`QueryError`], for callers that choose a status or a hint by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueryErrorKind {
    /// A field of the request is invalid.
    InvalidRequest,
    /// No document has the requested key.
    NoSuchDocument,
    /// No document has the requested key so far, and indexing is in progress.
    NotIndexedYet,
    /// The document exists but has no text.
    NoText,
    /// A file of an evaluation is unreadable or malformed.
    InvalidCollection,
    /// The options of a reranker are invalid.
    InvalidReranker,
    /// The query cannot be embedded or compared.
    DenseUnavailable,
    /// The lexical index is corrupt, and this process is rebuilding it.
    LexicalRebuilding,
    /// The lexical index is corrupt, and this process cannot rebuild it.
    LexicalDamaged,
    /// The store could not be read.
    Store(StoreErrorKind),
    /// The query could not be embedded.
    Embed,
}

impl QueryError {
    /// The kind of the error.
    pub fn kind(&self) -> QueryErrorKind {
        match self {
            QueryError::Invalid { .. } => QueryErrorKind::InvalidRequest,
            QueryError::NoSuchDocument { .. } => QueryErrorKind::NoSuchDocument,
            QueryError::NotIndexedYet { .. } => QueryErrorKind::NotIndexedYet,
            QueryError::NoText { .. } => QueryErrorKind::NoText,
            QueryError::Collection { .. } => QueryErrorKind::InvalidCollection,
            QueryError::Reranker { .. } => QueryErrorKind::InvalidReranker,
            QueryError::Store(error) => QueryErrorKind::Store(error.kind()),
            QueryError::DenseUnavailable { .. } => QueryErrorKind::DenseUnavailable,
            QueryError::LexicalUnavailable {
                is_rebuilding: true, ..
            } => QueryErrorKind::LexicalRebuilding,
            QueryError::LexicalUnavailable {
                is_rebuilding: false, ..
            } => QueryErrorKind::LexicalDamaged,
            QueryError::Embed(_) => QueryErrorKind::Embed,
        }
    }
}
