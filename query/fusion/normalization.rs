//! Normalization of BM25 scores and cosine similarities to a scale from 0 to 1.

use autorag_store::Candidate;

use super::FusedCandidate;

/// A dense candidate whose cosine is this far below the best of its list has a relative score of 0. docs/retrieval.md measures the
/// fusion that uses it.
const COSINE_RANGE: f32 = 0.5;

/// A retriever's score on two scales from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormalizedScore {
    /// Relative to the best score of the list.
    pub relative: f32,
    /// Relative to the highest score that the query can reach.
    pub absolute: f32,
}

impl NormalizedScore {
    /// The mean of both scales, which weighted fusion uses.
    pub fn mean(&self) -> f32 {
        (self.relative + self.absolute) / 2.0
    }
}

/// The reference scores that one query is normalized by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scales {
    best_lexical: f32,
    lexical_ceiling: f32,
    best_dense: f32,
    /// Lowest cosine in the dense list. A passage outside the list has at most this cosine.
    last_dense: f32,
}

impl Scales {
    /// `lexical` and `dense` are sorted best first. `lexical_ceiling` is an upper bound of the query's BM25 score.
    pub(crate) fn new(lexical: &[Candidate], dense: &[Candidate], lexical_ceiling: f32) -> Scales {
        Scales {
            best_lexical: lexical
                .first()
                .map_or(1.0, |first| first.score.max(f32::MIN_POSITIVE)),
            lexical_ceiling: lexical_ceiling.max(f32::MIN_POSITIVE),
            best_dense: dense.first().map_or(0.0, |first| first.score),
            last_dense: dense.last().map_or(0.0, |last| last.score),
        }
    }

    pub(crate) fn lexical(&self, candidate: &FusedCandidate) -> NormalizedScore {
        let score = candidate.lexical.map_or(0.0, |lexical| lexical.score);
        NormalizedScore {
            relative: (score / self.best_lexical).clamp(0.0, 1.0),
            absolute: (score / self.lexical_ceiling).clamp(0.0, 1.0),
        }
    }

    pub(crate) fn dense(&self, candidate: &FusedCandidate) -> NormalizedScore {
        let cosine = candidate.dense.map_or(self.last_dense, |dense| dense.score);
        NormalizedScore {
            relative: (1.0 - (self.best_dense - cosine) / COSINE_RANGE).clamp(0.0, 1.0),
            absolute: cosine.clamp(0.0, 1.0),
        }
    }
}
