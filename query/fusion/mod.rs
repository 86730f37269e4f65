//! Fusion of the lexical and the dense list into one ranking.

mod normalization;
mod rrf;
mod signals;
mod weighted;

use std::collections::HashMap;

use autorag_store::{Candidate, PassageId, string_enum};

pub use normalization::NormalizedScore;
pub(crate) use normalization::Scales;
pub use signals::Signals;
pub(crate) use signals::code_share;

string_enum! {
    /// How a hybrid search fuses its two lists.
    #[derive(Default)]
    Fusion "fusion method" {
        /// Weighted sum of normalized scores. The weights come from [`Signals`].
        #[default]
        Weighted = "weighted",
        /// Reciprocal rank fusion.
        Rrf = "rrf",
        /// The higher of the two scores, each divided by the best score of its list.
        Max = "max",
    }
}

/// Score and rank that one retriever gave a passage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetrieverScore {
    /// BM25 score or cosine similarity.
    pub score: f32,
    /// Rank in the retriever's list, from 1.
    pub rank: u32,
}

/// A candidate with its score from each retriever and its fused score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FusedCandidate {
    pub passage: PassageId,
    /// Fused score; higher is better. Its range depends on the fusion method.
    pub score: f32,
    /// Probability from 0 to 1 that the passage answers the query. 0 until `relevance::set_relevance` sets it.
    pub relevance: f32,
    /// `None` if the passage is not a lexical candidate.
    pub lexical: Option<RetrieverScore>,
    /// `None` if the passage is not a dense candidate.
    pub dense: Option<RetrieverScore>,
}

impl FusedCandidate {
    fn new(passage: PassageId) -> FusedCandidate {
        FusedCandidate {
            passage,
            score: 0.0,
            relevance: 0.0,
            lexical: None,
            dense: None,
        }
    }
}

/// Fuses two lists, each sorted best first.
///
/// Equal inputs give equal orders: ties are broken by lexical rank, then by dense rank, then by passage id.
pub(crate) fn fuse(
    fusion: Fusion,
    lexical: &[Candidate],
    dense: &[Candidate],
    signals: &Signals,
) -> Vec<FusedCandidate> {
    match fusion {
        Fusion::Weighted => weighted::fuse(lexical, dense, signals),
        Fusion::Rrf => rrf::fuse(lexical, dense),
        Fusion::Max => weighted::fuse_by_maximum(lexical, dense),
    }
}

/// The list of a search with the lexical retriever only. The fused score is the BM25 score.
pub(crate) fn lexical_only(candidates: &[Candidate]) -> Vec<FusedCandidate> {
    let fused = retriever_scores(candidates).map(|(passage, lexical)| FusedCandidate {
        score: lexical.score,
        lexical: Some(lexical),
        ..FusedCandidate::new(passage)
    });
    fused.collect()
}

/// The list of a search with the dense retriever only. The fused score is the cosine similarity.
pub(crate) fn dense_only(candidates: &[Candidate]) -> Vec<FusedCandidate> {
    let fused = retriever_scores(candidates).map(|(passage, dense)| FusedCandidate {
        score: dense.score,
        dense: Some(dense),
        ..FusedCandidate::new(passage)
    });
    fused.collect()
}

/// The union of two lists, in no particular order and with a fused score of 0.
fn union(lexical: &[Candidate], dense: &[Candidate]) -> Vec<FusedCandidate> {
    let mut fused: HashMap<PassageId, FusedCandidate> = HashMap::with_capacity(lexical.len() + dense.len());
    for (passage, score) in retriever_scores(lexical) {
        let candidate = fused
            .entry(passage)
            .or_insert_with(|| FusedCandidate::new(passage));
        candidate.lexical = Some(score);
    }
    for (passage, score) in retriever_scores(dense) {
        let candidate = fused
            .entry(passage)
            .or_insert_with(|| FusedCandidate::new(passage));
        candidate.dense = Some(score);
    }
    fused.into_values().collect()
}

fn retriever_scores(candidates: &[Candidate]) -> impl Iterator<Item = (PassageId, RetrieverScore)> {
    candidates.iter().zip(1u32..).map(|(candidate, rank)| {
        let score = candidate.score;
        (candidate.passage, RetrieverScore { score, rank })
    })
}

/// Sorts by fused score, best first, and breaks ties as [`fuse`] describes.
fn sort(mut fused: Vec<FusedCandidate>) -> Vec<FusedCandidate> {
    fused.sort_by(|a, b| {
        let rank = |score: Option<RetrieverScore>| score.map_or(u32::MAX, |score| score.rank);
        b.score
            .total_cmp(&a.score)
            .then_with(|| rank(a.lexical).cmp(&rank(b.lexical)))
            .then_with(|| rank(a.dense).cmp(&rank(b.dense)))
            .then_with(|| a.passage.cmp(&b.passage))
    });
    fused
}
