//! Fusion of scores: each list's scores are brought to a scale of 0 to 1, and their weighted sum counts (a convex combination;
//! Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2022, <https://arxiv.org/abs/2210.11934>).
//!
//! Half of a score on the new scale is relative, how near it is to its list's best, which orders the hits of one question; half
//! is absolute, how much of the question is met, which is comparable between questions.

use autorag_store::Candidate;

use super::scales::Scales;
use super::{FusedCandidate, Signals, joined, ordered};

/// The weighted sum of both scores.
pub(super) fn fuse(lexical: &[Candidate], dense: &[Candidate], signals: &Signals) -> Vec<FusedCandidate> {
    let (seen, unseen) = match (lexical.is_empty(), dense.is_empty()) {
        (true, _) => (1.0, 1.0),
        (false, true) => (0.0, 0.0),
        (false, false) => (signals.dense_weight(), signals.dense_weight_unseen()),
    };
    let scales = Scales::new(lexical, dense, signals.lexical_ceiling);
    scored(lexical, dense, |candidate| {
        let weight = if candidate.dense.is_some() { seen } else { unseen };
        (1.0 - weight) * scales.lexical(candidate).mean() + weight * scales.dense(candidate).mean()
    })
}

/// The larger of both scores.
pub(super) fn fuse_by_maximum(lexical: &[Candidate], dense: &[Candidate]) -> Vec<FusedCandidate> {
    let best = |list: &[Candidate]| {
        list.first()
            .map_or(1.0, |first| first.score.max(f32::MIN_POSITIVE))
    };
    let (best_lexical, best_dense) = (best(lexical), best(dense));
    scored(lexical, dense, |candidate| {
        let lexical = candidate.lexical.map_or(0.0, |place| place.score / best_lexical);
        let dense = candidate.dense.map_or(0.0, |place| place.score / best_dense);
        lexical.max(dense).clamp(0.0, 1.0)
    })
}

fn scored(
    lexical: &[Candidate],
    dense: &[Candidate],
    score: impl Fn(&FusedCandidate) -> f32,
) -> Vec<FusedCandidate> {
    let mut fused = joined(lexical, dense);
    for candidate in &mut fused {
        candidate.score = score(candidate);
    }
    ordered(fused)
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
    fn both_halves_count_by_their_weight() {
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
    fn while_vectors_are_missing_words_are_not_held_back_for_it() {
        // The first hit by words has no vector yet.
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
    fn one_list_alone_keeps_its_order() {
        let only = list(&[(3, 0.9), (1, 0.5)]);
        let ids = |fused: Vec<FusedCandidate>| fused.iter().map(|c| c.passage.0).collect::<Vec<_>>();
        assert_eq!(ids(fuse(&[], &only, &signals(1.0))), [3, 1]);
        assert_eq!(ids(fuse(&only, &[], &signals(1.0))), [3, 1]);
        assert_eq!(ids(fuse_by_maximum(&only, &[])), [3, 1]);
        // All of these come to 0.
        let far = list(&[(3, -0.1), (1, -0.2)]);
        assert_eq!(ids(fuse(&[], &far, &signals(1.0))), [3, 1]);
    }

    proptest! {
        /// Scores stay between 0 and 1, in order, each candidate once, whatever the lists and signals.
        #[test]
        fn scores_are_shares(
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
