//! Joining the retrievers' lists into one.

mod rrf;
mod scales;
mod signals;
mod weighted;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use autorag_store::{Candidate, PassageId};

pub(crate) use scales::Scales;
pub use scales::Standing;
pub use signals::Signals;
pub(crate) use signals::code_share;

/// How lists are joined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Fusion {
    /// Scores, weighted by what the query and the lists tell of either retriever; see [`Signals`].
    #[default]
    Weighted,
    /// Reciprocal rank fusion.
    Rrf,
    /// The better of the two scores, each as a share of its list's best.
    Max,
}

impl Fusion {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Fusion::Weighted => "weighted",
            Fusion::Rrf => "rrf",
            Fusion::Max => "max",
        }
    }
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Fusion {
    type Err = String;

    fn from_str(word: &str) -> Result<Fusion, String> {
        match word {
            "weighted" => Ok(Fusion::Weighted),
            "rrf" => Ok(Fusion::Rrf),
            "max" => Ok(Fusion::Max),
            other => Err(format!(
                "{other:?} is not a way of fusion; use weighted, rrf or max"
            )),
        }
    }
}

/// A candidate's place in one retriever's list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// The retriever's own score.
    pub score: f32,
    /// Rank, from 1.
    pub rank: u32,
}

/// A candidate with its place in each list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FusedCandidate {
    /// Which passage.
    pub passage: PassageId,
    /// The fused score, on the scale of the way of fusion; higher is better.
    pub score: f32,
    /// How likely it answers, from 0 to 1, on one scale for all questions; 0 until it is judged.
    pub relevance: f32,
    /// BM25 and rank, where the lexical retriever proposed it.
    pub lexical: Option<Placement>,
    /// Cosine and rank, where the dense retriever proposed it.
    pub dense: Option<Placement>,
}

/// Joins two lists, each best first. Ties go to the better lexical rank, then to the better dense one, then to the older passage,
/// so that equal inputs give equal orders.
pub fn fuse(
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

/// Each candidate once, with its places and no score yet.
fn joined(lexical: &[Candidate], dense: &[Candidate]) -> Vec<FusedCandidate> {
    let mut fused: HashMap<PassageId, FusedCandidate> = HashMap::with_capacity(lexical.len() + dense.len());
    let entry_of = |passage| FusedCandidate {
        passage,
        score: 0.0,
        relevance: 0.0,
        lexical: None,
        dense: None,
    };
    let place = |(candidate, rank): (&Candidate, u32)| Placement {
        score: candidate.score,
        rank,
    };
    for (candidate, rank) in lexical.iter().zip(1u32..) {
        let entry = fused
            .entry(candidate.passage)
            .or_insert_with(|| entry_of(candidate.passage));
        entry.lexical = Some(place((candidate, rank)));
    }
    for (candidate, rank) in dense.iter().zip(1u32..) {
        let entry = fused
            .entry(candidate.passage)
            .or_insert_with(|| entry_of(candidate.passage));
        entry.dense = Some(place((candidate, rank)));
    }
    fused.into_values().collect()
}

/// Best first.
fn ordered(mut fused: Vec<FusedCandidate>) -> Vec<FusedCandidate> {
    fused.sort_by(|a, b| {
        let rank = |place: Option<Placement>| place.map_or(u32::MAX, |place| place.rank);
        b.score
            .total_cmp(&a.score)
            .then_with(|| rank(a.lexical).cmp(&rank(b.lexical)))
            .then_with(|| rank(a.dense).cmp(&rank(b.dense)))
            .then_with(|| a.passage.cmp(&b.passage))
    });
    fused
}

/// The list of a single retriever in the same shape, with its own score.
pub(crate) fn only_lexical(candidates: &[Candidate]) -> Vec<FusedCandidate> {
    let place = |(c, rank): (&Candidate, u32)| FusedCandidate {
        passage: c.passage,
        score: c.score,
        relevance: 0.0,
        lexical: Some(Placement { score: c.score, rank }),
        dense: None,
    };
    candidates.iter().zip(1u32..).map(place).collect()
}

/// The list of a single retriever in the same shape, with its own score.
pub(crate) fn only_dense(candidates: &[Candidate]) -> Vec<FusedCandidate> {
    let place = |(c, rank): (&Candidate, u32)| FusedCandidate {
        passage: c.passage,
        score: c.score,
        relevance: 0.0,
        lexical: None,
        dense: Some(Placement { score: c.score, rank }),
    };
    candidates.iter().zip(1u32..).map(place).collect()
}
