//! Why a hit has its rank.

use autorag_store::{DocumentEntry, Passage, Snapshot, TermMatch};

use crate::fusion::{FusedCandidate, Scales};
use crate::{NormalizedScore, QueryError, Request};

/// Why a hit has its rank.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Terms of the query, and where the passage and its document contain them. Empty for a dense search.
    pub terms: Vec<TermMatch>,
    /// Normalized BM25 score. `None` if the passage is not a lexical candidate.
    pub lexical: Option<NormalizedScore>,
    /// Normalized cosine similarity. `None` if the passage is not a dense candidate.
    pub dense: Option<NormalizedScore>,
}

pub(crate) fn explain(
    snapshot: &Snapshot,
    request: &Request,
    candidate: &FusedCandidate,
    passage: &Passage,
    document: &DocumentEntry,
    scales: &Scales,
) -> Result<Explanation, QueryError> {
    let terms = if request.mode.uses_lexical() {
        snapshot.terms(&request.query, passage, document)?
    } else {
        Vec::new()
    };
    Ok(Explanation {
        terms,
        lexical: candidate.lexical.map(|_| scales.lexical(candidate)),
        dense: candidate.dense.map(|_| scales.dense(candidate)),
    })
}
