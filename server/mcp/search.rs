//! `rag_search`: passages for agents.

use std::collections::HashSet;
use std::fmt::Write;

use autorag_query::Request;
use autorag_store::DocumentKey;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, ContentBlock, Resource};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::text::{byte_budget, file_url, index_sentence, notes};
use super::{Tools, failure, success};
use crate::instance::Instance;
use crate::instance_handle::InstanceError;
use crate::wire::{
    AnswerWire, BelowThresholdWire, BoostBody, DegradationWire, DuplicateWire, HitWire, IndexStateWire,
    SearchBody,
};

/// Level of detail of each passage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum ResponseFormat {
    // No doc comments on the variants: they would turn the schema's enum into one schema per variant.
    #[default]
    Concise,
    Detailed,
}

/// Input of `rag_search`.
#[derive(Debug, Deserialize, JsonSchema)]
struct RagSearchInput {
    /// The question, in plain words. "Quoted phrases" must occur verbatim; -word must not occur; title:word, path:word,
    /// heading:word and kind:code restrict the search.
    query: String,
    /// hybrid (default), lexical (keyword search only) or dense (semantic search only).
    #[serde(default)]
    mode: Option<String>,
    /// or (default): passages with any of the keywords; and: only passages with all of them.
    #[serde(default)]
    keyword_match_mode: Option<String>,
    /// Filter of documents, such as {"folder": {"$prefix": "guide/"}} or {"type": "markdown"}.
    #[serde(default)]
    filters: Option<Map<String, Value>>,
    /// Minimum score of a passage, 0 to 1. About 0.3 removes irrelevant passages. Default: none.
    #[serde(default)]
    score_threshold: Option<f32>,
    /// Maximum number of passages from one document, or 0 for no limit. Default: 3.
    #[serde(default)]
    max_per_document: Option<usize>,
    /// Rerank the best passages, if the server has a reranker. Default: false.
    #[serde(default)]
    rerank: Option<bool>,
    /// Rank passages higher by a field, at most 3 boosts, such as {"field": "timestamp", "direction": "desc"}. Directions: asc,
    /// desc, exists, not_exists.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Map<String, Value>>>")]
    boost_by: Option<Vec<BoostBody>>,
    /// Number of neighbouring passages to include on each side, 0 to 3. Default: 0.
    #[serde(default)]
    context_expansion: Option<u32>,
    /// Maximum number of passages, 1 to 50. Default: 10.
    #[serde(default)]
    limit: Option<usize>,
    /// next_cursor of an earlier result, to get the next passages.
    #[serde(default)]
    cursor: Option<String>,
    /// concise (default), or detailed: adds byte offsets, raw scores, content hash, type, time and metadata.
    #[serde(default)]
    response_format: Option<ResponseFormat>,
    /// Approximate limit of the result in tokens, at most 20000. Default: 5000.
    #[serde(default)]
    max_tokens: Option<usize>,
}

/// Output of `rag_search`.
#[derive(Debug, Serialize, JsonSchema)]
struct RagSearchOutput {
    /// Passages, best first.
    passages: Vec<PassageOutput>,
    /// Pass as `cursor` to get more passages. Absent if there are no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// Passages below the score threshold. Absent without a threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    below_threshold: Option<BelowThresholdWire>,
    /// Parts of the search that failed or were incomplete.
    degraded: Vec<DegradationWire>,
    /// How much is searchable.
    index_state: IndexStateWire,
}

/// A passage.
#[derive(Debug, Serialize, JsonSchema)]
struct PassageOutput {
    path: String,
    start_line: u32,
    end_line: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    heading_path: Vec<String>,
    score: f32,
    /// State of the file compared with the index: current, stale (changed) or deleted.
    freshness: &'static str,
    text: String,
    /// Duplicates of this passage. Absent if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    duplicates: Vec<DuplicateWire>,
    /// Further fields, only in the detailed format.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    details: Option<Value>,
}

#[tool_router(router = search_tools, vis = "pub(super)")]
impl Tools {
    #[tool(
        description = "Search the indexed documents by keywords and semantically. Returns the best passages with path, line \
                       range, headings, score and freshness, ready to cite. Read the text around a passage with rag_read.",
        annotations(title = "Search passages", read_only_hint = true, open_world_hint = false),
        output_schema = rmcp::handler::server::tool::schema_for_type::<RagSearchOutput>()
    )]
    async fn rag_search(&self, Parameters(input): Parameters<RagSearchInput>) -> CallToolResult {
        match self.search_passages(input).await {
            Ok(result) => result,
            Err(error) => failure(&error),
        }
    }

    async fn search_passages(&self, input: RagSearchInput) -> Result<CallToolResult, InstanceError> {
        let budget = byte_budget(input.max_tokens);
        let format = input.response_format.unwrap_or_default();
        let request = request_of(input)?;
        let (offset, limit) = (request.offset, request.limit);
        let (response, links) = self
            .instance
            .run(move |instance| {
                let response = AnswerWire::from(instance.search(&request)?);
                let links = links(instance, &response.hits);
                Ok((response, links))
            })
            .await?;
        let total = response.hits.len();
        let is_full_page = total == limit && total > 0;
        let passages = within_budget(response.hits, format, budget);
        let included = passages.len();
        // The next page starts after the last included passage, whether or not the page was truncated.
        let next_cursor = (included < total || is_full_page).then(|| (offset + included).to_string());
        let output = RagSearchOutput {
            next_cursor,
            below_threshold: response.below_threshold,
            degraded: response.degraded,
            index_state: response.index_state,
            passages,
        };
        let mut blocks = vec![ContentBlock::text(render(&output, total))];
        blocks.extend(links.into_iter().map(ContentBlock::resource_link));
        Ok(success(&output, blocks))
    }
}

fn request_of(input: RagSearchInput) -> Result<Request, InstanceError> {
    let offset = input.cursor.map(|cursor| {
        cursor
            .parse::<usize>()
            .map_err(|_| autorag_query::QueryError::Invalid {
                field: "cursor",
                message: format!(
                    "{cursor:?} is not a cursor; pass next_cursor of an earlier result, such as \"10\""
                ),
            })
    });
    let body = SearchBody {
        query: input.query,
        mode: input.mode,
        fusion: None,
        keyword_match_mode: input.keyword_match_mode,
        limit: input.limit,
        offset: offset.transpose()?,
        filters: input.filters.map(Value::Object),
        score_threshold: input.score_threshold,
        max_per_document: input.max_per_document,
        rerank: input.rerank.unwrap_or_default(),
        rerank_budget_ms: None,
        explain: false,
        boost_by: input.boost_by.unwrap_or_default(),
        context_expansion: input.context_expansion,
        collapse_duplicates: None,
    };
    Ok(Request::try_from(body)?)
}

/// As many hits as fit in `budget` bytes, but at least one.
fn within_budget(hits: Vec<HitWire>, format: ResponseFormat, budget: usize) -> Vec<PassageOutput> {
    let mut passages = Vec::new();
    let mut bytes = 0;
    for hit in hits {
        let details = (format == ResponseFormat::Detailed).then(|| details(&hit));
        let passage = PassageOutput {
            path: hit.citation.path,
            start_line: hit.citation.start_line,
            end_line: hit.citation.end_line,
            title: hit.document.title,
            heading_path: hit.citation.heading_path,
            score: hit.score,
            freshness: hit.freshness,
            text: hit.text,
            duplicates: hit.duplicates,
            details,
        };
        bytes += serde_json::to_string(&passage).map_or(0, |json| json.len());
        if bytes > budget && !passages.is_empty() {
            break;
        }
        passages.push(passage);
    }
    passages
}

fn details(hit: &HitWire) -> Value {
    serde_json::json!({
        "id": hit.id,
        "start_byte": hit.citation.start_byte,
        "end_byte": hit.citation.end_byte,
        "page": hit.citation.page,
        "passage": hit.passage,
        "content_hash": hit.citation.content_hash,
        "scores": hit.scores,
        "type": hit.document.kind,
        "modified": hit.document.modified,
        "metadata": hit.document.metadata,
    })
}

/// A link to the file of each document among the hits.
fn links(instance: &Instance, hits: &[HitWire]) -> Vec<Resource> {
    let mut seen = HashSet::new();
    let first_of_each = hits.iter().filter(|hit| seen.insert(hit.document.key.as_str()));
    let links = first_of_each.filter_map(|hit| {
        let path = instance.resolve(&DocumentKey::from(hit.document.key.as_str()))?;
        let title = hit
            .document
            .title
            .clone()
            .unwrap_or_else(|| hit.document.key.clone());
        Some(Resource::new(file_url(&path), hit.document.key.clone()).with_title(title))
    });
    links.collect()
}

/// The result as text for a model.
fn render(output: &RagSearchOutput, total: usize) -> String {
    let mut text = String::new();
    if output.passages.is_empty() {
        let below = output.below_threshold.as_ref();
        let _ = if let Some(below) = below.filter(|below| below.passages > 0) {
            writeln!(
                text,
                "Nothing relevant: the best of {} passages has a score of {:.2}, below the threshold.",
                below.passages, below.best_score
            )
        } else if output.index_state.complete {
            writeln!(text, "Nothing found in the indexed documents.")
        } else {
            writeln!(
                text,
                "Nothing found so far, but the index is incomplete; try again shortly."
            )
        };
    }
    for passage in &output.passages {
        let PassageOutput {
            path,
            start_line,
            end_line,
            score,
            freshness,
            ..
        } = passage;
        let _ = writeln!(
            text,
            "## {path}:{start_line}-{end_line} (score {score:.2}, {freshness})"
        );
        if !passage.duplicates.is_empty() {
            let duplicates = passage.duplicates.iter();
            let duplicates: Vec<String> = duplicates
                .map(|copy| format!("{}:{}-{}", copy.path, copy.start_line, copy.end_line))
                .collect();
            let _ = writeln!(text, "(duplicates: {})", duplicates.join(", "));
        }
        if !passage.heading_path.is_empty() {
            let _ = writeln!(text, "{}", passage.heading_path.join(" › "));
        }
        let _ = writeln!(text, "\n{}\n", passage.text.trim_end());
    }
    if let Some(cursor) = &output.next_cursor {
        let omitted = total - output.passages.len();
        let _ = if omitted > 0 {
            writeln!(
                text,
                "({omitted} more passages did not fit: continue with cursor \"{cursor}\", or raise max_tokens)"
            )
        } else {
            writeln!(
                text,
                "(there may be more passages: continue with cursor \"{cursor}\")"
            )
        };
    }
    let notes = notes(&output.degraded, &output.index_state);
    if !notes.is_empty() {
        let _ = writeln!(text, "{notes}");
    }
    if output.passages.is_empty() || !output.index_state.complete {
        text += &index_sentence(&output.index_state);
    }
    text
}
