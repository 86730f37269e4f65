//! Search results.

use std::sync::Arc;

use autorag_store::{DocumentEntry, DocumentKey, Passage, Span};

use crate::{
    AppliedBoosts, Degradation, Explanation, Freshness, Fusion, IndexState, Mode, RerankScore,
    RetrieverScore, Signals,
};

/// The answer to a [`Request`](crate::Request).
#[derive(Debug, Clone)]
pub struct Answer {
    /// The query of the request.
    pub query: String,
    /// The mode of the request.
    pub mode: Mode,
    /// Hits, best first.
    pub hits: Vec<Hit>,
    /// Candidates below the score threshold. `None` without a threshold. If there are some but no hits, the search found passages,
    /// but none of them is relevant.
    pub below_threshold: Option<BelowThreshold>,
    /// Fusion method and signals of a hybrid search.
    pub fusion: Option<(Fusion, Signals)>,
    /// Parts of the search that failed or were incomplete.
    pub degraded: Vec<Degradation>,
    /// How much of the corpus was searchable.
    pub index_state: IndexState,
    /// Time of each stage.
    pub took: StageTimes,
}

/// A passage that matches the query.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Rank from 1, counted over all pages.
    pub rank: u32,
    /// Probability from 0 to 1 that the passage answers the query; see docs/retrieval.md. Comparable across queries. It never rises
    /// from one hit to the next, unless boosts or a reranker changed the order.
    pub score: f32,
    /// Score before thresholds, boosts and reranking: the fused score, or the score of the only retriever.
    pub fused: f32,
    /// The passage. Its text is that of the document at [`Passage::span`].
    pub passage: Passage,
    /// The passage with its neighbours, if requested and if it has any.
    pub context: Option<Context>,
    /// Document of the passage.
    pub document: Arc<DocumentEntry>,
    /// The part of the passage with the most matches.
    pub snippet: Vec<SnippetPart>,
    /// State of the document's file compared with the index.
    pub freshness: Freshness,
    /// `None` if no reranker scored the passage.
    pub rerank: Option<RerankScore>,
    /// `None` without boosts in the request.
    pub boosts: Option<AppliedBoosts>,
    /// Why the hit has its rank, if requested.
    pub explanation: Option<Explanation>,
    /// Near-duplicates of the passage that ranked below it.
    pub duplicates: Vec<Duplicate>,
    /// BM25 score and rank. `None` if the passage is not a lexical candidate.
    pub lexical: Option<RetrieverScore>,
    /// Cosine similarity and rank. `None` if the passage is not a dense candidate.
    pub dense: Option<RetrieverScore>,
}

/// A passage with its neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Location in the document's text.
    pub span: Span,
    /// The document's text at `span`.
    pub text: String,
}

/// A near-duplicate of a hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// Key of the duplicate's document.
    pub key: DocumentKey,
    /// Location in that document's text.
    pub span: Span,
}

/// Candidates below the score threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BelowThreshold {
    /// Number of such candidates.
    pub passages: u64,
    /// Best score among them, or 0 if there are none.
    pub best_score: f32,
}

/// A piece of a snippet, either entirely a match or entirely not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnippetPart {
    /// Text of the piece.
    pub text: String,
    /// True if the text matches a term of the query.
    pub highlight: bool,
}

/// Time of each stage in microseconds. `lexical` runs in parallel with `embed` and `dense`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Evaluating the filter.
    pub filter: u64,
    /// Embedding the query.
    pub embed: u64,
    /// Searching the lexical index.
    pub lexical: u64,
    /// Searching the vectors.
    pub dense: u64,
    /// Fusing the lists and applying boosts.
    pub fuse: u64,
    /// Reranking.
    pub rerank: u64,
    /// Loading texts, making snippets and explanations, checking freshness.
    pub load: u64,
    /// The whole search, in wall time.
    pub total: u64,
}
