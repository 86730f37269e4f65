//! The durable corpus: a catalog that is the truth, and a lexical index and vectors that are made from it.
//!
//! One process writes, through [`Store::open`]; any number read, through it or [`Store::open_read_only`]. A query takes a
//! [`Snapshot`] and sees one state of all three to its end. Each transaction of the catalog takes the next [`Seq`]; the two
//! indexes record how far they have got, and catch up on opening, so that a process may die at any moment.

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
mod io_cause;
mod jobs;
mod kind;
mod lexical;
mod lock;
mod publish;
mod rebuild;
mod run;
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
    ItemAction, Job, JobCause, JobCounts, JobId, JobItem, JobProgress, JobState, NewJobItem,
    cancel_paused_job,
};
pub use kind::Kind;
pub use lexical::{Highlighter, TermMatch};
pub use run::RunState;
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
