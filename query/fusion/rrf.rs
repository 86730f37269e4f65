//! Reciprocal rank fusion: ranks alone count.

use autorag_store::Candidate;

use super::{FusedCandidate, joined, ordered};

/// Damping of reciprocal rank fusion: how little the very first ranks stand out.
/// 60 is the value of Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual
/// rank learning methods", SIGIR 2009.
const RRF_K: f32 = 60.0;

/// Sums `1 / (60 + rank)` over the lists.
pub(super) fn fuse(lexical: &[Candidate], dense: &[Candidate]) -> Vec<FusedCandidate> {
    let mut fused = joined(lexical, dense);
    for candidate in &mut fused {
        let places = [candidate.lexical, candidate.dense];
        candidate.score = places
            .iter()
            .flatten()
            .map(|place| 1.0 / (RRF_K + place.rank as f32))
            .sum();
    }
    ordered(fused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use autorag_store::PassageId;
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
        let fused = fuse(&list(&[1, 2]), &list(&[3, 2]));
        assert_eq!(fused[0].passage, PassageId(2));
        assert_eq!(fused[0].lexical.map(|place| place.rank), Some(2));
        assert!((fused[0].score - 2.0 / 62.0).abs() < 1e-7);
    }

    #[test]
    fn ties_go_to_the_lexical_list() {
        let fused = fuse(&list(&[9]), &list(&[4]));
        assert_eq!(fused[0].passage, PassageId(9));
    }

    proptest! {
        /// Every candidate appears once, and adding a list never lowers a passage's score.
        #[test]
        fn fusion_is_a_union(a in proptest::collection::hash_set(0u64..50, 0..30), b in proptest::collection::hash_set(0u64..50, 0..30)) {
            let (a, b): (Vec<u64>, Vec<u64>) = (a.into_iter().collect(), b.into_iter().collect());
            let fused = fuse(&list(&a), &list(&b));
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
