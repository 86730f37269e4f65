//! Outgoing edges of all rows, in compressed sparse row (CSR) form.

/// The neighbours of each row.
#[derive(Debug, PartialEq)]
pub(super) struct Adjacency {
    /// Index of each row's first edge in `targets`, followed by the number of edges.
    offsets: Vec<u64>,
    targets: Vec<u32>,
}

impl Adjacency {
    /// Collects the neighbours of each row in turn.
    pub(super) fn new<N: Iterator<Item = u32>>(rows: impl Iterator<Item = N>) -> Adjacency {
        let (mut offsets, mut targets) = (vec![0], Vec::new());
        for neighbors in rows {
            targets.extend(neighbors);
            offsets.push(targets.len() as u64);
        }
        targets.shrink_to_fit();
        Adjacency { offsets, targets }
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The neighbours of a row.
    pub(super) fn neighbors(&self, row: u32) -> &[u32] {
        let row = row as usize;
        &self.targets[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}
