//! `rag_read`: numbered lines of a document.

use std::fmt::Write;

use autorag_query::{DocumentText, LineRange};
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::{tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::connector::whole_lines;
use super::text::byte_budget;
use super::{Tools, failure, success};

/// Input of `rag_read`.
#[derive(Debug, Deserialize, JsonSchema)]
struct RagReadInput {
    /// Path of the document, from rag_search.
    path: String,
    /// First line, from 1. Default: 1.
    #[serde(default)]
    start_line: Option<u32>,
    /// Last line, inclusive. Default: the last line of the document.
    #[serde(default)]
    end_line: Option<u32>,
    /// Approximate limit of the result in tokens, at most 20000. Default: 5000.
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
    /// Pass as start_line to read on. Absent if all requested lines are included.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_start_line: Option<u32>,
    /// State of the file compared with the index: current, stale (changed) or deleted.
    freshness: &'static str,
    content_hash: String,
    /// The lines, each with its number and a tab in front.
    text: String,
}

#[tool_router(router = read_tools, vis = "pub(super)")]
impl Tools {
    #[tool(
        description = "Read a document, or a range of its lines, with line numbers. Long documents are returned in parts: \
                       continue at next_start_line.",
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
            Ok(lines) => {
                let output = number_lines(&lines, budget);
                success(&output, vec![ContentBlock::text(render(&output))])
            }
            Err(error) => failure(&error),
        }
    }
}

/// As many numbered lines as fit in `budget` bytes.
fn number_lines(lines: &DocumentText, budget: usize) -> RagReadOutput {
    let included = whole_lines(&lines.text, budget);
    let mut text = String::with_capacity(included.len() * 5 / 4);
    let mut line = lines.start_line;
    for content in included.lines() {
        let _ = writeln!(text, "{line}\t{content}");
        line += 1;
    }
    let end_line = line.saturating_sub(1);
    RagReadOutput {
        path: lines.document.key.to_string(),
        title: lines.document.title.clone(),
        start_line: lines.start_line,
        end_line,
        total_lines: lines.total_lines,
        next_start_line: (end_line < lines.end_line).then_some(end_line + 1),
        freshness: lines.freshness.as_str(),
        content_hash: lines.document.source_hash.to_string(),
        text,
    }
}

fn render(output: &RagReadOutput) -> String {
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
        let _ = writeln!(text, "\n(the limit was reached: continue with start_line {next})");
    }
    text
}
