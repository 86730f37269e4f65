//! `autorag-bench vectors`

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use autorag_store::bench::StandaloneVectors;
use autorag_store::{DocumentId, DocumentSet};
use clap::Args;

use crate::clusters::Clusters;
use crate::exact_scan::ExactScan;
use crate::threads;
use crate::timing::{Percentiles, resident_mib};

/// Vectors generated and appended at a time.
const BATCH: u64 = 65_536;
/// Hits per search: a result page, and the candidates that a hybrid search fetches.
const LIMITS: [usize; 2] = [10, 200];
/// Number of unmeasured queries that warm the caches first.
const WARM_UP: usize = 20;
/// The filter keeps one document in this many.
const FILTER: u32 = 100;

#[derive(Debug, Args)]
pub struct VectorsBench {
    /// Number of vectors
    #[arg(long, default_value_t = 1_000_000)]
    vectors: u32,
    /// Number of queries
    #[arg(long, default_value_t = 200)]
    queries: u64,
    /// Dimensions of a vector; the built-in model has 384
    #[arg(long, default_value_t = 384)]
    dimensions: usize,
    /// Build the graph as well (one or two minutes per million vectors) and search it
    #[arg(long)]
    graph: bool,
    /// Folder for the vector file [default: a temporary folder]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl VectorsBench {
    /// Writes vectors to a file and measures flat, filtered and graph search, then an exact f32 scan.
    ///
    /// # Errors
    /// When the file cannot be written or `out` is closed.
    pub fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let temporary = tempfile::tempdir()?;
        let folder = self.folder.as_deref().unwrap_or(temporary.path());
        let count = u64::from(self.vectors);
        let mut clusters = Clusters::new(count, self.dimensions);
        let mut index = StandaloneVectors::create(&folder.join("bench.vec"), self.dimensions)?;
        let started = Instant::now();
        for first in (0..count).step_by(BATCH as usize) {
            let numbers = first..count.min(first + BATCH);
            let vectors: Vec<Vec<f32>> = numbers.map(|number| clusters.vector(number)).collect();
            index.append(&vectors)?;
        }
        writeln!(
            out,
            "{count} vectors in nested clusters, {} dimensions, made and written in {:.1} s",
            self.dimensions,
            started.elapsed().as_secs_f64()
        )?;
        let queries: Vec<Vec<f32>> = (0..self.queries).map(|number| clusters.query(number)).collect();
        let few: DocumentSet = (0..self.vectors)
            .filter(|id| id % FILTER == 0)
            .map(DocumentId)
            .collect();
        let one: DocumentSet = [DocumentId(self.vectors / 10)].into_iter().collect();
        let mut results = search(&index, "flat", None, &queries, out)?;
        search(&index, "flat, filter keeps 1 %", Some(&few), &queries, out)?;
        search(&index, "flat, filter keeps 1 document", Some(&one), &queries, out)?;
        print_memory(out)?;
        if self.graph {
            let started = Instant::now();
            index.build_graph(threads());
            let seconds = started.elapsed().as_secs_f64();
            writeln!(out, "graph built in {seconds:.1} s on {} threads", threads())?;
            results.extend(search(&index, "graph", None, &queries, out)?);
            print_memory(out)?;
        }
        let exact = ExactScan::run(count, &queries, LIMITS[0], |number| clusters.vector(number));
        let milliseconds = exact.median.as_secs_f64() * 1e3;
        writeln!(out, "{:<40}p50 {milliseconds:7.2} ms", "exact f32 scan")?;
        for (name, found) in results {
            let recall = exact.recall(&queries, &found, |number| clusters.vector(number));
            writeln!(out, "{:<40}{recall:.4}", format!("recall@{}, {name}", LIMITS[0]))?;
        }
        Ok(())
    }
}

/// The name of a measurement, and the vectors found for each query.
type Results = Vec<(String, Vec<Vec<u64>>)>;

/// Prints the latency of each limit.
fn search(
    index: &StandaloneVectors,
    name: &str,
    within: Option<&DocumentSet>,
    queries: &[Vec<f32>],
    out: &mut impl Write,
) -> anyhow::Result<Results> {
    let mut results = Results::new();
    for limit in LIMITS {
        for query in queries.iter().take(WARM_UP) {
            index.nearest(query, within, limit);
        }
        let mut found = Vec::new();
        let times = Percentiles::of(queries, |query| {
            let nearest = index.nearest(query, within, limit);
            found.push(nearest.iter().map(|candidate| candidate.passage.0).collect());
            Ok::<_, anyhow::Error>(())
        })?;
        let name = format!("{name}, top {limit}");
        writeln!(out, "{name:<40}{times}")?;
        results.push((name, found));
    }
    Ok(results)
}

fn print_memory(out: &mut impl Write) -> std::io::Result<()> {
    match resident_mib() {
        Some((resident, _)) => writeln!(out, "memory {resident} MiB, including mapped codes"),
        None => Ok(()),
    }
}
