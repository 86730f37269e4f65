//! Best first over links: from some rows to ever nearer ones.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::vectors::{Vectors, kernels};

/// Stands for no row.
pub(super) const NONE: u32 = u32::MAX;

/// A row by its product with what is looked for. The higher score is the greater, of equal ones that of the lower row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub score: f32,
    pub row: u32,
}

/// The product of `codes` with a row, in units of whatever a code of `codes` is worth.
pub(super) fn product(vectors: &Vectors, codes: &[i8], row: u32) -> f32 {
    let (block, place) = vectors.place(row);
    let mut dot = [0];
    kernels::dots()(
        codes,
        block.codes.of(place),
        codes.len(),
        &block.sums[place..=place],
        &mut dot,
    );
    dot[0] as f32 * block.scales[place]
}

/// The `keep` rows nearest to `codes` that links lead to from the rows `from`, best first. `links` adds those of a row.
///
/// Algorithm 2 of Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable
/// Small World graphs".
pub(super) fn search(
    vectors: &Vectors,
    codes: &[i8],
    from: &[u32],
    keep: usize,
    visited: &mut Visited,
    links: impl Fn(u32, &mut Vec<u32>),
) -> Vec<Found> {
    visited.clear();
    let mut open = BinaryHeap::new();
    let mut best: BinaryHeap<Reverse<Found>> = BinaryHeap::new();
    let offer = |row, open: &mut BinaryHeap<Found>, best: &mut BinaryHeap<Reverse<Found>>| {
        let score = product(vectors, codes, row);
        let found = Found { score, row };
        if best.len() == keep {
            match best.peek() {
                Some(Reverse(worst)) if *worst < found => best.pop(),
                _ => return,
            };
        }
        best.push(Reverse(found));
        open.push(found);
    };
    let mut near = Vec::new();
    for &row in from {
        if visited.insert(row) {
            offer(row, &mut open, &mut best);
        }
    }
    while let Some(next) = open.pop() {
        if best.len() == keep && best.peek().is_some_and(|Reverse(worst)| next < *worst) {
            break;
        }
        near.clear();
        links(next.row, &mut near);
        // Products after all rows are known, so that the memory of several is on its way at once.
        near.retain(|&row| visited.insert(row));
        near.iter().for_each(|&row| offer(row, &mut open, &mut best));
    }
    let mut found: Vec<Found> = best.into_iter().map(|Reverse(found)| found).collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found
}

/// Rows that were looked at: a set that is small beside the number of rows, and emptied often.
pub(super) struct Visited {
    slots: Vec<u32>,
    len: usize,
}

impl Visited {
    /// With room for some thousands before it has to grow.
    pub(super) fn new() -> Visited {
        const SLOTS: usize = 1 << 14;
        Visited {
            slots: vec![NONE; SLOTS],
            len: 0,
        }
    }

    fn clear(&mut self) {
        self.slots.fill(NONE);
        self.len = 0;
    }

    /// Adds a row; whether it was not there yet.
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

    /// Where a row is, or is to be.
    fn slot(&self, row: u32) -> usize {
        // Fibonacci hashing: neighbouring rows end far apart.
        let mut slot = row.wrapping_mul(0x9E37_79B9) as usize & (self.slots.len() - 1);
        while self.slots[slot] != row && self.slots[slot] != NONE {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        slot
    }
}

impl Ord for Found {
    fn cmp(&self, other: &Found) -> Ordering {
        self.score
            .total_cmp(&other.score)
            .then_with(|| other.row.cmp(&self.row))
    }
}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Found) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Found {
    fn eq(&self, other: &Found) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Found {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    proptest! {
        #[test]
        fn visited_is_a_set(rows in prop::collection::vec(0u32..20_000, 0..30_000)) {
            let (mut visited, mut expected) = (Visited::new(), HashSet::new());
            for &row in &rows {
                prop_assert_eq!(visited.insert(row), expected.insert(row));
            }
            visited.clear();
            prop_assert!(rows.iter().all(|&row| visited.slot(row) < visited.slots.len()));
            prop_assert!(rows.first().is_none_or(|&row| visited.insert(row)));
        }
    }
}
