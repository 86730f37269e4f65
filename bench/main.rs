//! Benchmarks of vector search: `vectors` by size and filter, `graph` beside hnsw_rs. See README.md.

mod clusters;
mod exact_scan;
mod graph;
// Shared with `autorag bench`, which is a binary and exports nothing.
#[path = "../server/bench/timing.rs"]
mod timing;
mod vectors;

use clap::Parser;

/// Benchmark vector search on synthetic vectors
#[derive(Debug, Parser)]
#[command(name = "autorag-bench")]
enum Command {
    /// Measure latency, memory and recall of vector search alone, with and without a filter
    Vectors(vectors::VectorsBench),
    /// Compare the graph with hnsw_rs: build time, latency and recall
    Graph(graph::GraphBench),
}

fn main() -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match Command::parse() {
        Command::Vectors(bench) => bench.run(&mut out),
        Command::Graph(bench) => bench.run(&mut out),
    }
}

/// All cores.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
