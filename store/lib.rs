//! Storage of a corpus: a catalog, which is the source of truth, and two indexes derived from it.
//!
//! The catalog is a SQLite database of documents, passages and embeddings. The lexical index answers BM25 queries, the vector
//! index nearest-neighbour queries. Both indexes can be rebuilt from the catalog.
//!
//! One process writes a store, through [`Store::open`], and may search it as well. Any number of other processes read the store
//! through [`Store::open_read_only`]. A query runs on a [`Snapshot`], which shows the state of one commit.
//!
//! Every write transaction of the catalog takes the next sequence number ([`Seq`]). Each index records the sequence number up to
//! which it has applied the catalog, and catches up when the store is opened. A crash is therefore safe at any moment.

#[macro_use]
mod string_enum;

mod catalog;
mod control;
mod doctor;
mod document_key;
mod documents;
mod embeddings;
mod error;
mod filter;
#[cfg(test)]
mod fixture;
mod io_cause;
mod jobs;
mod kind;
mod lexical;
mod lexical_repair;
mod lock;
mod publish;
mod run_state;
mod salvage;
mod snapshot;
mod store;
mod types;
mod unix_ms;
mod vectors;

pub use control::Control;
pub use doctor::{Check, StorageReport, StorePart, Verdict, Writer, examine, repair, storage_report};
pub use document_key::DocumentKey;
pub use documents::{DocumentQuery, DocumentSet};
pub use error::{ErrorChain, LexicalError, SqliteError, StoreError, StoreErrorKind};
pub use filter::{DocumentField, Filter, FilterError};
pub use jobs::{
    ItemAction, Job, JobCause, JobCounts, JobId, JobItem, JobProgress, JobStage, JobState, NewJobItem,
    cancel_paused_job,
};
pub use kind::Kind;
pub use lexical::{Highlighter, TermMatch};
pub use run_state::RunState;
pub use salvage::replace_damaged_catalog;
pub use snapshot::Snapshot;
pub use store::{ChangeBatch, Retry, Store, StoreOptions, read_model};
pub use string_enum::UnknownVariant;
pub use types::{
    Candidate, ContentHash, Counts, DocumentEntry, DocumentId, FileStat, FileState, ItemStatus, Matching,
    Metadata, ModelIdentity, NewDocument, NewPassage, Passage, PassageId, PendingPassage, Reembedding, Seq,
    SourceRoot, Span, VectorIndex,
};
pub use unix_ms::UnixMs;

/// The vector index without a catalog, for the crate in `bench/`. Not part of the public API.
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench {
    pub use crate::vectors::StandaloneVectors;
}
