//! JSON of search requests.

use std::time::Duration;

use autorag_query::{Boost, Fusion, Mode, QueryError, Request};
use autorag_store::{Filter, Matching, UnknownVariant};
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

/// A search request.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchBody {
    /// The question in plain words. `"quoted phrases"` must occur verbatim, and a word after `-` must not occur. `title:`,
    /// `heading:`, `path:` and `kind:` restrict a word or phrase to that field.
    #[schema(example = "how do I exclude a folder")]
    pub query: String,
    /// `hybrid` (default), `lexical` (keyword search only) or `dense` (semantic search only).
    #[serde(default)]
    #[schema(example = "hybrid")]
    pub mode: Option<String>,
    /// How a hybrid search fuses its two rankings: `weighted` (default), `rrf` or `max`.
    #[serde(default)]
    #[schema(example = "weighted")]
    pub fusion: Option<String>,
    /// Which passages keyword search finds: `or` (default), those with any keyword; `and`, those with all keywords.
    #[serde(default)]
    #[schema(example = "or")]
    pub keyword_match_mode: Option<String>,
    /// Maximum number of hits, 1 to 50; default 10.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Number of hits to skip, 0 to 1000; default 0.
    #[serde(default)]
    pub offset: Option<usize>,
    /// Filter of documents, such as `{"folder": {"$prefix": "guide/"}}`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub filters: Option<serde_json::Value>,
    /// Minimum score of a hit, 0 to 1. Default: the setting `search.score_threshold`, which is 0 unless changed.
    #[serde(default)]
    #[schema(example = 0.3)]
    pub score_threshold: Option<f32>,
    /// Maximum number of hits from one document, 1 to 50, or 0 for no limit. Default: 3, or no limit if the filter passes fewer
    /// than ten documents.
    #[serde(default)]
    pub max_per_document: Option<usize>,
    /// Rerank the best candidates with the reranker of the settings; default false.
    #[serde(default)]
    pub rerank: bool,
    /// Time limit of reranking in milliseconds. Default: the setting `rerank.budget_ms`.
    #[serde(default)]
    pub rerank_budget_ms: Option<u64>,
    /// Explain the rank of each hit; default false.
    #[serde(default)]
    pub explain: bool,
    /// Boosts by fields of the document, at most 3.
    #[serde(default)]
    pub boost_by: Vec<BoostBody>,
    /// Number of neighbouring passages to include on each side of a hit, 0 to 3; default 0.
    #[serde(default)]
    pub context_expansion: Option<u32>,
    /// Collapse duplicate passages into one hit; default true.
    #[serde(default)]
    pub collapse_duplicates: Option<bool>,
}

/// A boost: ranks passages higher by a field of their document.
#[derive(Debug, Clone, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoostBody {
    /// Name of the field, as in filters.
    #[schema(example = "timestamp")]
    pub field: String,
    /// Which values to rank higher: `asc` (low values), `desc` (high values), `exists` or `not_exists`.
    #[schema(example = "desc")]
    pub direction: String,
    /// Weight, above 0 and up to 5; default 1.
    #[serde(default)]
    pub weight: Option<f32>,
    /// Half-life in days, for fields that are times: the boost halves with each such period of age.
    #[serde(default)]
    pub half_life_days: Option<f32>,
}

impl TryFrom<BoostBody> for Boost {
    type Error = QueryError;

    fn try_from(body: BoostBody) -> Result<Boost, QueryError> {
        let direction = body
            .direction
            .parse()
            .map_err(|error: UnknownVariant| QueryError::Invalid {
                field: "boost_by",
                message: error.to_string(),
            })?;
        Ok(Boost {
            field: body.field,
            direction,
            weight: body.weight.unwrap_or(1.0),
            half_life_days: body.half_life_days,
        })
    }
}

impl TryFrom<SearchBody> for Request {
    type Error = QueryError;

    fn try_from(body: SearchBody) -> Result<Request, QueryError> {
        let invalid = |field, message: String| QueryError::Invalid { field, message };
        let defaults = Request::new(body.query);
        let mode = body
            .mode
            .map(|word| word.parse::<Mode>())
            .transpose()
            .map_err(|error| invalid("mode", error.to_string()))?;
        let fusion = body
            .fusion
            .map(|word| word.parse::<Fusion>())
            .transpose()
            .map_err(|error| invalid("fusion", error.to_string()))?;
        let matching = match body.keyword_match_mode.as_deref() {
            None => defaults.matching,
            Some("or") => Matching::Any,
            Some("and") => Matching::All,
            Some(other) => {
                let message = format!("{other:?} is not a match mode; use one of or, and");
                return Err(invalid("keyword_match_mode", message));
            }
        };
        let boosts = body.boost_by.into_iter().map(Boost::try_from);
        let filter = body.filters.as_ref().map(Filter::parse).transpose();
        let request = Request {
            mode: mode.unwrap_or(defaults.mode),
            fusion: fusion.unwrap_or(defaults.fusion),
            matching,
            limit: body.limit.unwrap_or(defaults.limit),
            offset: body.offset.unwrap_or(defaults.offset),
            filter: filter.map_err(|error| invalid("filters", error.to_string()))?,
            score_threshold: body.score_threshold,
            max_per_document: body.max_per_document,
            rerank: body.rerank,
            rerank_budget: body.rerank_budget_ms.map(Duration::from_millis),
            explain: body.explain,
            boosts: boosts.collect::<Result<_, _>>()?,
            context_expansion: body.context_expansion.unwrap_or(defaults.context_expansion),
            collapse_duplicates: body.collapse_duplicates.unwrap_or(defaults.collapse_duplicates),
            ..defaults
        };
        request.validate()?;
        Ok(request)
    }
}
