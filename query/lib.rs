//! Hybrid retrieval over a store: lexical and dense candidates, fusion, and hits that can be checked.
//!
//! [`Engine::search`] is the one road from a question to its hits; the command line, HTTP and MCP all take it.
//! It reads one snapshot of the store, so a run of the indexer beside it never shows through half-done.

mod activity;
mod answer;
mod boost;
mod context;
mod degradation;
mod duplicates;
mod engine;
mod error;
pub mod evaluation;
mod explanation;
#[cfg(test)]
mod fixture;
mod freshness;
mod fusion;
mod read;
mod relevance;
mod request;
mod rerank;
mod retrieval;
mod selection;
mod snippet;
mod words;

pub use activity::{Activity, IndexState, Phase};
pub use answer::{Answer, BelowThreshold, Context, Degraded, Duplicate, Hit, Part, SnippetPart, StageTimes};
pub use boost::{Boost, Boosted, Direction, MAX_BOOSTS};
pub use engine::Engine;
pub use error::QueryError;
pub use explanation::Explanation;
pub use freshness::Freshness;
pub use fusion::{FusedCandidate, Fusion, Placement, Signals, Standing, fuse};
pub use read::{DocumentText, LineRange};
pub use request::{MAX_CONTEXT, MAX_LIMIT, MAX_OFFSET, MAX_QUERY_BYTES, MAX_RERANK_BUDGET, Mode, Request};
pub use rerank::{RerankApi, Reranker, RerankerOptions, RerankerSource};
