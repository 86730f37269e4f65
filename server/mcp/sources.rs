//! `rag_sources`: what is indexed, and how far.

use std::fmt::Write;

use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::{tool, tool_router};

use super::text::index_sentence;
use super::{Tools, answer, failure};
use crate::wire::StatusWire;

#[tool_router(router = sources_tools, vis = "pub(super)")]
impl Tools {
    #[tool(
        description = "List the indexed folders with counts of documents, passages and vectors, and whether the index is \
                       complete.",
        annotations(title = "What is indexed", read_only_hint = true, open_world_hint = false),
        output_schema = rmcp::handler::server::tool::schema_for_type::<StatusWire>()
    )]
    async fn rag_sources(&self) -> CallToolResult {
        match self.instance.run(|instance| instance.status()).await {
            Ok(status) => {
                let status = StatusWire::from(status);
                answer(&status, vec![ContentBlock::text(rendered(&status))])
            }
            Err(error) => failure(&error),
        }
    }
}

fn rendered(status: &StatusWire) -> String {
    let mut text = String::from("| name | folder |\n|---|---|\n");
    for source in &status.sources {
        let _ = writeln!(
            text,
            "| {} | {} |",
            source.name.as_deref().unwrap_or("–"),
            source.path
        );
    }
    let _ = writeln!(text, "\n{}", index_sentence(&status.index_state));
    let _ = writeln!(
        text,
        "Model {} ({} dimensions).",
        status.model.id, status.model.dimensions
    );
    if let Some(outage) = &status.model.outage {
        let _ = writeln!(
            text,
            "Its provider is not available since {}: {}. Searches are by words alone until it does.",
            outage.since, outage.reason
        );
    }
    text
}
