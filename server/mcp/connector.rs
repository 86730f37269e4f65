//! `search` and `fetch`: the two tools that ChatGPT connectors and deep research agents expect, one string in each.

use autorag_query::{DocumentText, Hit, LineRange, QueryError, Request};
use autorag_store::DocumentKey;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{MAX_TOKENS, byte_budget, file_url};
use super::{Tools, answer, failure};
use crate::instance::Instance;

/// Lines shown before and after a passage that is fetched by its id.
const CONTEXT_LINES: u32 = 40;

/// Input of `search`.
#[derive(Debug, Deserialize, JsonSchema)]
struct SearchInput {
    /// What to look for, in plain words.
    query: String,
}

/// Output of `search`.
#[derive(Debug, Serialize, JsonSchema)]
struct SearchOutput {
    /// Best first.
    results: Vec<SearchResult>,
}

/// A passage found.
#[derive(Debug, Serialize, JsonSchema)]
struct SearchResult {
    /// Give this to `fetch`.
    id: String,
    /// Title of the document and the heading the passage is under.
    title: String,
    /// The file.
    url: String,
}

/// Input of `fetch`.
#[derive(Debug, Deserialize, JsonSchema)]
struct FetchInput {
    /// An id that `search` gave, or a document's path.
    id: String,
}

/// Output of `fetch`.
#[derive(Debug, Serialize, JsonSchema)]
struct FetchOutput {
    /// The id that was asked for.
    id: String,
    /// Title of the document.
    title: String,
    /// Its text, or the lines that `metadata` names.
    text: String,
    /// The file.
    url: String,
    /// Where the text stands in the document.
    metadata: FetchMetadata,
}

/// Where a fetched text stands.
#[derive(Debug, Serialize, JsonSchema)]
struct FetchMetadata {
    path: String,
    start_line: u32,
    end_line: u32,
    total_lines: u32,
    /// Whether this is the whole document; rag_read reads the rest.
    whole: bool,
    /// Whether the file is still as it was indexed: current, stale or deleted.
    freshness: &'static str,
    content_hash: String,
}

#[tool_router(router = connector_tools, vis = "pub(super)")]
impl Tools {
    #[tool(
        description = "Search the indexed documents. Returns ids for fetch. (rag_search returns the passages themselves.)",
        annotations(title = "Search documents", read_only_hint = true, open_world_hint = false),
        output_schema = rmcp::handler::server::tool::schema_for_type::<SearchOutput>()
    )]
    async fn search(&self, Parameters(input): Parameters<SearchInput>) -> CallToolResult {
        let found = self.instance.run(move |instance| {
            let answer = instance.search(&Request::new(input.query))?;
            Ok(SearchOutput {
                results: answer.hits.iter().map(|hit| result(instance, hit)).collect(),
            })
        });
        match found.await {
            Ok(output) => as_json(&output),
            Err(error) => failure(&error),
        }
    }

    #[tool(
        description = "Fetch the text of a document, or of the part around a search result, by its id.",
        annotations(title = "Fetch a document", read_only_hint = true, open_world_hint = false),
        output_schema = rmcp::handler::server::tool::schema_for_type::<FetchOutput>()
    )]
    async fn fetch(&self, Parameters(input): Parameters<FetchInput>) -> CallToolResult {
        match self
            .instance
            .run(move |instance| fetched(instance, input.id))
            .await
        {
            Ok(output) => as_json(&output),
            Err(error) => failure(&error),
        }
    }
}

/// The contract wants the one text item to be the structured content, serialised.
fn as_json(output: &impl Serialize) -> CallToolResult {
    let text = serde_json::to_string(output).unwrap_or_default();
    answer(output, vec![ContentBlock::text(text)])
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

/// Reads what an id names: a passage with lines around it, or a document, as far as an answer may be long.
fn fetched(instance: &Instance, id: String) -> Result<FetchOutput, QueryError> {
    // A path may contain `#L` itself, so the whole id is tried first.
    let read = match (instance.read(&id, LineRange::default()), lines_of(&id)) {
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
        (read, _) => read,
    }?;
    let DocumentText {
        document,
        text,
        start_line,
        total_lines,
        freshness,
        ..
    } = read;
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

/// As many whole lines of `text` as fit in `bytes`; a part of the first where not even that fits.
pub(super) fn whole_lines(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let cut = &text[..text.floor_char_boundary(bytes)];
    cut.rfind('\n').map_or(cut, |end| &cut[..=end])
}

/// Splits `guide/a.md#L3-L9`.
fn lines_of(id: &str) -> Option<(&str, u32, u32)> {
    let (path, lines) = id.rsplit_once("#L")?;
    let (first, last) = lines.split_once("-L")?;
    Some((path, first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_carry_lines() {
        assert_eq!(lines_of("guide/a.md#L3-L9"), Some(("guide/a.md", 3, 9)));
        assert_eq!(lines_of("a#L1.md#L3-L9"), Some(("a#L1.md", 3, 9)));
        assert_eq!(lines_of("guide/a.md"), None);
        assert_eq!(lines_of("guide/a.md#Lx-L9"), None);
    }

    #[test]
    fn cuts_at_lines() {
        assert_eq!(whole_lines("ab\ncd\nef", 100), "ab\ncd\nef");
        assert_eq!(whole_lines("ab\ncd\nef", 7), "ab\ncd\n");
        assert_eq!(whole_lines("äöü", 3), "ä");
    }
}
