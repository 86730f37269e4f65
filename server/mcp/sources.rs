//! `rag_sources`: the indexed folders and the progress.

use std::fmt::Write;

use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::{tool, tool_router};

use super::text::index_sentence;
use super::{Tools, failure, success};
use crate::wire::StatusWire;

#[tool_router(router = sources_tools, vis = "pub(super)")]
impl Tools {
    #[tool(
        description = "List the indexed folders, with the number of documents, passages and embeddings, and whether the index \
                       is complete.",
        annotations(title = "List sources", read_only_hint = true, open_world_hint = false),
        output_schema = rmcp::handler::server::tool::schema_for_type::<StatusWire>()
    )]
    async fn rag_sources(&self) -> CallToolResult {
        match self.instance.run(|instance| instance.status()).await {
            Ok(status) => {
                let status = StatusWire::from(status);
                success(&status, vec![ContentBlock::text(render(&status))])
            }
            Err(error) => failure(&error),
        }
    }
}

fn render(status: &StatusWire) -> String {
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
            "Its provider has been unavailable since {}: {}. During the outage, searches use keywords only.",
            outage.since, outage.reason
        );
    }
    text
}
