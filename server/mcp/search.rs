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

use super::text::{byte_budget, caveats, file_url, index_sentence};
use super::{Tools, answer, failure};
use crate::instance::Instance;
use crate::instance_handle::InstanceError;
use crate::wire::{
    AnswerWire, BelowThresholdWire, BoostBody, DegradedWire, DuplicateWire, HitWire, IndexStateWire,
    SearchBody,
};

/// How much is said of each hit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum ResponseFormat {
    // Not documentation, since that would turn the schema's plain list of words into one schema a word.
    #[default]
    Concise,
    Detailed,
}

/// Input of `rag_search`.
#[derive(Debug, Deserialize, JsonSchema)]
struct RagSearchInput {
    /// The question, in plain words. "Quoted phrases" must occur as they are; -word must not; title:word, path:word, heading:word,
    /// kind:code restrict.
    query: String,
    /// hybrid (default), lexical (words only) or dense (meaning only).
    #[serde(default)]
    mode: Option<String>,
    /// or (default): passages with any of the words; and: only those with all of them.
    #[serde(default)]
    keyword_match_mode: Option<String>,
    /// Restrict to documents, such as {"folder": {"$prefix": "guide/"}} or {"type": "markdown"}.
    #[serde(default)]
    filters: Option<Map<String, Value>>,
    /// Least score of a passage, 0 to 1; about 0.3 leaves out what does not answer. Default: none.
    #[serde(default)]
    score_threshold: Option<f32>,
    /// Most passages of one document, 0 for any number; default 3.
    #[serde(default)]
    max_per_document: Option<usize>,
    /// Whether a reranker looks at the best passages again; only where one is set up. Default false.
    #[serde(default)]
    rerank: Option<bool>,
    /// What moves passages up, at most 3, such as {"field": "timestamp", "direction": "desc"}; also asc, exists, not_exists.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Map<String, Value>>>")]
    boost_by: Option<Vec<BoostBody>>,
    /// How many neighbouring passages to show on each side of one, 0 to 3; default 0.
    #[serde(default)]
    context_expansion: Option<u32>,
    /// How many passages, 1 to 50; default 10.
    #[serde(default)]
    limit: Option<usize>,
    /// next_cursor of an earlier answer, to go on after it.
    #[serde(default)]
    cursor: Option<String>,
    /// concise (default), or detailed: also bytes, both raw scores, content hash, type, time and metadata.
    #[serde(default)]
    response_format: Option<ResponseFormat>,
    /// About how long the answer may be, in tokens; default 5000, at most 20000.
    #[serde(default)]
    max_tokens: Option<usize>,
}

/// Output of `rag_search`.
#[derive(Debug, Serialize, JsonSchema)]
struct RagSearchOutput {
    /// Best first.
    passages: Vec<PassageOutput>,
    /// Give this as `cursor` to go on; absent where there is nothing more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// What the threshold left out; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    below_threshold: Option<BelowThresholdWire>,
    /// What did not take part, or not fully.
    degraded: Vec<DegradedWire>,
    /// How much of the folder could be seen.
    index_state: IndexStateWire,
}

/// A passage found.
#[derive(Debug, Serialize, JsonSchema)]
struct PassageOutput {
    path: String,
    start_line: u32,
    end_line: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    heading_path: Vec<String>,
    score: f32,
    /// Whether the file is still as it was indexed: current, stale or deleted.
    freshness: &'static str,
    text: String,
    /// Where the same is said again; absent where it is not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    duplicates: Vec<DuplicateWire>,
    /// Everything else that is known; only in the detailed format.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    details: Option<Value>,
}

#[tool_router(router = search_tools, vis = "pub(super)")]
impl Tools {
    #[tool(
        description = "Search the indexed documents by words and by meaning. Returns the best passages with path, line \
                       range, headings, score and freshness, ready to cite. Read around one with rag_read.",
        annotations(title = "Search passages", read_only_hint = true, open_world_hint = false),
        output_schema = rmcp::handler::server::tool::schema_for_type::<RagSearchOutput>()
    )]
    async fn rag_search(&self, Parameters(input): Parameters<RagSearchInput>) -> CallToolResult {
        match self.found(input).await {
            Ok(result) => result,
            Err(error) => failure(&error),
        }
    }

    async fn found(&self, input: RagSearchInput) -> Result<CallToolResult, InstanceError> {
        let budget = byte_budget(input.max_tokens);
        let format = input.response_format.unwrap_or_default();
        let request = request_of(input)?;
        let (offset, limit) = (request.offset, request.limit);
        let (answered, links) = self
            .instance
            .run(move |instance| {
                let answered = AnswerWire::from(instance.search(&request)?);
                let links = links(instance, &answered.hits);
                Ok((answered, links))
            })
            .await?;
        let asked_in_full = answered.hits.len() == limit;
        let total = answered.hits.len();
        let passages = within_budget(answered.hits, format, budget);
        let shown = passages.len();
        // A cut page goes on where it was cut; a full one where it ends.
        let next_cursor =
            (shown < total || (asked_in_full && total > 0)).then(|| (offset + shown).to_string());
        let output = RagSearchOutput {
            next_cursor,
            below_threshold: answered.below_threshold,
            degraded: answered.degraded,
            index_state: answered.index_state,
            passages,
        };
        let mut blocks = vec![ContentBlock::text(rendered(&output, total))];
        blocks.extend(links.into_iter().map(ContentBlock::resource_link));
        Ok(answer(&output, blocks))
    }
}

fn request_of(input: RagSearchInput) -> Result<Request, InstanceError> {
    let offset = input.cursor.map(|cursor| {
        cursor
            .parse::<usize>()
            .map_err(|_| autorag_query::QueryError::Invalid {
                field: "cursor",
                message: format!(
                    "{cursor:?} is not a cursor; pass next_cursor of an earlier answer, such as \"10\""
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

/// As many hits as the budget holds, but at least one.
fn within_budget(hits: Vec<HitWire>, format: ResponseFormat, budget: usize) -> Vec<PassageOutput> {
    let mut passages = Vec::new();
    let mut spent = 0;
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
        spent += serde_json::to_string(&passage).map_or(0, |json| json.len());
        if spent > budget && !passages.is_empty() {
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

/// A link to each file that was hit.
fn links(instance: &Instance, hits: &[HitWire]) -> Vec<Resource> {
    let mut seen = HashSet::new();
    let first_of_each = hits.iter().filter(|hit| seen.insert(hit.document.key.as_str()));
    let linked = first_of_each.filter_map(|hit| {
        let path = instance.resolve(&DocumentKey::from(hit.document.key.as_str()))?;
        let title = hit
            .document
            .title
            .clone()
            .unwrap_or_else(|| hit.document.key.clone());
        Some(Resource::new(file_url(&path), hit.document.key.clone()).with_title(title))
    });
    linked.collect()
}

/// The answer as a model reads it.
fn rendered(output: &RagSearchOutput, total: usize) -> String {
    let mut text = String::new();
    if output.passages.is_empty() {
        let _ = match (&output.below_threshold, output.index_state.complete) {
            (Some(below), _) if below.passages > 0 => writeln!(
                text,
                "Nothing relevant: the best of {} passages found has a score of {:.2}, which is below the threshold.",
                below.passages, below.best_score
            ),
            (_, true) => writeln!(text, "Nothing found; every file of the folder was searched."),
            (_, false) => writeln!(
                text,
                "Nothing found so far, but the index is not complete; ask again shortly."
            ),
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
            let again = passage.duplicates.iter();
            let again: Vec<String> = again
                .map(|same| format!("{}:{}-{}", same.path, same.start_line, same.end_line))
                .collect();
            let _ = writeln!(text, "(the same in {})", again.join(", "));
        }
        if !passage.heading_path.is_empty() {
            let _ = writeln!(text, "{}", passage.heading_path.join(" › "));
        }
        let _ = writeln!(text, "\n{}\n", passage.text.trim_end());
    }
    if let Some(cursor) = &output.next_cursor {
        let cut = total - output.passages.len();
        let why = if cut > 0 {
            format!("{cut} more passages did not fit")
        } else {
            "more may follow".to_owned()
        };
        let _ = writeln!(
            text,
            "({why}: go on with cursor \"{cursor}\", or raise max_tokens)"
        );
    }
    let caveats = caveats(&output.degraded, &output.index_state);
    if !caveats.is_empty() {
        let _ = writeln!(text, "{caveats}");
    }
    if output.passages.is_empty() || !output.index_state.complete {
        text += &index_sentence(&output.index_state);
    }
    text
}
