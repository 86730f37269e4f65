//! Greedy best-first search over the edges of a graph, with a beam of bounded width.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::vectors::{Vectors, kernels};

/// Sentinel: no row.
pub(super) const NONE: u32 = u32::MAX;

/// A row and its dot product with the query. Ordered by score; on a tie, the lower row is greater.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScoredRow {
    pub score: f32,
    pub row: u32,
}

/// The dot product of a quantized query with a row. Not multiplied by the query's scale.
pub(super) fn dot_product(vectors: &Vectors, query: &[i8], row: u32) -> f32 {
    let (block, index) = vectors.locate(row);
    let mut dot = [0];
    kernels::dots()(
        query,
        block.codes.get(index),
        query.len(),
        &block.sums[index..=index],
        &mut dot,
    );
    dot[0] as f32 * block.scales[index]
}

/// The `beam_width` nearest rows to `query` that are reachable from `start`, best first. `neighbors` appends
/// the neighbours of a row.
///
/// Algorithm 2 of Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
/// Hierarchical Navigable Small World graphs".
pub(super) fn beam_search(
    vectors: &Vectors,
    query: &[i8],
    start: &[u32],
    beam_width: usize,
    visited: &mut VisitedSet,
    neighbors: impl Fn(u32, &mut Vec<u32>),
) -> Vec<ScoredRow> {
    visited.clear();
    let mut unexpanded = BinaryHeap::new();
    let mut beam: BinaryHeap<Reverse<ScoredRow>> = BinaryHeap::new();
    let push = |row, unexpanded: &mut BinaryHeap<ScoredRow>, beam: &mut BinaryHeap<Reverse<ScoredRow>>| {
        let score = dot_product(vectors, query, row);
        let scored = ScoredRow { score, row };
        if beam.len() == beam_width {
            match beam.peek() {
                Some(Reverse(worst)) if *worst < scored => beam.pop(),
                _ => return,
            };
        }
        beam.push(Reverse(scored));
        unexpanded.push(scored);
    };
    let mut near = Vec::new();
    for &row in start {
        if visited.insert(row) {
            push(row, &mut unexpanded, &mut beam);
        }
    }
    while let Some(next) = unexpanded.pop() {
        if beam.len() == beam_width && beam.peek().is_some_and(|Reverse(worst)| next < *worst) {
            break;
        }
        near.clear();
        neighbors(next.row, &mut near);
        // Collect all unvisited neighbours before scoring any, so that the CPU can overlap their memory
        // accesses.
        near.retain(|&row| visited.insert(row));
        near.iter().for_each(|&row| push(row, &mut unexpanded, &mut beam));
    }
    let mut found: Vec<ScoredRow> = beam.into_iter().map(|Reverse(scored)| scored).collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found
}

/// The rows that a search has visited: an open-addressing hash set, cheaper to clear than one bit per row of
/// a large index.
pub(super) struct VisitedSet {
    /// A power of two of slots. Unused slots are [`NONE`].
    slots: Vec<u32>,
    len: usize,
}

impl VisitedSet {
    /// An empty set with room for some thousand rows before it grows.
    pub(super) fn new() -> VisitedSet {
        const SLOTS: usize = 1 << 14;
        VisitedSet {
            slots: vec![NONE; SLOTS],
            len: 0,
        }
    }

    fn clear(&mut self) {
        self.slots.fill(NONE);
        self.len = 0;
    }

    /// Adds a row. Returns whether it is new.
    fn insert(&mut self, row: u32) -> bool {
        if self.len * 2 >= self.slots.len() {
            let larger = vec![NONE; self.slots.len() * 2];
            let rows = std::mem::replace(&mut self.slots, larger);
            rows.into_iter().filter(|&row| row != NONE).for_each(|row| {
                let slot = self.slot(row);
                self.slots[slot] = row;
            });
        }
        let slot = self.slot(row);
        let is_new = self.slots[slot] != row;
        if is_new {
            self.slots[slot] = row;
            self.len += 1;
        }
        is_new
    }

    /// The slot that holds `row`, or the free slot where it would go.
    fn slot(&self, row: u32) -> usize {
        // Fibonacci hashing spreads consecutive rows.
        let mut slot = row.wrapping_mul(0x9E37_79B9) as usize & (self.slots.len() - 1);
        while self.slots[slot] != row && self.slots[slot] != NONE {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        slot
    }
}

impl Ord for ScoredRow {
    fn cmp(&self, other: &ScoredRow) -> Ordering {
        self.score
            .total_cmp(&other.score)
            .then_with(|| other.row.cmp(&self.row))
    }
}

impl PartialOrd for ScoredRow {
    fn partial_cmp(&self, other: &ScoredRow) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ScoredRow {
    fn eq(&self, other: &ScoredRow) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ScoredRow {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn the_visited_set_behaves_like_a_hash_set(rows in prop::collection::vec(0u32..20_000, 0..30_000)) {
            let (mut visited, mut expected) = (VisitedSet::new(), HashSet::new());
            for &row in &rows {
                prop_assert_eq!(visited.insert(row), expected.insert(row));
            }
            visited.clear();
            prop_assert!(rows.iter().all(|&row| visited.slot(row) < visited.slots.len()));
            prop_assert!(rows.first().is_none_or(|&row| visited.insert(row)));
        }
    }
}
