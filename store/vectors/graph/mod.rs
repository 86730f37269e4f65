//! A navigable graph over the vectors (HNSW), which finds the nearest of several millions without looking at most of them. An
//! accelerator and never the truth: built from vectors that are there, rebuilt when it has fallen behind, left out under a filter.

mod accelerator;
mod saved;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hnsw_rs::hnsw::Hnsw;
use hnsw_rs::prelude::Distance;

pub(crate) use accelerator::Accelerator;
pub(crate) use saved::path_of;

use super::{Vectors, kernels, quantize};

/// Neighbours of a vector.
const NEIGHBOURS: usize = 16;
/// Candidates looked at to find them.
const EF_CONSTRUCTION: usize = 128;
/// Layers at most.
const LAYERS: usize = 16;
/// Candidates that a search keeps at least. Vectors of text lie in crowds, which a search that keeps fewer does not get out of.
const EF_SEARCH: usize = 640;
/// Rows inserted between two looks at whether to stop.
const STRETCH: usize = 64;
/// Stands for the query where a row is expected.
const QUERY: u32 = u32::MAX;

/// A graph over the first rows of a generation.
pub(crate) struct Graph {
    hnsw: Hnsw<'static, u32, CodeDistance>,
    /// Those it was built from, or a later state of them.
    vectors: Arc<Vectors>,
    rows: usize,
}

impl Graph {
    /// Builds one over all of `vectors`; none if it is told to stop before it is done.
    pub(crate) fn build(vectors: &Arc<Vectors>, stop: &AtomicBool) -> Option<Graph> {
        let distance = CodeDistance(Arc::clone(vectors));
        let hnsw = Hnsw::new(NEIGHBOURS, vectors.len, LAYERS, EF_CONSTRUCTION, distance);
        for row in 0..vectors.len {
            if row % STRETCH == 0 && stop.load(Ordering::Relaxed) {
                return None;
            }
            hnsw.insert_slice((&[row as u32], row));
        }
        Some(Graph::over(vectors, vectors.len, hnsw))
    }

    fn over(vectors: &Arc<Vectors>, rows: usize, mut hnsw: Hnsw<'static, u32, CodeDistance>) -> Graph {
        hnsw.set_searching_mode(true);
        Graph {
            hnsw,
            vectors: Arc::clone(vectors),
            rows,
        }
    }

    /// How many rows it knows: the first so many.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether it is of the same generation as `vectors`, and not ahead of them.
    pub(crate) fn fits(&self, vectors: &Vectors) -> bool {
        self.vectors.is_of_generation(vectors) && self.rows <= vectors.len
    }

    /// About the `count` nearest rows to `query`, those of deleted documents among them.
    pub(crate) fn nearest(&self, query: &[f32], count: usize) -> Vec<u32> {
        if self.rows == 0 {
            return Vec::new();
        }
        ASKED.set(quantize(query));
        let found = self.hnsw.search(&[QUERY], count, count.max(EF_SEARCH));
        found.iter().map(|neighbour| neighbour.d_id as u32).collect()
    }
}

thread_local! {
    /// What is asked on this thread. The library compares points, and a point is no more than the number of a row, so that
    /// codes need not be held a second time.
    static ASKED: RefCell<(f32, Vec<i8>)> = const { RefCell::new((0.0, Vec::new())) };
}

/// One less the cosine of two rows, by their codes.
struct CodeDistance(Arc<Vectors>);

impl CodeDistance {
    fn between(&self, codes: &[i8], scale: f32, row: u32) -> f32 {
        let (block, place) = self.0.place(row);
        let mut dot = [0];
        kernels::dots()(
            codes,
            block.codes.of(place),
            codes.len(),
            &block.sums[place..=place],
            &mut dot,
        );
        // Codes are rounded, so that a vector may come out a little longer than 1, and the library wants no distance below 0.
        (1.0 - dot[0] as f32 * scale * block.scales[place]).max(0.0)
    }
}

impl Distance<u32> for CodeDistance {
    fn eval(&self, one: &[u32], other: &[u32]) -> f32 {
        let (&[one], &[other]) = (one, other) else {
            return 1.0;
        };
        let (one, other) = if other == QUERY {
            (other, one)
        } else {
            (one, other)
        };
        if one == QUERY {
            return ASKED.with_borrow(|(scale, codes)| self.between(codes, *scale, other));
        }
        let (block, place) = self.0.place(one);
        self.between(block.codes.of(place), block.scales[place], other)
    }
}
