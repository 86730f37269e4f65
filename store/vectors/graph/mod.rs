//! A navigable graph over the vectors, which finds the nearest of several millions without looking at most of them. An
//! accelerator and never the truth: built from vectors that are there, rebuilt when it has fallen behind, left out under a filter.
//!
//! One layer of links as in HNSW and Vamana, with a sample of the rows to begin from in place of upper layers. Rows are compared
//! by their 8-bit codes, which the graph does not hold a second time.

mod accelerator;
mod build;
mod entries;
mod links;
mod saved;
mod search;
#[cfg(test)]
mod tests;
mod twins;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub(crate) use accelerator::BackgroundGraph;
pub(crate) use saved::path_of;

use entries::Entries;
use links::Links;
use search::{Visited, search};
use twins::Twins;

use super::{SignQuery, Vectors, quantize};

/// The sample to begin from, in square roots of the number of rows.
const SAMPLE: usize = 8;
/// Places that a search begins from.
const BEGINNINGS: usize = 64;
/// Rows that a search keeps in view at least. Vectors of text lie in crowds, which a search that keeps fewer does not get out of …
const FEWEST_KEPT: usize = 640;
/// … and how many for each that is asked for.
const KEPT: usize = 2;

/// A graph over the first rows of a generation.
pub(crate) struct Graph {
    /// Those it was built from, or a later state of them.
    vectors: Arc<Vectors>,
    entries: Entries,
    links: Links,
    twins: Twins,
}

impl Graph {
    /// Builds one over all of `vectors`; none if it is told to stop before it is done.
    pub(crate) fn build(vectors: &Arc<Vectors>, threads: usize, stop: &AtomicBool) -> Option<Graph> {
        let (twins, mut order) = Twins::among(vectors);
        // In the order of documents, rows would be linked to those of their own document alone.
        shuffle(&mut order);
        let sample = (order.len().isqrt() * SAMPLE).min(order.len());
        let entries = Entries::new(vectors, order[..sample].to_vec());
        let links = build::build(vectors, &order, &entries, threads, stop)?;
        Some(Graph {
            vectors: Arc::clone(vectors),
            entries,
            links,
            twins,
        })
    }

    /// How many rows it knows: the first so many.
    pub(crate) fn rows(&self) -> usize {
        self.links.rows()
    }

    /// Whether it is of the same generation as `vectors`, and not ahead of them.
    pub(crate) fn fits(&self, vectors: &Vectors) -> bool {
        self.vectors.is_of_generation(vectors) && self.rows() <= vectors.len
    }

    /// About the `count` nearest rows to `query` of those that are `wanted`.
    pub(crate) fn nearest(&self, query: &[f32], count: usize, wanted: impl Fn(u32) -> bool) -> Vec<u32> {
        let (_, codes) = quantize(query);
        let from = self
            .entries
            .nearest(&SignQuery::new(query), usize::MAX, BEGINNINGS);
        let kept = count.saturating_mul(KEPT).max(FEWEST_KEPT);
        let links = |row, near: &mut Vec<u32>| near.extend_from_slice(self.links.of(row));
        let found = search(&self.vectors, &codes, &from, kept, &mut Visited::new(), links);
        let rows = found.iter().flat_map(|found| self.twins.with(found.row));
        rows.filter(|&row| wanted(row)).take(count).collect()
    }
}

/// Into an order that is always the same and has nothing to do with the one before.
fn shuffle(rows: &mut [u32]) {
    let mut state = 1u64;
    for last in (1..rows.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        rows.swap(last, (state >> 33) as usize % (last + 1));
    }
}
