//! `search` and `fetch`: the two tools that ChatGPT connectors and deep research agents require. Each takes one string.

use autorag_query::{DocumentText, Hit, LineRange, QueryError, Request};
use autorag_store::DocumentKey;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{MAX_TOKENS, byte_budget, file_url};
use super::{Tools, failure, success};
use crate::instance::Instance;

/// Lines included before and after a fetched passage.
const CONTEXT_LINES: u32 = 40;

/// Input of `search`.
#[derive(Debug, Deserialize, JsonSchema)]
struct SearchInput {
    /// The question, in plain words.
    query: String,
}

/// Output of `search`.
#[derive(Debug, Serialize, JsonSchema)]
struct SearchOutput {
    /// Results, best first.
    results: Vec<SearchResult>,
}

/// A passage.
#[derive(Debug, Serialize, JsonSchema)]
struct SearchResult {
    /// Pass this to `fetch`.
    id: String,
    /// Title of the document, and the heading above the passage.
    title: String,
    /// URL of the file.
    url: String,
}

/// Input of `fetch`.
#[derive(Debug, Deserialize, JsonSchema)]
struct FetchInput {
    /// An id from `search`, or the path of a document.
    id: String,
}

/// Output of `fetch`.
#[derive(Debug, Serialize, JsonSchema)]
struct FetchOutput {
    /// The requested id.
    id: String,
    /// Title of the document.
    title: String,
    /// Text of the document, or the lines given in `metadata`.
    text: String,
    /// URL of the file.
    url: String,
    /// Location of the text in the document.
    metadata: FetchMetadata,
}

/// Location of a fetched text.
#[derive(Debug, Serialize, JsonSchema)]
struct FetchMetadata {
    path: String,
    start_line: u32,
    end_line: u32,
    total_lines: u32,
    /// True if the text is the whole document. If not, read more with rag_read.
    whole: bool,
    /// State of the file compared with the index: current, stale (changed) or deleted.
    freshness: &'static str,
    content_hash: String,
}

#[tool_router(router = connector_tools, vis = "pub(super)")]
impl Tools {
    #[tool(
        description = "Search the indexed documents. Returns ids for fetch. (rag_search returns the text of passages.)",
        annotations(title = "Search documents", read_only_hint = true, open_world_hint = false),
        output_schema = rmcp::handler::server::tool::schema_for_type::<SearchOutput>()
    )]
    async fn search(&self, Parameters(input): Parameters<SearchInput>) -> CallToolResult {
        let search = self.instance.run(move |instance| {
            let answer = instance.search(&Request::new(input.query))?;
            Ok(SearchOutput {
                results: answer.hits.iter().map(|hit| result(instance, hit)).collect(),
            })
        });
        match search.await {
            Ok(output) => as_json(&output),
            Err(error) => failure(&error),
        }
    }

    #[tool(
        description = "Fetch the text of a document, or the text around a search result, by its id.",
        annotations(title = "Fetch a document", read_only_hint = true, open_world_hint = false),
        output_schema = rmcp::handler::server::tool::schema_for_type::<FetchOutput>()
    )]
    async fn fetch(&self, Parameters(input): Parameters<FetchInput>) -> CallToolResult {
        match self.instance.run(move |instance| fetch(instance, input.id)).await {
            Ok(output) => as_json(&output),
            Err(error) => failure(&error),
        }
    }
}

/// A result whose only text block is the structured content as JSON, as the connector contract requires.
fn as_json(output: &impl Serialize) -> CallToolResult {
    let text = serde_json::to_string(output).unwrap_or_default();
    success(output, vec![ContentBlock::text(text)])
}

fn result(instance: &Instance, hit: &Hit) -> SearchResult {
    let document = &hit.document;
    let name = document.title.as_deref().unwrap_or(document.key.as_str());
    let title = match hit.passage.heading_path.last() {
        Some(heading) if heading != name => format!("{name} › {heading}"),
        _ => name.to_owned(),
    };
    let span = hit.passage.span;
    let id = format!("{}#L{}-L{}", document.key, span.start_line, span.end_line);
    SearchResult {
        id,
        title,
        url: url_of(instance, &document.key),
    }
}

fn url_of(instance: &Instance, key: &DocumentKey) -> String {
    instance
        .resolve(key)
        .map_or_else(|| key.to_string(), |path| file_url(&path))
}

/// Reads the passage with lines around it, or the document, that an id names. The text is truncated to the limit of a result.
fn fetch(instance: &Instance, id: String) -> Result<FetchOutput, QueryError> {
    // A path may contain `#L`, so try the whole id as a path first.
    let document_text = match (instance.read(&id, LineRange::default()), lines_of(&id)) {
        (
            Err(QueryError::NoSuchDocument { .. } | QueryError::NotIndexedYet { .. }),
            Some((path, first, last)),
        ) => {
            let start = first.saturating_sub(CONTEXT_LINES).max(1);
            let range = LineRange {
                start: Some(start),
                end: Some(last.saturating_add(CONTEXT_LINES)),
            };
            instance.read(path, range)
        }
        (whole, _) => whole,
    }?;
    let DocumentText {
        document,
        text,
        start_line,
        total_lines,
        freshness,
        ..
    } = document_text;
    let text = whole_lines(&text, byte_budget(Some(MAX_TOKENS)));
    let end_line = (start_line + text.lines().count() as u32).saturating_sub(1);
    Ok(FetchOutput {
        id,
        title: document.title.clone().unwrap_or_else(|| document.key.to_string()),
        url: url_of(instance, &document.key),
        metadata: FetchMetadata {
            path: document.key.to_string(),
            start_line,
            end_line,
            total_lines,
            whole: start_line == 1 && end_line == total_lines,
            freshness: freshness.as_str(),
            content_hash: document.source_hash.to_string(),
        },
        text: text.to_owned(),
    })
}

/// As many whole lines of `text` as fit in `bytes`, or a part of the first line if it does not fit.
pub(super) fn whole_lines(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let cut = &text[..text.floor_char_boundary(bytes)];
    cut.rfind('\n').map_or(cut, |end| &cut[..=end])
}

/// Splits an id such as `guide/a.md#L3-L9` into path, first and last line.
fn lines_of(id: &str) -> Option<(&str, u32, u32)> {
    let (path, lines) = id.rsplit_once("#L")?;
    let (first, last) = lines.split_once("-L")?;
    Some((path, first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_split_into_path_and_lines() {
        assert_eq!(lines_of("guide/a.md#L3-L9"), Some(("guide/a.md", 3, 9)));
        assert_eq!(lines_of("a#L1.md#L3-L9"), Some(("a#L1.md", 3, 9)));
        assert_eq!(lines_of("guide/a.md"), None);
        assert_eq!(lines_of("guide/a.md#Lx-L9"), None);
    }

    #[test]
    fn text_is_cut_at_line_ends() {
        assert_eq!(whole_lines("ab\ncd\nef", 100), "ab\ncd\nef");
        assert_eq!(whole_lines("ab\ncd\nef", 7), "ab\ncd\n");
        assert_eq!(whole_lines("äöü", 3), "ä");
    }
}
