//! autorag: self-hosted hybrid search over folders of documents, with a command line, HTTP and MCP.
//!
//! This is the outermost crate, and the only one that knows tokio, wire formats, settings and the environment. The libraries do
//! the work: `autorag-indexer` writes a store, and `autorag-query` searches it.

mod activity;
mod bench;
pub mod cli;
mod config;
mod data_dir;
mod error_kind;
mod hint;
mod http;
mod indexer_thread;
mod instance;
mod instance_handle;
mod jobs;
mod mcp;
mod model;
mod progress;
mod status;
mod telemetry;
mod wire;
