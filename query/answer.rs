//! What a search gives back.

use std::sync::Arc;

use autorag_store::{DocumentEntry, DocumentKey, Passage, Span};

use crate::{Boosted, Explanation, Freshness, Fusion, IndexState, Mode, Placement, Signals};

/// Hits for a query, with all that is needed to judge them.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The query as asked.
    pub query: String,
    /// Which retrievers were asked for.
    pub mode: Mode,
    /// Best first.
    pub hits: Vec<Hit>,
    /// What the threshold left out, where one was set. Hits there are none and this is not zero: something was found, and
    /// nothing of it is relevant.
    pub below_threshold: Option<BelowThreshold>,
    /// How the retrievers' lists were joined, and on what signals; none where only one took part.
    pub fusion: Option<(Fusion, Signals)>,
    /// What did not take part, or not fully.
    pub degraded: Vec<Degraded>,
    /// How much of the corpus could be seen.
    pub index_state: IndexState,
    /// How long each stage took.
    pub took: StageTimes,
}

/// A passage that answers.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Place in the whole list, from 1; a second page goes on counting.
    pub rank: u32,
    /// How likely the passage answers, from 0 to 1, on one scale for all questions; see `docs/retrieval.md`. It never rises along
    /// the ranking, unless boosts or a reranker have changed that.
    pub score: f32,
    /// The score of fusion that the order comes from; that of the one retriever where only one was asked.
    pub fused: f32,
    /// The passage: `document text[passage.span]`.
    pub passage: Passage,
    /// The passage with its neighbours, where the request asked for some.
    pub context: Option<Context>,
    /// The document it is from.
    pub document: Arc<DocumentEntry>,
    /// The part of the passage that matches best, in pieces to be marked or not.
    pub snippet: Vec<SnippetPart>,
    /// Whether the file is still as it was indexed.
    pub freshness: Freshness,
    /// Its place before reranking, from 1, and the reranker's score, from 0 to 1, where it has one.
    pub reranked: Option<(u32, f32)>,
    /// Its place before boosts, from 1, where there were any, and how strongly each of them applied.
    pub boosted: Option<(u32, Vec<Boosted>)>,
    /// Why it is here, where the request asked for that.
    pub explanation: Option<Explanation>,
    /// Where the same is said again, further down the ranking.
    pub duplicates: Vec<Duplicate>,
    /// What the lexical retriever made of it, where it proposed it: BM25 and rank.
    pub lexical: Option<Placement>,
    /// What the dense retriever made of it, where it proposed it: cosine and rank.
    pub dense: Option<Placement>,
}

/// A stretch of a document's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Where it lies.
    pub span: Span,
    /// The document's text in `span`.
    pub text: String,
}

/// A passage that says the same as a hit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// Key of its document.
    pub key: DocumentKey,
    /// Where it lies in that document's text.
    pub span: Span,
}

/// Candidates that a threshold left out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BelowThreshold {
    /// How many, of those that the retrievers proposed.
    pub passages: u64,
    /// The best score among them; 0 where there is none.
    pub best_score: f32,
}

/// A piece of a snippet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnippetPart {
    /// The piece.
    pub text: String,
    /// Whether it matches a term of the query.
    pub highlight: bool,
}

/// A part of the search that did not take part, or not fully.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Degraded {
    /// Which part.
    pub part: Part,
    /// Why, for a reader.
    pub reason: String,
}

/// A part of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// The corpus as a whole: not all files have been read yet.
    Index,
    /// The lexical index.
    Lexical,
    /// The vectors.
    Dense,
    /// The query itself.
    Query,
    /// The reranker.
    Rerank,
}

impl Part {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Part::Index => "index",
            Part::Lexical => "lexical",
            Part::Dense => "dense",
            Part::Query => "query",
            Part::Rerank => "rerank",
        }
    }
}

/// Microseconds by stage. `lexical` and the pair of `embed` and `dense` run side by side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Compiling the filter to a set of documents.
    pub filter: u64,
    /// Embedding the query.
    pub embed: u64,
    /// Asking the lexical index.
    pub lexical: u64,
    /// Asking the vectors.
    pub dense: u64,
    /// Joining the lists.
    pub fuse: u64,
    /// Waiting for the reranker.
    pub rerank: u64,
    /// Loading texts, cutting snippets, checking freshness.
    pub load: u64,
    /// All of it, as waited for.
    pub total: u64,
}
