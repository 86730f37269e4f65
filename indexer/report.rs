//! What a run did.

use std::time::Duration;

use autorag_embedder::EmbedError;

/// Passages that have no vector since the model's provider gave none. They are searchable by words, and wait for the next run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unembedded {
    /// How many.
    pub passages: u64,
    /// What the provider has against them, or what is wrong with it.
    pub reason: EmbedError,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunReport {
    /// Files that were not known before.
    pub added: u64,
    /// Files whose bytes had changed.
    pub changed: u64,
    /// Files as they were.
    pub unchanged: u64,
    /// Documents whose file is gone.
    pub removed: u64,
    /// Of the files added and changed, those that could not be read or parsed.
    pub errors: u64,
    /// Of the files added and changed, those left out on purpose.
    pub skipped: u64,
    /// Passages of the files added and changed.
    pub passages: u64,
    /// Passages that got a vector; those whose text was embedded before need no work.
    pub embedded: u64,
    /// Passages that the model's provider gave no vectors for.
    pub unembedded: Option<Unembedded>,
    /// Time to find and compare files.
    pub took_scan: Duration,
    /// Time to parse them and make them searchable by BM25.
    pub took_index: Duration,
    /// Time to build vectors.
    pub took_embed: Duration,
    /// All of it.
    pub took_total: Duration,
}
