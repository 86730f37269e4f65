//! Why a hit is where it is.

use autorag_store::{Snapshot, TermMatch};

use crate::fusion::Scales;
use crate::{FusedCandidate, Hit, QueryError, Request, Standing};

/// What a hit owes its place to, for a reader.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The words of the question, and where the passage has them.
    pub terms: Vec<TermMatch>,
    /// What its BM25 amounts to, where the lexical retriever proposed it.
    pub lexical: Option<Standing>,
    /// What its cosine amounts to, where the dense retriever proposed it.
    pub dense: Option<Standing>,
}

/// What a hit owes its place to.
pub(crate) fn explained(
    snapshot: &Snapshot,
    request: &Request,
    hit: &Hit,
    scales: &Scales,
) -> Result<Explanation, QueryError> {
    let candidate = FusedCandidate {
        passage: hit.passage.id,
        score: hit.fused,
        relevance: hit.score,
        lexical: hit.lexical,
        dense: hit.dense,
    };
    let terms = match request.mode.wants_lexical() {
        true => snapshot.terms(&request.query, &hit.passage, &hit.document)?,
        false => Vec::new(),
    };
    Ok(Explanation {
        terms,
        lexical: hit.lexical.map(|_| scales.lexical(&candidate)),
        dense: hit.dense.map(|_| scales.dense(&candidate)),
    })
}
