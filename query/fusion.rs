//! Joining the retrievers' lists into one.

use std::collections::HashMap;

use autorag_store::{Candidate, PassageId};

/// Damping of reciprocal rank fusion: how little the very first ranks stand out.
/// 60 is the value of Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual
/// rank learning methods", SIGIR 2009.
const RRF_K: f32 = 60.0;

/// How the lists were joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fusion {
    /// Reciprocal rank fusion.
    Rrf,
    /// Only one retriever took part; its own score is the hit's.
    None,
}

impl Fusion {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Fusion::Rrf => "rrf",
            Fusion::None => "none",
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
    /// The fused score; higher is better.
    pub score: f32,
    /// BM25 and rank, where the lexical retriever proposed it.
    pub lexical: Option<Placement>,
    /// Cosine and rank, where the dense retriever proposed it.
    pub dense: Option<Placement>,
}

/// Sums `1 / (60 + rank)` over the lists. Ties go to the better lexical rank, then to the older passage, so that
/// equal inputs give equal orders.
pub fn reciprocal_rank_fusion(lexical: &[Candidate], dense: &[Candidate]) -> Vec<FusedCandidate> {
    let mut fused: HashMap<PassageId, FusedCandidate> = HashMap::with_capacity(lexical.len() + dense.len());
    let entry_of = |passage| FusedCandidate {
        passage,
        score: 0.0,
        lexical: None,
        dense: None,
    };
    for (candidate, rank) in lexical.iter().zip(1u32..) {
        let entry = fused
            .entry(candidate.passage)
            .or_insert_with(|| entry_of(candidate.passage));
        entry.lexical = Some(Placement {
            score: candidate.score,
            rank,
        });
        entry.score += 1.0 / (RRF_K + rank as f32);
    }
    for (candidate, rank) in dense.iter().zip(1u32..) {
        let entry = fused
            .entry(candidate.passage)
            .or_insert_with(|| entry_of(candidate.passage));
        entry.dense = Some(Placement {
            score: candidate.score,
            rank,
        });
        entry.score += 1.0 / (RRF_K + rank as f32);
    }
    let mut fused: Vec<FusedCandidate> = fused.into_values().collect();
    fused.sort_by(|a, b| {
        let lexical_rank = |c: &FusedCandidate| c.lexical.map_or(u32::MAX, |place| place.rank);
        b.score
            .total_cmp(&a.score)
            .then_with(|| lexical_rank(a).cmp(&lexical_rank(b)))
            .then_with(|| a.passage.cmp(&b.passage))
    });
    fused
}

/// The list of a single retriever in the same shape, with its own score.
pub(crate) fn only_lexical(candidates: &[Candidate]) -> Vec<FusedCandidate> {
    let place = |(c, rank): (&Candidate, u32)| FusedCandidate {
        passage: c.passage,
        score: c.score,
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
        lexical: None,
        dense: Some(Placement { score: c.score, rank }),
    };
    candidates.iter().zip(1u32..).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(ids: &[u64]) -> Vec<Candidate> {
        ids.iter()
            .map(|&id| Candidate {
                passage: PassageId(id),
                score: 1.0 / (id + 1) as f32,
            })
            .collect()
    }

    #[test]
    fn agreement_beats_a_single_first_place() {
        let fused = reciprocal_rank_fusion(&list(&[1, 2]), &list(&[3, 2]));
        assert_eq!(fused[0].passage, PassageId(2));
        assert_eq!(fused[0].lexical.map(|place| place.rank), Some(2));
        assert!((fused[0].score - 2.0 / 62.0).abs() < 1e-7);
    }

    #[test]
    fn ties_go_to_the_lexical_list() {
        let fused = reciprocal_rank_fusion(&list(&[9]), &list(&[4]));
        assert_eq!(fused[0].passage, PassageId(9));
    }

    proptest! {
        /// Every candidate appears once, and adding a list never lowers a passage's score.
        #[test]
        fn fusion_is_a_union(a in proptest::collection::hash_set(0u64..50, 0..30), b in proptest::collection::hash_set(0u64..50, 0..30)) {
            let (a, b): (Vec<u64>, Vec<u64>) = (a.into_iter().collect(), b.into_iter().collect());
            let fused = reciprocal_rank_fusion(&list(&a), &list(&b));
            let union: std::collections::HashSet<u64> = a.iter().chain(&b).copied().collect();
            prop_assert_eq!(fused.len(), union.len());
            for c in &fused {
                let alone: f32 = [c.lexical, c.dense].iter().flatten().map(|p| 1.0 / (60.0 + p.rank as f32)).sum();
                prop_assert!((c.score - alone).abs() < 1e-6);
            }
            prop_assert!(fused.windows(2).all(|w| w[0].score >= w[1].score));
        }
    }
}
