//! What the indexer is doing, as far as an answer has to say so.
//!
//! `query` never meets the indexer: whoever runs both passes an [`Activity`] along with each search.

use autorag_store::Counts;

/// Stage of the indexing run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The index is being opened; nothing is known yet.
    Opening,
    /// Files are being found and compared.
    Scanning,
    /// Files are being parsed and made searchable by BM25.
    Indexing,
    /// Vectors are being built.
    Embedding,
    /// The last run has finished.
    Ready,
    /// Someone has indexing rest; changes are not followed.
    Paused,
    /// No run has finished, and none is under way.
    Incomplete,
    /// The last run failed; the index is as it was before or as far as it came.
    Failed,
}

impl Phase {
    /// Whether a document of the folder may not be known yet.
    pub(crate) fn may_miss_documents(self) -> bool {
        match self {
            Phase::Opening | Phase::Scanning | Phase::Indexing | Phase::Incomplete => true,
            Phase::Embedding | Phase::Ready | Phase::Paused | Phase::Failed => false,
        }
    }

    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Opening => "opening",
            Phase::Scanning => "scanning",
            Phase::Indexing => "indexing",
            Phase::Embedding => "embedding",
            Phase::Ready => "ready",
            Phase::Paused => "paused",
            Phase::Incomplete => "incomplete",
            Phase::Failed => "failed",
        }
    }
}

/// What the indexer is doing at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Stage of the run.
    pub phase: Phase,
    /// Files found by the run under way, or by the last one.
    pub files_seen: u64,
    /// When the last complete run ended, RFC 3339.
    pub last_run: Option<String>,
    /// Why the last run failed.
    pub failure: Option<String>,
}

/// How much of the corpus an answer could see. "Nothing found" means little while `complete` is false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexState {
    /// Stage of the indexing run.
    pub phase: Phase,
    /// Whether every file of the last walk is searchable by both retrievers.
    pub complete: bool,
    /// Documents with text.
    pub documents: u64,
    /// Their passages, all searchable by BM25.
    pub passages: u64,
    /// Passages that have a vector.
    pub embedded: u64,
    /// Passages still waiting for one.
    pub pending: u64,
    /// Files that could not be read or parsed.
    pub errors: u64,
    /// Files left out on purpose.
    pub skipped: u64,
    /// Files found by the run under way, or by the last one.
    pub files_seen: u64,
    /// When the last complete run ended, RFC 3339.
    pub last_run: Option<String>,
    /// Why the last run failed.
    pub failure: Option<String>,
}

impl IndexState {
    /// Joins what the snapshot holds with what the indexer is doing.
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
