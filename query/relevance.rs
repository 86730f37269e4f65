//! How likely a candidate answers, on one scale for all questions.
//!
//! A fused score orders the candidates of one question and says little between questions, since part of it is relative to the
//! best of its list. Relevance has absolute evidence alone: how much of the question's words a passage covers, and how near it
//! is. The logistic curve over both was fitted to eight collections, with the questions of each asked of the others as well, and
//! rounded; docs/retrieval.md has how well it separates.

use crate::{BelowThreshold, FusedCandidate, Signals};

/// Log-odds of a passage that has no word of the question and is at right angles to it.
const BOTH: Curve = Curve {
    base: -4.2,
    coverage: 6.0,
    cosine: 6.0,
};
/// The same where only words, …
const WORDS: Curve = Curve {
    base: -3.4,
    coverage: 10.0,
    cosine: 0.0,
};
/// … or only vectors were asked.
const MEANING: Curve = Curve {
    base: -4.0,
    coverage: 0.0,
    cosine: 8.0,
};
/// How much more words say in a language that the model does not know, …
const FOREIGN_WORDS: f32 = 1.5;
/// … and how much less vectors do: there every text is near every other.
const FOREIGN_MEANING: f32 = 0.5;

struct Curve {
    base: f32,
    coverage: f32,
    cosine: f32,
}

impl Curve {
    /// From evidence, each between 0 and 1, to a share.
    fn at(&self, coverage: f32, cosine: f32, foreign: f32) -> f32 {
        let words = self.coverage * coverage * (1.0 + FOREIGN_WORDS * foreign);
        let meaning = self.cosine * cosine * (1.0 - FOREIGN_MEANING * foreign);
        1.0 / (1.0 + (-(self.base + words + meaning)).exp())
    }
}

/// Which retrievers had something to say at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    pub lexical: bool,
    pub dense: bool,
}

/// Gives each of `candidates`, best first, its relevance. None is put above one that is ranked before it, so that a threshold
/// cuts the list and never leaves a gap.
pub(crate) fn judge(candidates: &mut [FusedCandidate], heard: Heard, signals: &Signals) {
    let curve = match heard {
        Heard {
            lexical: true,
            dense: true,
        } => BOTH,
        Heard { dense: false, .. } => WORDS,
        Heard { lexical: false, .. } => MEANING,
    };
    let ceiling = signals.lexical_ceiling.max(f32::MIN_POSITIVE);
    // What the dense list does not have is not nearer than its last.
    let dense = candidates.iter().filter_map(|candidate| candidate.dense);
    let last = dense.map(|place| place.score).fold(1.0, f32::min);
    let mut most = 1.0f32;
    for candidate in candidates {
        let by = |curve: &Curve, cosine: f32| {
            let coverage = candidate.lexical.map_or(0.0, |place| place.score / ceiling);
            curve.at(coverage.clamp(0.0, 1.0), cosine.clamp(0.0, 1.0), signals.foreign)
        };
        let own = match candidate.dense {
            Some(place) => by(&curve, place.score),
            // It may have no vector yet: then its words alone tell.
            None if heard.lexical && heard.dense => {
                let missing = signals.missing;
                (1.0 - missing) * by(&curve, last) + missing * by(&WORDS, last)
            }
            None => by(&curve, last),
        };
        most = most.min(own);
        candidate.relevance = most;
    }
}

/// The candidates whose score reaches `threshold`, and what it leaves out. Scores never rise along the ranking, so that it cuts
/// off an end.
pub(crate) fn above(
    mut candidates: Vec<FusedCandidate>,
    threshold: Option<f32>,
) -> (Vec<FusedCandidate>, Option<BelowThreshold>) {
    let Some(threshold) = threshold else {
        return (candidates, None);
    };
    let kept = candidates.partition_point(|candidate| candidate.relevance >= threshold);
    let below = candidates.split_off(kept);
    let left_out = BelowThreshold {
        passages: below.len() as u64,
        best_score: below.first().map_or(0.0, |first| first.relevance),
    };
    (candidates, Some(left_out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Placement;
    use autorag_store::PassageId;
    use proptest::prelude::*;

    const BOTH_HEARD: Heard = Heard {
        lexical: true,
        dense: true,
    };

    fn candidate(lexical: Option<f32>, dense: Option<f32>) -> FusedCandidate {
        let place = |score| Placement { score, rank: 1 };
        FusedCandidate {
            passage: PassageId(0),
            score: 0.0,
            relevance: 0.0,
            lexical: lexical.map(place),
            dense: dense.map(place),
        }
    }

    fn relevance(lexical: Option<f32>, dense: Option<f32>, heard: Heard, foreign: f32) -> f32 {
        let signals = Signals {
            foreign,
            lexical_ceiling: 20.0,
            ..Signals::default()
        };
        let mut one = [candidate(lexical, dense)];
        judge(&mut one, heard, &signals);
        one[0].relevance
    }

    #[test]
    fn an_answer_is_told_from_what_merely_comes_first() {
        assert!(relevance(Some(9.0), Some(0.65), BOTH_HEARD, 0.0) > 0.8);
        assert!(relevance(None, Some(0.2), BOTH_HEARD, 0.0) < 0.1);
        assert!(
            relevance(None, Some(0.75), BOTH_HEARD, 0.0) > 0.5,
            "a paraphrase shares no word"
        );
        // Russian: near by cosine, as all Russian is, but only one of these has the words.
        assert!(relevance(Some(6.0), Some(0.6), BOTH_HEARD, 1.0) > 0.7);
        assert!(relevance(Some(1.0), Some(0.6), BOTH_HEARD, 1.0) < 0.3);
    }

    #[test]
    fn either_retriever_alone_reaches_the_same_scale() {
        let (words, meaning) = (
            Heard {
                lexical: true,
                dense: false,
            },
            Heard {
                lexical: false,
                dense: true,
            },
        );
        assert!(relevance(Some(10.0), None, words, 0.0) > 0.8);
        assert!(relevance(Some(1.0), None, words, 0.0) < 0.1);
        assert!(relevance(None, Some(0.8), meaning, 0.0) > 0.8);
        assert!(relevance(None, Some(0.15), meaning, 0.0) < 0.1);
    }

    #[test]
    fn words_alone_tell_where_the_vector_may_be_missing() {
        let judged = |missing| {
            let signals = Signals {
                lexical_ceiling: 20.0,
                missing,
                ..Signals::default()
            };
            let mut pair = [candidate(Some(11.0), None), candidate(None, Some(0.1))];
            judge(&mut pair, BOTH_HEARD, &signals);
            pair[0].relevance
        };
        assert!(judged(0.0) < 0.5, "{}", judged(0.0));
        assert!(judged(0.9) > 0.8, "{}", judged(0.9));
    }

    proptest! {
        /// A share that never rises along the ranking, whatever the scores.
        #[test]
        fn falls_along_the_ranking(
            scores in proptest::collection::vec((proptest::option::of(0.0f32..90.0), proptest::option::of(-1.0f32..1.0)), 0..30),
            foreign in 0.0f32..=1.0, lexical_ceiling in 0.0f32..200.0, lexical in any::<bool>(), dense in any::<bool>(),
        ) {
            let mut candidates: Vec<FusedCandidate> = scores.into_iter().map(|(l, d)| candidate(l, d)).collect();
            judge(&mut candidates, Heard { lexical, dense }, &Signals { foreign, lexical_ceiling, ..Signals::default() });
            prop_assert!(candidates.iter().all(|c| (0.0..=1.0).contains(&c.relevance)));
            prop_assert!(candidates.windows(2).all(|pair| pair[0].relevance >= pair[1].relevance));
        }
    }
}
