//! Why a hit is where it is.

use autorag_store::TermMatch;

use crate::Standing;

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
