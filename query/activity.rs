//! What the indexer is doing, and how much of the corpus is searchable.
//!
//! An answer has to say whether documents may be missing, but this crate does not depend on the indexer. The caller, which runs
//! both, therefore passes an [`Activity`] with each search. The engine combines it with the counts of its snapshot into the
//! [`IndexState`] of the answer.

use autorag_store::{Counts, string_enum};

string_enum! {
    /// Phase of an index. A run passes through `Scanning`, `Indexing` and `Embedding`, and ends in `Ready` or `Failed`.
    Phase "phase" {
        /// The index is being opened, so its contents are unknown.
        Opening = "opening",
        /// The indexer is listing files and comparing them with the index.
        Scanning = "scanning",
        /// The indexer is parsing new and changed files. Their passages become searchable by BM25.
        Indexing = "indexing",
        /// All files are searchable by BM25, and the indexer is embedding their passages.
        Embedding = "embedding",
        /// The last run succeeded and none is in progress.
        Ready = "ready",
        /// Indexing is paused, so changes to files are not picked up.
        Paused = "paused",
        /// No run has ever finished and none is in progress: the process was interrupted.
        Incomplete = "incomplete",
        /// The last run failed. Documents committed before the failure are searchable.
        Failed = "failed",
    }
}

impl Phase {
    /// True if files may exist that the index does not know yet.
    pub(crate) fn may_miss_documents(self) -> bool {
        match self {
            Phase::Opening | Phase::Scanning | Phase::Indexing | Phase::Incomplete => true,
            Phase::Embedding | Phase::Ready | Phase::Paused | Phase::Failed => false,
        }
    }
}

/// What the indexer is doing now, as reported by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Current phase.
    pub phase: Phase,
    /// Files seen by the current run, or by the last one if none is in progress.
    pub files_seen: u64,
    /// End of the last successful run, RFC 3339.
    pub last_run: Option<String>,
    /// Why the last run failed. `None` if it succeeded.
    pub failure: Option<String>,
}

/// How much of the corpus is searchable. While `complete` is false, an empty answer may mean "not indexed yet".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexState {
    /// Current phase.
    pub phase: Phase,
    /// True if every file of the last run is searchable by both retrievers.
    pub complete: bool,
    /// Documents with text.
    pub documents: u64,
    /// Passages, all of them searchable by BM25.
    pub passages: u64,
    /// Passages that are embedded.
    pub embedded: u64,
    /// Passages that wait for their embedding.
    pub pending: u64,
    /// Files that could not be read or parsed.
    pub errors: u64,
    /// Files skipped on purpose.
    pub skipped: u64,
    /// Files seen by the current run, or by the last one if none is in progress.
    pub files_seen: u64,
    /// End of the last successful run, RFC 3339.
    pub last_run: Option<String>,
    /// Why the last run failed. `None` if it succeeded.
    pub failure: Option<String>,
}

impl IndexState {
    /// Combines the counts of a snapshot with the activity of the indexer.
    pub fn new(counts: Counts, activity: &Activity) -> IndexState {
        let pending = counts.passages.saturating_sub(counts.embedded);
        IndexState {
            phase: activity.phase,
            complete: activity.phase == Phase::Ready && pending == 0,
            documents: counts.documents,
            passages: counts.passages,
            embedded: counts.embedded,
            pending,
            errors: counts.errors,
            skipped: counts.skipped,
            files_seen: activity.files_seen,
            last_run: activity.last_run.clone(),
            failure: activity.failure.clone(),
        }
    }
}
