//! Relevance: the probability that a candidate answers the query, comparable across queries.
//!
//! A fused score orders the candidates of one query. Half of the score is relative to the best of its list, so fused scores of two
//! queries are not comparable. Relevance uses absolute evidence only: *coverage*, which is BM25 divided by its upper bound for the
//! query, and the cosine. A logistic function combines both.
//!
//! The parameters were fitted to eight collections, mixing the questions of each with off-topic questions from the others, and then
//! rounded. docs/retrieval.md measures how well relevance separates right answers from wrong ones.

use crate::fusion::FusedCandidate;
use crate::{BelowThreshold, Signals};

/// Log-odds of a hybrid search.
const HYBRID: Model = Model {
    base: -4.2,
    coverage: 6.0,
    cosine: 6.0,
};
/// Log-odds of a search with the lexical retriever only.
const LEXICAL: Model = Model {
    base: -3.4,
    coverage: 10.0,
    cosine: 0.0,
};
/// Log-odds of a search with the dense retriever only.
const DENSE: Model = Model {
    base: -4.0,
    coverage: 0.0,
    cosine: 8.0,
};
/// Increase of the weight of coverage for a fully foreign query.
const FOREIGN_COVERAGE: f32 = 1.5;
/// Decrease of the weight of the cosine for a fully foreign query: in a language that the model does not know, all texts are near
/// each other.
const FOREIGN_COSINE: f32 = 0.5;

/// Parameters of a logistic function.
struct Model {
    /// Log-odds of a passage with coverage 0 and cosine 0.
    base: f32,
    /// Weight of the coverage.
    coverage: f32,
    /// Weight of the cosine.
    cosine: f32,
}

impl Model {
    /// Probability from 0 to 1. Coverage, cosine and foreignness are from 0 to 1.
    fn probability(&self, coverage: f32, cosine: f32, foreign: f32) -> f32 {
        let lexical = self.coverage * coverage * (1.0 + FOREIGN_COVERAGE * foreign);
        let dense = self.cosine * cosine * (1.0 - FOREIGN_COSINE * foreign);
        1.0 / (1.0 + (-(self.base + lexical + dense)).exp())
    }
}

/// Retrievers that were available to a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ActiveRetrievers {
    pub lexical: bool,
    pub dense: bool,
}

/// Sets the relevance of each of `candidates`, given best first.
///
/// A candidate's relevance is capped at that of the candidate before it. A threshold therefore cuts off only the end of the
/// ranking.
pub(crate) fn set_relevance(candidates: &mut [FusedCandidate], active: ActiveRetrievers, signals: &Signals) {
    let model = match (active.lexical, active.dense) {
        (true, true) => HYBRID,
        (_, false) => LEXICAL,
        (false, true) => DENSE,
    };
    let ceiling = signals.lexical_ceiling.max(f32::MIN_POSITIVE);
    // A passage outside the dense list has at most the lowest cosine in the list.
    let cosines = candidates.iter().filter_map(|candidate| candidate.dense);
    let lowest_cosine = cosines.map(|dense| dense.score).fold(1.0, f32::min);
    let mut cap = 1.0f32;
    for candidate in candidates {
        let coverage = candidate.lexical.map_or(0.0, |lexical| lexical.score / ceiling);
        let probability = |model: &Model, cosine: f32| {
            model.probability(coverage.clamp(0.0, 1.0), cosine.clamp(0.0, 1.0), signals.foreign)
        };
        let own = match candidate.dense {
            Some(dense) => probability(&model, dense.score),
            // The passage may not be embedded yet. In that case, only coverage is evidence.
            None if active.lexical && active.dense => {
                let missing = signals.missing;
                (1.0 - missing) * probability(&model, lowest_cosine)
                    + missing * probability(&LEXICAL, lowest_cosine)
            }
            None => probability(&model, lowest_cosine),
        };
        cap = cap.min(own);
        candidate.relevance = cap;
    }
}

/// Removes the candidates whose relevance is below `threshold`, and reports them. Expects relevance to fall along the ranking.
pub(crate) fn apply_threshold(candidates: &mut Vec<FusedCandidate>, threshold: f32) -> BelowThreshold {
    let kept = candidates.partition_point(|candidate| candidate.relevance >= threshold);
    let below = candidates.split_off(kept);
    BelowThreshold {
        passages: below.len() as u64,
        best_score: below.first().map_or(0.0, |first| first.relevance),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RetrieverScore;
    use autorag_store::PassageId;
    use proptest::prelude::*;

    const HYBRID_SEARCH: ActiveRetrievers = ActiveRetrievers {
        lexical: true,
        dense: true,
    };

    fn candidate(lexical: Option<f32>, dense: Option<f32>) -> FusedCandidate {
        let score = |score| RetrieverScore { score, rank: 1 };
        FusedCandidate {
            passage: PassageId(0),
            score: 0.0,
            relevance: 0.0,
            lexical: lexical.map(score),
            dense: dense.map(score),
        }
    }

    fn relevance(lexical: Option<f32>, dense: Option<f32>, active: ActiveRetrievers, foreign: f32) -> f32 {
        let signals = Signals {
            foreign,
            lexical_ceiling: 20.0,
            ..Signals::default()
        };
        let mut one = [candidate(lexical, dense)];
        set_relevance(&mut one, active, &signals);
        one[0].relevance
    }

    #[test]
    fn an_answer_scores_higher_than_an_off_topic_first_candidate() {
        assert!(relevance(Some(9.0), Some(0.65), HYBRID_SEARCH, 0.0) > 0.8);
        assert!(relevance(None, Some(0.2), HYBRID_SEARCH, 0.0) < 0.1);
        assert!(
            relevance(None, Some(0.75), HYBRID_SEARCH, 0.0) > 0.5,
            "a paraphrase shares no word"
        );
        // In Russian all cosines are high; only the first of these two has the words of the query.
        assert!(relevance(Some(6.0), Some(0.6), HYBRID_SEARCH, 1.0) > 0.7);
        assert!(relevance(Some(1.0), Some(0.6), HYBRID_SEARCH, 1.0) < 0.3);
    }

    #[test]
    fn a_single_retriever_uses_the_same_scale() {
        let (lexical, dense) = (
            ActiveRetrievers {
                lexical: true,
                dense: false,
            },
            ActiveRetrievers {
                lexical: false,
                dense: true,
            },
        );
        assert!(relevance(Some(10.0), None, lexical, 0.0) > 0.8);
        assert!(relevance(Some(1.0), None, lexical, 0.0) < 0.1);
        assert!(relevance(None, Some(0.8), dense, 0.0) > 0.8);
        assert!(relevance(None, Some(0.15), dense, 0.0) < 0.1);
    }

    #[test]
    fn coverage_decides_if_the_vector_may_be_missing() {
        let relevance = |missing| {
            let signals = Signals {
                lexical_ceiling: 20.0,
                missing,
                ..Signals::default()
            };
            let mut pair = [candidate(Some(11.0), None), candidate(None, Some(0.1))];
            set_relevance(&mut pair, HYBRID_SEARCH, &signals);
            pair[0].relevance
        };
        assert!(relevance(0.0) < 0.5, "{}", relevance(0.0));
        assert!(relevance(0.9) > 0.8, "{}", relevance(0.9));
    }

    #[test]
    fn a_candidate_at_the_threshold_is_kept() {
        let with_relevance = |relevance| FusedCandidate {
            relevance,
            ..candidate(None, None)
        };
        let mut candidates = [0.75, 0.5, 0.25].map(with_relevance).to_vec();
        let below = apply_threshold(&mut candidates, 0.5);
        assert_eq!(candidates.len(), 2);
        let expected = BelowThreshold {
            passages: 1,
            best_score: 0.25,
        };
        assert_eq!(below, expected);
    }

    proptest! {
        /// For any scores, relevance is from 0 to 1 and never rises along the ranking.
        #[test]
        fn relevance_falls_along_the_ranking(
            scores in proptest::collection::vec((proptest::option::of(0.0f32..90.0), proptest::option::of(-1.0f32..1.0)), 0..30),
            foreign in 0.0f32..=1.0, lexical_ceiling in 0.0f32..200.0, lexical in any::<bool>(), dense in any::<bool>(),
        ) {
            let mut candidates: Vec<FusedCandidate> = scores.into_iter().map(|(l, d)| candidate(l, d)).collect();
            set_relevance(&mut candidates, ActiveRetrievers { lexical, dense }, &Signals { foreign, lexical_ceiling, ..Signals::default() });
            prop_assert!(candidates.iter().all(|c| (0.0..=1.0).contains(&c.relevance)));
            prop_assert!(candidates.windows(2).all(|pair| pair[0].relevance >= pair[1].relevance));
        }
    }
}
