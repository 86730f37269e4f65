//! autorag: self-hosted hybrid retrieval over a folder, by command line, HTTP and MCP.
//!
//! This crate is the outermost ring: the only one that knows tokio, wire types, configuration and the environment.
//! What it serves is made by the libraries: `autorag-indexer` writes a store, `autorag-query` reads it.

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
