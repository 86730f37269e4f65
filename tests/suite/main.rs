//! End to end, through the real binary: temporary folders, free ports, no sleeping for luck.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail wherever it is surprised"
)]

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
#[allow(dead_code, reason = "the tests of the embedder look at its rows too")]
mod tiny_graph;
#[path = "../../embedder/golden/tiny_model.rs"]
#[allow(
    dead_code,
    reason = "the tests of the embedder write other kinds of numbers too"
)]
mod tiny_model;
mod torture;
mod two_processes;
mod upgrade;
