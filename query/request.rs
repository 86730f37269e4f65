//! Search requests and their limits.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use autorag_store::{Filter, Matching, string_enum};

use crate::{Boost, Fusion, MAX_BOOSTS, QueryError};

/// Maximum of [`Request::limit`].
pub const MAX_LIMIT: usize = 50;
/// Maximum of [`Request::offset`].
pub const MAX_OFFSET: usize = 1000;
/// Maximum of [`Request::context_expansion`].
pub const MAX_CONTEXT: u32 = 3;
/// Maximum of [`Request::rerank_budget`].
pub const MAX_RERANK_BUDGET: Duration = Duration::from_secs(20);
/// Maximum length of a query, in bytes of UTF-8.
pub const MAX_QUERY_BYTES: usize = 8192;

string_enum! {
    /// Which retrievers a search uses.
    #[derive(Default)]
    Mode "mode" {
        /// The lexical and the dense retriever, fused.
        #[default]
        Hybrid = "hybrid",
        /// BM25 only.
        Lexical = "lexical",
        /// Vectors only.
        Dense = "dense",
    }
}

impl Mode {
    pub(crate) fn uses_lexical(self) -> bool {
        self != Mode::Dense
    }

    pub(crate) fn uses_dense(self) -> bool {
        self != Mode::Lexical
    }
}

/// A search.
#[derive(Debug, Clone)]
pub struct Request {
    /// A question or keywords.
    pub query: String,
    /// Which retrievers to use.
    pub mode: Mode,
    /// How a hybrid search fuses its two lists.
    pub fusion: Fusion,
    /// Whether a lexical candidate needs any or all of the keywords.
    pub matching: Matching,
    /// Number of hits, 1 to [`MAX_LIMIT`].
    pub limit: usize,
    /// Number of hits to skip, up to [`MAX_OFFSET`].
    pub offset: usize,
    /// Restricts the search to matching documents. `None` searches all.
    pub filter: Option<Filter>,
    /// Minimum score of a hit, from 0 to 1.
    pub score_threshold: Option<f32>,
    /// Maximum number of hits from one document, or 0 for no limit. The default is 3, or no limit if fewer than ten documents
    /// match the filter.
    pub max_per_document: Option<usize>,
    /// Rerank the best candidates. Needs [`Engine::with_reranker`](crate::Engine::with_reranker).
    pub rerank: bool,
    /// Time limit for reranking. `None` uses the reranker's own.
    pub rerank_budget: Option<Duration>,
    /// Add an [`Explanation`](crate::Explanation) to each hit.
    pub explain: bool,
    /// Boosts by document fields, at most [`MAX_BOOSTS`].
    pub boosts: Vec<Boost>,
    /// Number of neighbouring passages to show on each side of a hit, up to [`MAX_CONTEXT`].
    pub context_expansion: u32,
    /// Collapse near-duplicate passages into one hit.
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
    /// [`QueryError::Invalid`] for the first field that is out of its range.
    pub fn validate(&self) -> Result<(), QueryError> {
        if self.query.trim().is_empty() {
            return Err(invalid(
                "query",
                "must not be empty; ask a question or give keywords",
            ));
        }
        if self.query.len() > MAX_QUERY_BYTES {
            let length = self.query.len();
            let message = format!("must be at most {MAX_QUERY_BYTES} bytes long, not {length}");
            return Err(invalid("query", message));
        }
        check_range("limit", &self.limit, 1..=MAX_LIMIT)?;
        check_range("offset", &self.offset, 0..=MAX_OFFSET)?;
        if let Some(max) = &self.max_per_document {
            check_range("max_per_document", max, 0..=MAX_LIMIT)?;
        }
        check_range("context_expansion", &self.context_expansion, 0..=MAX_CONTEXT)?;
        if let Some(budget) = self.rerank_budget {
            check_range(
                "rerank_budget_ms",
                &budget.as_millis(),
                1..=MAX_RERANK_BUDGET.as_millis(),
            )?;
        }
        if self.boosts.len() > MAX_BOOSTS {
            let message = format!("has {} boosts; the maximum is {MAX_BOOSTS}", self.boosts.len());
            return Err(invalid("boost_by", message));
        }
        self.boosts.iter().try_for_each(Boost::validate)?;
        if let Some(threshold) = &self.score_threshold {
            check_range("score_threshold", threshold, 0.0..=1.0)?;
        }
        Ok(())
    }
}

fn check_range<T: PartialOrd + Display>(
    field: &'static str,
    value: &T,
    allowed: RangeInclusive<T>,
) -> Result<(), QueryError> {
    if allowed.contains(value) {
        return Ok(());
    }
    let (start, end) = allowed.into_inner();
    Err(invalid(
        field,
        format!("must be from {start} to {end}, not {value}"),
    ))
}

fn invalid(field: &'static str, message: impl Into<String>) -> QueryError {
    QueryError::Invalid {
        field,
        message: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid_field(request: &Request) -> Option<&'static str> {
        match request.validate() {
            Err(QueryError::Invalid { field, .. }) => Some(field),
            _ => None,
        }
    }

    #[test]
    fn the_error_names_the_field_that_is_out_of_range() {
        let valid = || Request::new("x");
        assert_eq!(invalid_field(&valid()), None);
        let boost = Boost {
            field: "stars".into(),
            direction: crate::Direction::Desc,
            weight: 1.0,
            half_life_days: None,
        };
        let cases = [
            ("query", Request::new(" \n")),
            ("query", Request::new("y".repeat(MAX_QUERY_BYTES + 1))),
            ("limit", Request { limit: 0, ..valid() }),
            (
                "limit",
                Request {
                    limit: MAX_LIMIT + 1,
                    ..valid()
                },
            ),
            (
                "offset",
                Request {
                    offset: MAX_OFFSET + 1,
                    ..valid()
                },
            ),
            (
                "max_per_document",
                Request {
                    max_per_document: Some(MAX_LIMIT + 1),
                    ..valid()
                },
            ),
            (
                "context_expansion",
                Request {
                    context_expansion: MAX_CONTEXT + 1,
                    ..valid()
                },
            ),
            (
                "rerank_budget_ms",
                Request {
                    rerank_budget: Some(Duration::from_micros(10)),
                    ..valid()
                },
            ),
            (
                "boost_by",
                Request {
                    boosts: vec![boost; MAX_BOOSTS + 1],
                    ..valid()
                },
            ),
        ];
        for (field, request) in cases {
            assert_eq!(invalid_field(&request), Some(field), "{request:?}");
        }
        for threshold in [-0.1, 1.5, f32::NAN] {
            let request = Request {
                score_threshold: Some(threshold),
                ..valid()
            };
            assert_eq!(invalid_field(&request), Some("score_threshold"));
        }
    }

    #[test]
    fn every_limit_itself_is_valid() {
        let request = Request {
            query: "y".repeat(MAX_QUERY_BYTES),
            limit: MAX_LIMIT,
            offset: MAX_OFFSET,
            score_threshold: Some(1.0),
            max_per_document: Some(MAX_LIMIT),
            rerank_budget: Some(MAX_RERANK_BUDGET),
            context_expansion: MAX_CONTEXT,
            ..Request::new("x")
        };
        assert_eq!(invalid_field(&request), None);
    }
}
