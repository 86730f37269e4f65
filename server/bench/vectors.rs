//! `autorag bench vectors`

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use autorag_store::{BareVectors, DocumentId, DocumentSet};

use super::clusters::Clusters;
use super::plain_scan::{plain_scan, recall};
use super::timing::{Percentiles, resident_mib};

/// Vectors made at a time.
const BATCH: u64 = 65_536;
/// Vectors asked for: ten for a reader, and as many as a hybrid search takes.
const LIMITS: [usize; 2] = [10, 200];
/// Queries before the clock starts.
const WARM_UP: usize = 20;
/// Of so many documents one is left by the filter.
const FILTER: u32 = 100;

/// What to search.
pub struct VectorsBench {
    /// How many vectors.
    pub vectors: u64,
    /// How many queries.
    pub queries: u64,
    /// Whether a graph is built and asked as well.
    pub graph: bool,
}

/// Makes vectors in clusters of clusters, writes them to a file in `folder`, and asks for the nearest: flat, under a filter, by a
/// graph if wanted, and by a plain scan of 32-bit values.
///
/// # Errors
/// When the file cannot be written or `out` is closed.
pub fn vectors(bench: &VectorsBench, folder: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let dimensions = autorag_embedder::Embedder::built_in()?.model().dimensions;
    let mut clusters = Clusters::new(bench.vectors, dimensions);
    let mut bare = BareVectors::create(&folder.join("1.vec"), dimensions)?;
    let started = Instant::now();
    for first in (0..bench.vectors).step_by(BATCH as usize) {
        let numbers = first..bench.vectors.min(first + BATCH);
        let made: Vec<Vec<f32>> = numbers.map(|number| clusters.vector(number)).collect();
        bare.append(&made)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    writeln!(
        out,
        "searching {} vectors of {dimensions} dimensions (made and written in {seconds:.1} s; in clusters of clusters)",
        bare.len()
    )?;
    let queries: Vec<Vec<f32>> = (0..bench.queries).map(|number| clusters.query(number)).collect();
    let few: DocumentSet = (0..bench.vectors as u32)
        .filter(|id| id % FILTER == 0)
        .map(DocumentId)
        .collect();
    let one: DocumentSet = [DocumentId(bench.vectors as u32 / 10)].into_iter().collect();
    let mut rows = Vec::new();
    ask(&bare, "flat", None, &queries, &mut rows, out)?;
    ask(
        &bare,
        "flat, 1 % by filter",
        Some(&few),
        &queries,
        &mut Vec::new(),
        out,
    )?;
    ask(
        &bare,
        "flat, one document",
        Some(&one),
        &queries,
        &mut Vec::new(),
        out,
    )?;
    memory(out)?;
    if bench.graph {
        let started = Instant::now();
        let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        bare.build_graph(threads);
        writeln!(
            out,
            "graph built in {:.1} s by {threads} threads",
            started.elapsed().as_secs_f64()
        )?;
        ask(&bare, "graph", None, &queries, &mut rows, out)?;
        memory(out)?;
    }
    let plain = plain_scan(&mut clusters, bench.vectors, &queries, LIMITS[0]);
    let took = plain.took.as_secs_f64() * 1e3;
    writeln!(out, "{:<32}p50 {took:7.2} ms", "plain scan of 32 bits")?;
    for (name, found) in rows {
        let share = recall(&found, &plain.nearest);
        writeln!(out, "{:<32}{share:.4}", format!("recall@{} of {name}", LIMITS[0]))?;
    }
    Ok(())
}

fn ask(
    bare: &BareVectors,
    name: &str,
    within: Option<&DocumentSet>,
    queries: &[Vec<f32>],
    rows: &mut Vec<(String, Vec<Vec<u64>>)>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    for limit in LIMITS {
        for query in queries.iter().take(WARM_UP) {
            bare.nearest(query, within, limit);
        }
        let mut found = Vec::new();
        let times = Percentiles::of(queries, |query| {
            let nearest = bare.nearest(query, within, limit);
            found.push(
                nearest
                    .iter()
                    .take(LIMITS[0])
                    .map(|candidate| candidate.passage.0)
                    .collect(),
            );
            Ok::<_, anyhow::Error>(())
        })?;
        writeln!(out, "{:<32}{times}", format!("{name}, best {limit}"))?;
        rows.push((format!("{name}, best {limit}"), found));
    }
    Ok(())
}

fn memory(out: &mut impl Write) -> std::io::Result<()> {
    match resident_mib() {
        Some((resident, _)) => writeln!(out, "memory {resident} MiB, mapped codes among it"),
        None => Ok(()),
    }
}
