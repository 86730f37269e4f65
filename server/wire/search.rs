//! Searches on the wire.

use std::time::Duration;

use autorag_query::{Boost, Fusion, Mode, QueryError, Request};
use autorag_store::{Filter, Matching};
use schemars::JsonSchema;
use serde::Deserialize;
use utoipa::ToSchema;

/// A search.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchBody {
    /// The question, in words; `"quoted phrases"` must occur as they are, `-words` must not, and `title:`, `heading:`, `path:` and
    /// `kind:` before a word or phrase restrict to documents.
    #[schema(example = "how do I exclude a folder")]
    pub query: String,
    /// `hybrid` (the default), `lexical` or `dense`.
    #[serde(default)]
    #[schema(example = "hybrid")]
    pub mode: Option<String>,
    /// How a hybrid search joins its two lists: `weighted` (the default), `rrf` or `max`.
    #[serde(default)]
    #[schema(example = "weighted")]
    pub fusion: Option<String>,
    /// Which passages words propose: `or`, those with any of them (the default), or `and`, those with all.
    #[serde(default)]
    #[schema(example = "or")]
    pub keyword_match_mode: Option<String>,
    /// How many hits, 1 to 50; 10 where not said.
    #[serde(default)]
    pub limit: Option<usize>,
    /// How many hits to pass over first, up to 1000.
    #[serde(default)]
    pub offset: Option<usize>,
    /// Which documents may answer, such as `{"folder": {"$prefix": "guide/"}}`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub filters: Option<serde_json::Value>,
    /// Least score of a hit, from 0 to 1. Where not said, the setting `search.score_threshold` holds, which is 0: any hit.
    #[serde(default)]
    #[schema(example = 0.3)]
    pub score_threshold: Option<f32>,
    /// Most hits of one document, 1 to 50, or 0 for any number. Where not said, 3, but any number where fewer than ten documents
    /// may answer.
    #[serde(default)]
    pub max_per_document: Option<usize>,
    /// Whether the best candidates are reranked by the reranker of the settings; false where not said.
    #[serde(default)]
    pub rerank: bool,
    /// How long reranking may take, in milliseconds; the setting `rerank.budget_ms` where not said.
    #[serde(default)]
    pub rerank_budget_ms: Option<u64>,
    /// Whether each hit tells why it is where it is.
    #[serde(default)]
    pub explain: bool,
    /// What about documents moves their passages up; at most 3.
    #[serde(default)]
    pub boost_by: Vec<BoostBody>,
    /// How many passages are shown on each side of a hit, 0 to 3; 0 where not said.
    #[serde(default)]
    pub context_expansion: Option<u32>,
    /// Whether passages that say the same become one hit; true where not said.
    #[serde(default)]
    pub collapse_duplicates: Option<bool>,
}

/// Something about documents that moves their passages up.
#[derive(Debug, Clone, Deserialize, ToSchema, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoostBody {
    /// A field, by the names that filters use.
    #[schema(example = "timestamp")]
    pub field: String,
    /// Which values are better: `asc` (small ones), `desc`, `exists` or `not_exists`.
    #[schema(example = "desc")]
    pub direction: String,
    /// How much it counts, above 0 and up to 5; 1 where not said.
    #[serde(default)]
    pub weight: Option<f32>,
    /// The field is a time, and the boost halves with every so many days of age.
    #[serde(default)]
    pub half_life_days: Option<f32>,
}

impl TryFrom<BoostBody> for Boost {
    type Error = QueryError;

    fn try_from(body: BoostBody) -> Result<Boost, QueryError> {
        let direction = body.direction.parse().map_err(|message| QueryError::Invalid {
            field: "boost_by",
            message,
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
            .map_err(|e| invalid("mode", e))?;
        let fusion = body
            .fusion
            .map(|word| word.parse::<Fusion>())
            .transpose()
            .map_err(|e| invalid("fusion", e))?;
        let matching = match body.keyword_match_mode.as_deref() {
            None => defaults.matching,
            Some("or") => Matching::Any,
            Some("and") => Matching::All,
            Some(other) => {
                let message = format!("{other:?} is not a way of matching; use or, or and");
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
