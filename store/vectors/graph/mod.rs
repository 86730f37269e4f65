//! A navigable graph over the vectors, to search several millions without scanning them.
//!
//! The graph only speeds up searches without a filter. It is built from existing vectors, and rebuilt after
//! many were added.
//!
//! It has a single layer of edges, like Vamana (Subramanya et al., "DiskANN", 2019). A sample of entry points
//! replaces HNSW's upper layers. Rows are compared by their int8 codes, which the graph does not copy.

mod adjacency;
mod background;
mod build;
mod duplicates;
mod entry_points;
mod file;
mod search;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub(crate) use background::BackgroundGraph;
pub(crate) use file::path_of;

use adjacency::Adjacency;
use duplicates::DuplicateRows;
use entry_points::EntryPoints;
use search::{VisitedSet, beam_search};

use super::{SignBitsQuery, Vectors, quantize};

/// Size of the sample of entry points, as a multiple of the square root of the number of rows.
const SAMPLE_FACTOR: usize = 8;
/// Entry points per search.
const ENTRY_POINTS: usize = 64;
/// Minimum beam width (ef). Text vectors cluster; a narrower beam stays in one cluster.
const MIN_BEAM_WIDTH: usize = 640;
/// Beam width per requested row.
const BEAM_FACTOR: usize = 2;

/// A graph over the first rows of a generation.
pub(crate) struct Graph {
    /// The vectors that the graph was built from, or a later state of them.
    vectors: Arc<Vectors>,
    entry_points: EntryPoints,
    adjacency: Adjacency,
    duplicates: DuplicateRows,
}

impl Graph {
    /// Builds a graph over all of `vectors`. `None` if `stop` is set before the graph is complete.
    pub(crate) fn build(vectors: &Arc<Vectors>, threads: usize, stop: &AtomicBool) -> Option<Graph> {
        let (duplicates, mut order) = DuplicateRows::find(vectors);
        // In the order of documents, a new row would find only rows of its own document. The seed is fixed, but
        // the graph still differs from build to build, because threads insert concurrently.
        fastrand::Rng::with_seed(1).shuffle(&mut order);
        let sample = (order.len().isqrt() * SAMPLE_FACTOR).min(order.len());
        let entry_points = EntryPoints::new(vectors, order[..sample].to_vec());
        let adjacency = build::build(vectors, &order, &entry_points, threads, stop)?;
        Some(Graph {
            vectors: Arc::clone(vectors),
            entry_points,
            adjacency,
            duplicates,
        })
    }

    /// Number of rows in the graph. Later rows of the generation are not in it.
    pub(crate) fn rows(&self) -> usize {
        self.adjacency.rows()
    }

    /// Whether the graph can search `vectors`: they have the same generation, and all rows of the graph.
    pub(crate) fn fits(&self, vectors: &Vectors) -> bool {
        self.vectors.has_same_generation(vectors) && self.rows() <= vectors.len
    }

    /// Approximately the `count` nearest rows to `query` that pass `filter`, nearest first.
    pub(crate) fn nearest(&self, query: &[f32], count: usize, filter: impl Fn(u32) -> bool) -> Vec<u32> {
        let (_, codes) = quantize(query);
        let start = self
            .entry_points
            .nearest(&SignBitsQuery::new(query), usize::MAX, ENTRY_POINTS);
        let beam_width = count.saturating_mul(BEAM_FACTOR).max(MIN_BEAM_WIDTH);
        let neighbors = |row, near: &mut Vec<u32>| near.extend_from_slice(self.adjacency.neighbors(row));
        let mut visited = VisitedSet::new();
        let found = beam_search(&self.vectors, &codes, &start, beam_width, &mut visited, neighbors);
        let rows = found
            .iter()
            .flat_map(|found| self.duplicates.with_duplicates(found.row));
        rows.filter(|&row| filter(row)).take(count).collect()
    }
}
