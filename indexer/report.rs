//! The report of a run.

use std::time::Duration;

use autorag_embedder::EmbedError;

/// Passages without embeddings because the model's provider returned none. Keyword search finds them, and the
/// next run retries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingEmbeddings {
    /// Number of passages.
    pub passages: u64,
    /// Why the provider refused a text, or how it failed.
    pub reason: EmbedError,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunReport {
    /// New files.
    pub added: u64,
    /// Files whose bytes have changed.
    pub changed: u64,
    /// Files that were already up to date.
    pub unchanged: u64,
    /// Documents whose file is gone.
    pub removed: u64,
    /// Added and changed files that could not be read or parsed.
    pub errors: u64,
    /// Added and changed files that were skipped on purpose.
    pub skipped: u64,
    /// Passages of the added and changed files.
    pub passages: u64,
    /// Passages that got an embedding. Text that was embedded before is reused and not counted.
    pub embedded: u64,
    /// Passages that the model's provider returned no embeddings for.
    pub missing_embeddings: Option<MissingEmbeddings>,
    /// Time to list and compare files.
    pub took_scan: Duration,
    /// Time to parse files and index them for keyword search.
    pub took_index: Duration,
    /// Time to embed passages.
    pub took_embed: Duration,
    /// Total time.
    pub took_total: Duration,
}
