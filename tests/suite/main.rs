//! End-to-end tests through the real binary, with temporary folders and free ports.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod architecture;
mod cli;
mod damage;
mod doctor;
mod fastembed;
mod formats;
mod harness;
mod hostile;
mod http;
mod indexing;
mod jobs;
mod licences;
mod live;
mod mcp;
mod model;
mod page;
mod provider;
mod quality;
mod random;
mod remote_embedder;
mod remote_model;
mod rerank;
mod results;
mod shape;
#[cfg(feature = "fastembed")]
#[path = "../../embedder/golden/tiny_graph.rs"]
#[allow(dead_code, reason = "the embedder's tests use the rest")]
mod tiny_graph;
#[path = "../../embedder/golden/tiny_model.rs"]
#[allow(dead_code, reason = "the embedder's tests use the rest")]
mod tiny_model;
mod torture;
mod two_processes;
mod upgrade;
