//! The MCP server: five read-only tools, over stdio and at `/mcp`.
//!
//! Clients allow one to ten seconds for the handshake, so nothing here waits for the index. It is opened and filled in the
//! background, behind an [`InstanceHandle`], and each result reports the progress.

mod connector;
mod read;
mod schema;
mod search;
mod sources;
mod text;

use std::sync::Arc;

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::{CallToolResult, ContentBlock, Implementation, ServerCapabilities, ServerConfig};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, ServiceExt, tool_handler};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::config::ServerSettings;
use crate::hint::Interface;
use crate::instance_handle::{InstanceError, InstanceHandle};

/// Instructions for the client's model.
const INSTRUCTIONS: &str = "Searches folders of documents. Ask rag_search in plain words; it returns passages \
    with path, lines and freshness. Read the text around a hit with rag_read. rag_sources lists the indexed folders and the \
    progress of indexing. While index_state.complete is false, an empty result may mean \"not indexed yet\".";

/// The tools of one instance.
#[derive(Clone)]
pub struct Tools {
    instance: InstanceHandle,
    router: ToolRouter<Tools>,
}

impl Tools {
    fn new(instance: InstanceHandle) -> Tools {
        let mut router =
            Tools::connector_tools() + Tools::search_tools() + Tools::read_tools() + Tools::sources_tools();
        for route in router.map.values_mut() {
            schema::simplify(&mut route.attr);
        }
        Tools { instance, router }
    }
}

#[tool_handler(router = self.router)]
impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("autorag", env!("CARGO_PKG_VERSION")).with_title("autorag"))
            .with_instructions(INSTRUCTIONS)
    }
}

/// Serves MCP on standard input and output until the client closes them or `stop` is cancelled.
///
/// # Errors
/// When the handshake fails.
pub async fn over_stdio(instance: InstanceHandle, stop: CancellationToken) -> anyhow::Result<()> {
    let running = Tools::new(instance)
        .serve_with_ct(rmcp::transport::stdio(), stop)
        .await?;
    running.waiting().await?;
    Ok(())
}

/// The service at `/mcp`. Clients of older revisions get a session; revision 2026-07-28 has none.
pub fn over_http(
    instance: InstanceHandle,
    settings: &ServerSettings,
    stop: CancellationToken,
) -> StreamableHttpService<Tools, LocalSessionManager> {
    // http::guard checks Host and Origin, too. Checking here keeps the transport safe wherever it is mounted.
    let config = StreamableHttpServerConfig::default()
        .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"])
        .enforce_origin_validation()
        .with_max_request_body_bytes(settings.max_body_bytes)
        .with_cancellation_token(stop);
    let tools = Tools::new(instance);
    StreamableHttpService::new(move || Ok(tools.clone()), Arc::default(), config)
}

/// A result with structured content for programs and text for models.
fn success(structured: &impl Serialize, blocks: Vec<ContentBlock>) -> CallToolResult {
    let mut result = CallToolResult::success(blocks);
    match serde_json::to_value(structured) {
        Ok(value) => result.structured_content = Some(value),
        Err(error) => tracing::error!("could not serialize a result: {error}"),
    }
    result
}

/// An error that the model sees, with what to change. Protocol errors are for the client, and most clients hide them from the
/// model.
fn failure(error: &InstanceError) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(format!(
        "{}: {}",
        error.kind().code(),
        error.message(Interface::Mcp)
    ))])
}
