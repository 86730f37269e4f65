//! Reciprocal rank fusion, which ignores scores and uses ranks only.

use autorag_store::Candidate;

use super::{FusedCandidate, sort, union};

/// Damping constant k. The higher it is, the less the first ranks stand out. 60 is the value of Cormack, Clarke and Büttcher,
/// "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods", SIGIR 2009.
const RRF_K: f32 = 60.0;

/// Sums `1 / (RRF_K + rank)` over both lists.
pub(super) fn fuse(lexical: &[Candidate], dense: &[Candidate]) -> Vec<FusedCandidate> {
    let mut fused = union(lexical, dense);
    for candidate in &mut fused {
        let scores = [candidate.lexical, candidate.dense];
        candidate.score = scores
            .iter()
            .flatten()
            .map(|score| 1.0 / (RRF_K + score.rank as f32))
            .sum();
    }
    sort(fused)
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
    fn a_passage_in_both_lists_beats_the_first_of_one() {
        let fused = fuse(&list(&[1, 2]), &list(&[3, 2]));
        assert_eq!(fused[0].passage, PassageId(2));
        assert_eq!(fused[0].lexical.map(|lexical| lexical.rank), Some(2));
        assert!((fused[0].score - 2.0 / 62.0).abs() < 1e-7);
    }

    #[test]
    fn the_lexical_list_wins_ties() {
        let fused = fuse(&list(&[9]), &list(&[4]));
        assert_eq!(fused[0].passage, PassageId(9));
    }

    proptest! {
        /// Every candidate appears once, with the sum of its reciprocal ranks, best first.
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
