//! Hybrid retrieval over a store: lexical and dense candidates, fusion, snippets and citations.
//!
//! [`Engine::search`] turns a [`Request`] into an [`Answer`]:
//!
//! 1. The filter selects documents.
//! 2. Both retrievers propose candidates, in parallel.
//! 3. [`Fusion`] merges the two lists, and each candidate gets a score that is comparable across queries.
//! 4. The score threshold, [boosts](Boost) and the [`Reranker`] remove and reorder candidates.
//! 5. Duplicates collapse, and each document is limited to a few passages.
//! 6. The passages of the page become [hits](Hit) with snippet, context and freshness.
//!
//! A search reads one snapshot of the store, so it never sees half of a concurrent change.

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
mod hits;
mod ranking;
mod read;
mod relevance;
mod request;
mod rerank;
mod retrieval;
mod selection;
mod snippet;
mod words;

pub use activity::{Activity, IndexState, Phase};
pub use answer::{Answer, BelowThreshold, Context, Duplicate, Hit, SnippetPart, StageTimes};
pub use boost::{AppliedBoosts, Boost, BoostEffect, Direction, MAX_BOOSTS};
pub use degradation::{Degradation, DegradationKind, Part};
pub use engine::Engine;
pub use error::{QueryError, QueryErrorKind};
pub use explanation::Explanation;
pub use freshness::Freshness;
pub use fusion::{Fusion, NormalizedScore, RetrieverScore, Signals};
pub use read::{DocumentText, LineRange};
pub use request::{MAX_CONTEXT, MAX_LIMIT, MAX_OFFSET, MAX_QUERY_BYTES, MAX_RERANK_BUDGET, Mode, Request};
pub use rerank::{RerankApi, RerankScore, Reranker, RerankerOptions, RerankerSource};
