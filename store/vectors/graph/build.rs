//! Builds the graph by inserting rows one after another, on several threads.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::adjacency::Adjacency;
use super::entry_points::EntryPoints;
use super::search::{NONE, ScoredRow, VisitedSet, beam_search, dot_product};
use crate::vectors::{SignBitsQuery, Vectors};

/// Maximum out-degree after pruning (Vamana's R).
const MAX_DEGREE: usize = 32;
/// Maximum out-degree before pruning. The slack leaves room for the reverse edges of later rows.
const CAPACITY: usize = 48;
/// Beam width of the search for a row's neighbours (Vamana's L, HNSW's efConstruction).
const BEAM_WIDTH: usize = 128;
/// Entry points of that search.
const ENTRY_POINTS: usize = 16;
/// Vamana's α: drop an edge if a chosen neighbour is α times closer to its target. > 1 keeps long edges.
const ALPHA: f32 = 1.2;
/// Rows inserted by a single thread at first. In an almost empty graph, concurrent insertions would not find
/// each other.
const SEQUENTIAL_ROWS: usize = 1000;
/// Rows that a thread takes at a time. It checks `stop` between them.
const BATCH: usize = 64;
/// Number of locks. Rows share them by number modulo this.
const LOCKS: usize = 1024;

/// A graph under construction.
struct Builder<'a> {
    vectors: &'a Vectors,
    entry_points: &'a EntryPoints,
    /// [`CAPACITY`] slots per row. Unused slots, at the end, are [`NONE`].
    edges: Vec<AtomicU32>,
    locks: Vec<Mutex<()>>,
}

/// Inserts the rows of `order`, which starts with the entry points. `None` if `stop` is set before all are
/// inserted.
pub(super) fn build(
    vectors: &Vectors,
    order: &[u32],
    entry_points: &EntryPoints,
    threads: usize,
    stop: &AtomicBool,
) -> Option<Adjacency> {
    let builder = Builder {
        vectors,
        entry_points,
        edges: (0..vectors.len * CAPACITY)
            .map(|_| AtomicU32::new(NONE))
            .collect(),
        locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
    };
    let next = AtomicUsize::new(0);
    let insert_until = |end: usize| {
        let mut visited = VisitedSet::new();
        while !stop.load(Ordering::Relaxed) {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            if first >= end {
                break;
            }
            let batch = first..(first + BATCH).min(order.len());
            for (&row, position) in order[batch.clone()].iter().zip(batch) {
                builder.insert(row, position, &mut visited);
            }
        }
    };
    insert_until(SEQUENTIAL_ROWS.min(order.len()));
    // The last batch was taken from the counter, but not inserted.
    next.fetch_sub(BATCH, Ordering::Relaxed);
    std::thread::scope(|scope| {
        for _ in 1..threads {
            // Without the thread the build takes longer, but completes.
            let _ = std::thread::Builder::new().spawn_scoped(scope, || insert_until(order.len()));
        }
        insert_until(order.len());
    });
    if stop.load(Ordering::Relaxed) {
        return None;
    }
    Some(Adjacency::new(
        (0..vectors.len as u32).map(|row| builder.neighbors(row)),
    ))
}

impl Builder<'_> {
    /// Inserts `row`, which is at `position` of the order.
    fn insert(&self, row: u32, position: usize, visited: &mut VisitedSet) {
        let (block, index) = self.vectors.locate(row);
        let (codes, scale) = (block.codes.get(index), block.scales[index]);
        let values: Vec<f32> = codes.iter().map(|&code| f32::from(code)).collect();
        // Start only from entry points before `position`, because later ones have no edges yet.
        let start = self
            .entry_points
            .nearest(&SignBitsQuery::new(&values), position, ENTRY_POINTS);
        let neighbors = |row, near: &mut Vec<u32>| near.extend(self.neighbors(row));
        let mut candidates = beam_search(self.vectors, codes, &start, BEAM_WIDTH, visited, neighbors);
        candidates.retain(|candidate| candidate.row != row);
        candidates
            .iter_mut()
            .for_each(|candidate| candidate.score *= scale);
        let chosen = self.prune(&candidates);
        for (slot, neighbor) in self.slots(row).iter().zip(&chosen) {
            slot.store(*neighbor, Ordering::Relaxed);
        }
        for neighbor in chosen {
            self.add_edge(neighbor, row);
        }
    }

    /// Adds the edge from `row` to `target`, and prunes the row's edges if there is no free slot.
    fn add_edge(&self, row: u32, target: u32) {
        let lock = &self.locks[row as usize % LOCKS];
        let _guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = self.slots(row);
        if let Some(free) = slots.iter().find(|slot| slot.load(Ordering::Relaxed) == NONE) {
            free.store(target, Ordering::Relaxed);
            return;
        }
        let score = |target| ScoredRow {
            score: self.cosine(row, target),
            row: target,
        };
        let mut candidates: Vec<ScoredRow> = self.neighbors(row).chain([target]).map(score).collect();
        candidates.sort_unstable_by(|one, other| other.cmp(one));
        let chosen = self.prune(&candidates);
        for (index, slot) in slots.iter().enumerate() {
            slot.store(chosen.get(index).copied().unwrap_or(NONE), Ordering::Relaxed);
        }
    }

    /// Vamana's RobustPrune: chooses up to [`MAX_DEGREE`] near candidates in different directions.
    ///
    /// Candidates are scored by their cosine with the row, best first.
    fn prune(&self, candidates: &[ScoredRow]) -> Vec<u32> {
        let mut chosen: Vec<u32> = Vec::with_capacity(MAX_DEGREE);
        for candidate in candidates {
            if chosen.len() == MAX_DEGREE {
                break;
            }
            let distance = 1.0 - candidate.score;
            let is_closer = |&other: &u32| (1.0 - self.cosine(other, candidate.row)) * ALPHA <= distance;
            if !chosen.iter().any(is_closer) {
                chosen.push(candidate.row);
            }
        }
        chosen
    }

    fn cosine(&self, one: u32, other: u32) -> f32 {
        let (block, index) = self.vectors.locate(one);
        dot_product(self.vectors, block.codes.get(index), other) * block.scales[index]
    }

    fn slots(&self, row: u32) -> &[AtomicU32] {
        &self.edges[row as usize * CAPACITY..][..CAPACITY]
    }

    /// The neighbours of a row. Another thread may be changing them, but every value read is a valid row.
    fn neighbors(&self, row: u32) -> impl Iterator<Item = u32> + use<'_> {
        let targets = self.slots(row).iter().map(|slot| slot.load(Ordering::Relaxed));
        targets.take_while(|&target| target != NONE)
    }
}
