//! What a search asks for, checked once for every way in.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use autorag_store::{Filter, Matching};

use crate::{Boost, Fusion, MAX_BOOSTS, QueryError};

/// Most hits one answer carries.
pub const MAX_LIMIT: usize = 50;
/// Furthest a page of hits may start.
pub const MAX_OFFSET: usize = 1000;
/// Most passages shown on each side of a hit.
pub const MAX_CONTEXT: u32 = 3;
/// Longest that reranking may be given.
pub const MAX_RERANK_BUDGET: Duration = Duration::from_secs(20);
/// Longest query, in bytes of UTF-8.
pub const MAX_QUERY_BYTES: usize = 8192;

/// Which retrievers take part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// BM25 and vectors, fused.
    #[default]
    Hybrid,
    /// BM25 alone.
    Lexical,
    /// Vectors alone.
    Dense,
}

impl Mode {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Hybrid => "hybrid",
            Mode::Lexical => "lexical",
            Mode::Dense => "dense",
        }
    }

    pub(crate) fn wants_lexical(self) -> bool {
        self != Mode::Dense
    }

    pub(crate) fn wants_dense(self) -> bool {
        self != Mode::Lexical
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(word: &str) -> Result<Mode, String> {
        match word {
            "hybrid" => Ok(Mode::Hybrid),
            "lexical" => Ok(Mode::Lexical),
            "dense" => Ok(Mode::Dense),
            other => Err(format!("{other:?} is not a mode; use hybrid, lexical or dense")),
        }
    }
}

/// A search.
#[derive(Debug, Clone)]
pub struct Request {
    /// The question, in words.
    pub query: String,
    /// Which retrievers take part.
    pub mode: Mode,
    /// How the lists of a hybrid search are joined.
    pub fusion: Fusion,
    /// Which passages words propose.
    pub matching: Matching,
    /// How many hits, 1 to [`MAX_LIMIT`].
    pub limit: usize,
    /// How many hits to pass over first, up to [`MAX_OFFSET`].
    pub offset: usize,
    /// Which documents may answer; none means all.
    pub filter: Option<Filter>,
    /// Least score of a hit, from 0 to 1; none means any.
    pub score_threshold: Option<f32>,
    /// Most hits of one document, 0 for any number. None means 3, but any number where fewer than ten documents may answer.
    pub max_per_document: Option<usize>,
    /// Whether the best candidates are reranked, by the reranker of the engine.
    pub rerank: bool,
    /// How long that may take; none means as long as the reranker is set to.
    pub rerank_budget: Option<Duration>,
    /// Whether each hit tells why it is where it is.
    pub explain: bool,
    /// What about documents moves their passages up, at most [`MAX_BOOSTS`].
    pub boosts: Vec<Boost>,
    /// How many passages are shown on each side of a hit, up to [`MAX_CONTEXT`].
    pub context_expansion: u32,
    /// Whether passages that say the same become one hit.
    pub collapse_duplicates: bool,
}

impl Request {
    /// A hybrid search for the ten best hits.
    pub fn new(query: impl Into<String>) -> Request {
        Request {
            query: query.into(),
            mode: Mode::Hybrid,
            fusion: Fusion::default(),
            matching: Matching::default(),
            limit: 10,
            offset: 0,
            filter: None,
            score_threshold: None,
            max_per_document: None,
            rerank: false,
            rerank_budget: None,
            explain: false,
            boosts: Vec::new(),
            context_expansion: 0,
            collapse_duplicates: true,
        }
    }

    /// Checks every limit.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] naming the first field that breaks one.
    pub fn validate(&self) -> Result<(), QueryError> {
        let invalid = |field, message| Err(QueryError::Invalid { field, message });
        if self.query.trim().is_empty() {
            return invalid(
                "query",
                "is empty; say what to look for, such as \"how do I install it\"".into(),
            );
        }
        if self.query.len() > MAX_QUERY_BYTES {
            return invalid(
                "query",
                format!(
                    "is {} bytes long; at most {MAX_QUERY_BYTES} are taken",
                    self.query.len()
                ),
            );
        }
        if self.limit == 0 || self.limit > MAX_LIMIT {
            return invalid(
                "limit",
                format!("is {}; it goes from 1 to {MAX_LIMIT}", self.limit),
            );
        }
        if self.offset > MAX_OFFSET {
            return invalid(
                "offset",
                format!("is {}; it goes up to {MAX_OFFSET}", self.offset),
            );
        }
        if self.max_per_document.is_some_and(|most| most > MAX_LIMIT) {
            return invalid(
                "max_per_document",
                format!("is over {MAX_LIMIT}; it goes from 1 to {MAX_LIMIT}, or is 0 for any number"),
            );
        }
        if self.context_expansion > MAX_CONTEXT {
            return invalid(
                "context_expansion",
                format!("is {}; it goes from 0 to {MAX_CONTEXT}", self.context_expansion),
            );
        }
        let allowed = Duration::from_millis(1)..=MAX_RERANK_BUDGET;
        if let Some(budget) = self.rerank_budget
            && !allowed.contains(&budget)
        {
            return invalid(
                "rerank_budget_ms",
                format!(
                    "is {}; it goes from 1 to {}",
                    budget.as_millis(),
                    MAX_RERANK_BUDGET.as_millis()
                ),
            );
        }
        if self.boosts.len() > MAX_BOOSTS {
            return invalid(
                "boost_by",
                format!(
                    "has {} entries; at most {MAX_BOOSTS} are taken",
                    self.boosts.len()
                ),
            );
        }
        self.boosts.iter().try_for_each(Boost::validate)?;
        if let Some(threshold) = self.score_threshold
            && !(0.0..=1.0).contains(&threshold)
        {
            return invalid(
                "score_threshold",
                format!("is {threshold}; it goes from 0 (any hit) to 1"),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_of(request: Request) -> Option<&'static str> {
        match request.validate() {
            Err(QueryError::Invalid { field, .. }) => Some(field),
            _ => None,
        }
    }

    #[test]
    fn limits_name_their_field() {
        let base = || Request::new("x");
        assert_eq!(field_of(base()), None);
        assert_eq!(field_of(Request::new(" \n")), Some("query"));
        assert_eq!(
            field_of(Request::new("y".repeat(MAX_QUERY_BYTES + 1))),
            Some("query")
        );
        assert_eq!(field_of(Request { limit: 0, ..base() }), Some("limit"));
        assert_eq!(
            field_of(Request {
                limit: MAX_LIMIT + 1,
                ..base()
            }),
            Some("limit")
        );
        assert_eq!(
            field_of(Request {
                offset: MAX_OFFSET + 1,
                ..base()
            }),
            Some("offset")
        );
        let request = Request {
            max_per_document: Some(MAX_LIMIT + 1),
            ..base()
        };
        assert_eq!(field_of(request), Some("max_per_document"));
        let request = Request {
            context_expansion: MAX_CONTEXT + 1,
            ..base()
        };
        assert_eq!(field_of(request), Some("context_expansion"));
        for threshold in [-0.1, 1.5, f32::NAN] {
            let request = Request {
                score_threshold: Some(threshold),
                ..base()
            };
            assert_eq!(field_of(request), Some("score_threshold"));
        }
    }

    #[test]
    fn mode_words_go_both_ways() {
        for mode in [Mode::Hybrid, Mode::Lexical, Mode::Dense] {
            assert_eq!(mode.as_str().parse::<Mode>(), Ok(mode));
        }
        assert!("vector".parse::<Mode>().is_err());
    }
}
