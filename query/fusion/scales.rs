//! How scores of either retriever become numbers from 0 to 1.

use autorag_store::Candidate;

use super::FusedCandidate;

/// A cosine this much under the best of its list is worth nothing by comparison.
const COSINE_RANGE: f32 = 0.5;

/// A retriever's score on a scale from 0 to 1, in two ways.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Against the best of the list.
    pub relative: f32,
    /// Against what the question could reach at most.
    pub absolute: f32,
}

impl Standing {
    /// What fusion by weights goes by.
    pub fn mean(&self) -> f32 {
        (self.relative + self.absolute) / 2.0
    }
}

/// The scales of one question.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scales {
    best_lexical: f32,
    ceiling: f32,
    best_dense: f32,
    /// The cosine of what the dense list does not have: not above its last.
    last_dense: f32,
}

impl Scales {
    /// The scales of two lists, each best first, and of the highest BM25 that the question could reach.
    pub(crate) fn new(lexical: &[Candidate], dense: &[Candidate], ceiling: f32) -> Scales {
        Scales {
            best_lexical: lexical
                .first()
                .map_or(1.0, |first| first.score.max(f32::MIN_POSITIVE)),
            ceiling: ceiling.max(f32::MIN_POSITIVE),
            best_dense: dense.first().map_or(0.0, |first| first.score),
            last_dense: dense.last().map_or(0.0, |last| last.score),
        }
    }

    pub(crate) fn lexical(&self, candidate: &FusedCandidate) -> Standing {
        let score = candidate.lexical.map_or(0.0, |place| place.score);
        Standing {
            relative: (score / self.best_lexical).clamp(0.0, 1.0),
            absolute: (score / self.ceiling).clamp(0.0, 1.0),
        }
    }

    pub(crate) fn dense(&self, candidate: &FusedCandidate) -> Standing {
        let cosine = candidate.dense.map_or(self.last_dense, |place| place.score);
        Standing {
            relative: (1.0 - (self.best_dense - cosine) / COSINE_RANGE).clamp(0.0, 1.0),
            absolute: cosine.clamp(0.0, 1.0),
        }
    }
}
