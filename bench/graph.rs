//! `autorag-bench graph`

use std::io::Write;
use std::time::{Duration, Instant};

use autorag_store::bench::StandaloneVectors;
use clap::Args;
use hnsw_rs::hnsw::Hnsw;
use hnsw_rs::prelude::Distance;

use crate::clusters::Clusters;
use crate::exact_scan::{ExactScan, dot};
use crate::threads;
use crate::timing::Percentiles;

/// Hits per search.
const LIMIT: usize = 10;
/// hnsw_rs: M, the edges per node and layer.
const EDGES: usize = 16;
/// hnsw_rs: maximum number of layers.
const LAYERS: usize = 16;
/// hnsw_rs: beam width while building (efConstruction).
const BUILD_BEAM: usize = 128;
/// hnsw_rs: beam widths while searching (ef).
const SEARCH_BEAMS: [usize; 2] = [128, 640];

#[derive(Debug, Args)]
pub struct GraphBench {
    /// Number of vectors; all stay in memory as f32
    #[arg(long, default_value_t = 30_000)]
    vectors: usize,
    /// Number of equal vectors, like boilerplate in document collections
    #[arg(long, default_value_t = 0)]
    repeated: usize,
    /// Number of queries
    #[arg(long, default_value_t = 300)]
    queries: u64,
    /// Dimensions of a vector; the built-in model has 384
    #[arg(long, default_value_t = 384)]
    dimensions: usize,
}

impl GraphBench {
    /// Measures a flat search, the graph and hnsw_rs over the same vectors.
    ///
    /// # Errors
    /// When the vector file cannot be written or `out` is closed.
    pub fn run(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let count = self.vectors;
        let repeated = self.repeated.min(count);
        let mut clusters = Clusters::new(count as u64, self.dimensions);
        let mut vectors: Vec<Vec<f32>> = (0..count as u64).map(|number| clusters.vector(number)).collect();
        // Spread the equal vectors over the collection: every batch of the graph's build must meet some.
        for number in 0..repeated {
            vectors[number * count / repeated] = clusters.vector(0);
        }
        let queries: Vec<Vec<f32>> = (0..self.queries).map(|number| clusters.query(number)).collect();
        let exact = ExactScan::run(count as u64, &queries, LIMIT, |number| {
            vectors[number as usize].clone()
        });
        writeln!(
            out,
            "{count} vectors in nested clusters, {repeated} of them equal, {} dimensions, {} threads",
            self.dimensions,
            threads()
        )?;
        let mut measure = |name: &str, built: Duration, search: &dyn Fn(&[f32]) -> Vec<u64>| {
            let mut found = Vec::new();
            let times = Percentiles::of(&queries, |query| {
                found.push(search(query));
                Ok::<_, std::io::Error>(())
            })?;
            let recall = exact.recall(&queries, &found, |number| vectors[number as usize].clone());
            let built = built.as_secs_f64();
            writeln!(
                out,
                "{name:<18}built in {built:7.1} s   {times}   recall@{LIMIT} {recall:.3}"
            )
        };

        let folder = tempfile::tempdir()?;
        let mut index = StandaloneVectors::create(&folder.path().join("bench.vec"), self.dimensions)?;
        index.append(&vectors)?;
        let nearest = |index: &StandaloneVectors, query: &[f32]| -> Vec<u64> {
            let found = index.nearest(query, None, LIMIT);
            found.iter().map(|candidate| candidate.passage.0).collect()
        };
        measure("flat", Duration::ZERO, &|query| nearest(&index, query))?;
        let started = Instant::now();
        index.build_graph(threads());
        measure("graph", started.elapsed(), &|query| nearest(&index, query))?;

        let started = Instant::now();
        let hnsw = Hnsw::new(EDGES, count, LAYERS, BUILD_BEAM, CosineDistance);
        hnsw.parallel_insert(&vectors.iter().zip(0..).collect::<Vec<_>>());
        let built = started.elapsed();
        for beam in SEARCH_BEAMS {
            let search = |query: &[f32]| -> Vec<u64> {
                let found = hnsw.search(query, LIMIT, beam);
                found.iter().map(|neighbour| neighbour.d_id as u64).collect()
            };
            measure(&format!("hnsw_rs, ef {beam}"), built, &search)?;
        }
        Ok(())
    }
}

/// Cosine distance of unit vectors. The library's own panics on equal vectors, where rounding makes the
/// distance negative.
struct CosineDistance;

impl Distance<f32> for CosineDistance {
    fn eval(&self, one: &[f32], other: &[f32]) -> f32 {
        (1.0 - dot(one, other)).max(0.0)
    }
}
