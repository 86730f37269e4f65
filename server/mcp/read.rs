//! `rag_read`: lines of a document, numbered.

use std::fmt::Write;

use autorag_query::{DocumentText, LineRange};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::connector::whole_lines;
use super::text::byte_budget;
use super::{Tools, answer, failure};

/// Input of `rag_read`.
#[derive(Debug, Deserialize, JsonSchema)]
struct RagReadInput {
    /// The document's path, as rag_search gives it.
    path: String,
    /// First line, from 1; default 1.
    #[serde(default)]
    start_line: Option<u32>,
    /// Last line, included; default the document's last.
    #[serde(default)]
    end_line: Option<u32>,
    /// About how long the answer may be, in tokens; default 5000, at most 20000.
    #[serde(default)]
    max_tokens: Option<usize>,
}

/// Output of `rag_read`.
#[derive(Debug, Serialize, JsonSchema)]
struct RagReadOutput {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    start_line: u32,
    end_line: u32,
    total_lines: u32,
    /// Where to go on, where the answer ends before the lines asked for do.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_start_line: Option<u32>,
    /// Whether the file is still as it was indexed: current, stale or deleted.
    freshness: &'static str,
    content_hash: String,
    /// The lines, each after its number and a tab.
    text: String,
}

#[tool_router(router = read_tools, vis = "pub(super)")]
impl Tools {
    #[tool(
        description = "Read a document, or a range of its lines, with line numbers. Long ones come in parts: go on at \
                       next_start_line.",
        annotations(title = "Read a document", read_only_hint = true, open_world_hint = false),
        output_schema = rmcp::handler::server::tool::schema_for_type::<RagReadOutput>()
    )]
    async fn rag_read(&self, Parameters(input): Parameters<RagReadInput>) -> CallToolResult {
        let range = LineRange {
            start: input.start_line,
            end: input.end_line,
        };
        let budget = byte_budget(input.max_tokens);
        let path = input.path;
        match self
            .instance
            .run(move |instance| instance.read(&path, range))
            .await
        {
            Ok(read) => {
                let output = numbered(&read, budget);
                answer(&output, vec![ContentBlock::text(rendered(&output))])
            }
            Err(error) => failure(&error),
        }
    }
}

fn numbered(read: &DocumentText, budget: usize) -> RagReadOutput {
    let shown = whole_lines(&read.text, budget);
    let mut text = String::with_capacity(shown.len() * 5 / 4);
    let mut line = read.start_line;
    for content in shown.lines() {
        let _ = writeln!(text, "{line}\t{content}");
        line += 1;
    }
    let end_line = line.saturating_sub(1);
    RagReadOutput {
        path: read.document.key.to_string(),
        title: read.document.title.clone(),
        start_line: read.start_line,
        end_line,
        total_lines: read.total_lines,
        next_start_line: (end_line < read.end_line).then_some(end_line + 1),
        freshness: read.freshness.as_str(),
        content_hash: read.document.source_hash.to_string(),
        text,
    }
}

fn rendered(output: &RagReadOutput) -> String {
    let RagReadOutput {
        path,
        start_line,
        end_line,
        total_lines,
        freshness,
        ..
    } = output;
    let mut text = format!(
        "{path}, lines {start_line} to {end_line} of {total_lines} ({freshness})\n\n{}",
        output.text
    );
    if let Some(next) = output.next_start_line {
        let _ = writeln!(text, "\n(the answer was full: go on with start_line {next})");
    }
    text
}
