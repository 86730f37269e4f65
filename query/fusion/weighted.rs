//! Fusion of scores: a weighted sum (convex combination) of scores normalized to 0 to 1. See Bruch, Gai and Ingber, "An Analysis of
//! Fusion Functions for Hybrid Retrieval", 2022, <https://arxiv.org/abs/2210.11934>.
//!
//! A normalized score is the mean of two scales. The relative scale compares with the best score of the list and orders the hits of
//! one query. The absolute scale measures how much of the query is matched and is comparable across queries. docs/retrieval.md shows
//! that both are needed.

use autorag_store::Candidate;

use super::normalization::Scales;
use super::{FusedCandidate, Signals, sort, union};

/// The weighted sum of both normalized scores.
pub(super) fn fuse(lexical: &[Candidate], dense: &[Candidate], signals: &Signals) -> Vec<FusedCandidate> {
    // Dense weight of a candidate inside and outside the dense list.
    let (listed, unlisted) = match (lexical.is_empty(), dense.is_empty()) {
        (true, _) => (1.0, 1.0),
        (false, true) => (0.0, 0.0),
        (false, false) => (signals.dense_weight(), signals.dense_weight_unlisted()),
    };
    let scales = Scales::new(lexical, dense, signals.lexical_ceiling);
    fuse_with(lexical, dense, |candidate| {
        let weight = if candidate.dense.is_some() {
            listed
        } else {
            unlisted
        };
        (1.0 - weight) * scales.lexical(candidate).mean() + weight * scales.dense(candidate).mean()
    })
}

/// The higher of both scores, each divided by the best score of its list.
pub(super) fn fuse_by_maximum(lexical: &[Candidate], dense: &[Candidate]) -> Vec<FusedCandidate> {
    let best = |list: &[Candidate]| {
        list.first()
            .map_or(1.0, |first| first.score.max(f32::MIN_POSITIVE))
    };
    let (best_lexical, best_dense) = (best(lexical), best(dense));
    fuse_with(lexical, dense, |candidate| {
        let lexical = candidate
            .lexical
            .map_or(0.0, |lexical| lexical.score / best_lexical);
        let dense = candidate.dense.map_or(0.0, |dense| dense.score / best_dense);
        lexical.max(dense).clamp(0.0, 1.0)
    })
}

fn fuse_with(
    lexical: &[Candidate],
    dense: &[Candidate],
    score: impl Fn(&FusedCandidate) -> f32,
) -> Vec<FusedCandidate> {
    let mut fused = union(lexical, dense);
    for candidate in &mut fused {
        candidate.score = score(candidate);
    }
    sort(fused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use autorag_store::PassageId;
    use proptest::prelude::*;

    fn list(scored: &[(u64, f32)]) -> Vec<Candidate> {
        scored
            .iter()
            .map(|&(id, score)| Candidate {
                passage: PassageId(id),
                score,
            })
            .collect()
    }

    fn signals(ceiling: f32) -> Signals {
        Signals {
            lead: 0.5,
            lexical_ceiling: ceiling,
            ..Signals::default()
        }
    }

    #[test]
    fn each_score_counts_by_its_weight() {
        let (lexical, dense) = (list(&[(1, 10.0), (2, 5.0)]), list(&[(2, 0.8), (1, 0.6)]));
        let fused = fuse(&lexical, &dense, &signals(20.0));
        let score = |id| fused.iter().find(|c| c.passage == PassageId(id)).unwrap().score;
        assert!((score(1) - 0.5 * (0.75 + (0.6 + 0.6) / 2.0)).abs() < 1e-6);
        assert!((score(2) - 0.5 * (0.375 + (1.0 + 0.8) / 2.0)).abs() < 1e-6);
        let foreign = Signals {
            foreign: 1.0,
            ..signals(20.0)
        };
        assert_eq!(fuse(&lexical, &dense, &foreign)[0].passage, PassageId(1));
    }

    #[test]
    fn a_passage_without_a_vector_does_not_lose_rank_for_it() {
        // Passage 1 is the first lexical candidate and may have no vector yet.
        let (lexical, dense) = (
            list(&[(1, 29.0), (2, 17.0)]),
            list(&[(3, 0.56), (2, 0.55), (4, 0.2)]),
        );
        let first = |missing| {
            let signals = Signals {
                code: 1.0,
                missing,
                ..signals(52.0)
            };
            fuse(&lexical, &dense, &signals)[0].passage
        };
        assert_eq!(first(0.0), PassageId(2));
        assert_eq!(first(0.9), PassageId(1));
    }

    #[test]
    fn a_single_list_keeps_its_order() {
        let only = list(&[(3, 0.9), (1, 0.5)]);
        let ids = |fused: Vec<FusedCandidate>| fused.iter().map(|c| c.passage.0).collect::<Vec<_>>();
        assert_eq!(ids(fuse(&[], &only, &signals(1.0))), [3, 1]);
        assert_eq!(ids(fuse(&only, &[], &signals(1.0))), [3, 1]);
        assert_eq!(ids(fuse_by_maximum(&only, &[])), [3, 1]);
        // Negative cosines all normalize to 0.
        let far = list(&[(3, -0.1), (1, -0.2)]);
        assert_eq!(ids(fuse(&[], &far, &signals(1.0))), [3, 1]);
    }

    proptest! {
        /// For any lists and signals, each candidate appears once, sorted, with a score from 0 to 1.
        #[test]
        fn scores_are_sorted_and_between_0_and_1(
            lexical in proptest::collection::btree_map(0u64..40, 0.0f32..90.0, 0..30),
            dense in proptest::collection::btree_map(0u64..40, -1.0f32..1.0, 0..30),
            foreign in 0.0f32..=1.0, code in 0.0f32..=1.0, lead in 0.0f32..=1.0, lexical_ceiling in 0.0f32..200.0,
            missing in 0.0f32..=1.0,
        ) {
            let sorted = |map: &std::collections::BTreeMap<u64, f32>| {
                let mut scored: Vec<(u64, f32)> = map.iter().map(|(id, score)| (*id, *score)).collect();
                scored.sort_by(|a, b| b.1.total_cmp(&a.1));
                list(&scored)
            };
            let signals = Signals { foreign, code, lead, lexical_ceiling, missing };
            let (one, other) = (sorted(&lexical), sorted(&dense));
            for fused in [fuse(&one, &other, &signals), fuse_by_maximum(&one, &other)] {
                let union: std::collections::BTreeSet<u64> = lexical.keys().chain(dense.keys()).copied().collect();
                prop_assert_eq!(fused.len(), union.len());
                prop_assert!(fused.iter().all(|c| (0.0..=1.0).contains(&c.score)));
                prop_assert!(fused.windows(2).all(|w| w[0].score >= w[1].score));
            }
        }
    }
}
