//! Rows with equal codes.
//!
//! Collections repeat themselves: a licence or a navigation bar is in thousands of files. Edges among equal
//! rows lead nowhere. The graph therefore has only one row of each set of duplicates, their representative.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::vectors::Vectors;

/// Duplicates by representative.
#[derive(Debug, Default, PartialEq)]
pub(super) struct DuplicateRows {
    /// Representative and duplicate, in ascending order.
    pairs: Vec<(u32, u32)>,
}

impl DuplicateRows {
    /// Finds the duplicates among all rows. Returns them and the remaining rows, in ascending order.
    pub(super) fn find(vectors: &Vectors) -> (DuplicateRows, Vec<u32>) {
        let hash = |row| {
            let mut hasher = DefaultHasher::new();
            vectors.codes(row).hash(&mut hasher);
            (hasher.finish(), row)
        };
        let mut hashes: Vec<(u64, u32)> = (0..vectors.len as u32).map(hash).collect();
        hashes.sort_unstable();
        let (mut pairs, mut unique) = (Vec::new(), Vec::new());
        for bucket in hashes.chunk_by(|one, other| one.0 == other.0) {
            // Different codes can have the same hash.
            let first = unique.len();
            for &(_, row) in bucket {
                let is_equal = |&other: &u32| vectors.codes(other) == vectors.codes(row);
                match unique[first..].iter().copied().find(is_equal) {
                    Some(representative) => pairs.push((representative, row)),
                    None => unique.push(row),
                }
            }
        }
        pairs.sort_unstable();
        unique.sort_unstable();
        (DuplicateRows { pairs }, unique)
    }

    /// Duplicates read from a file, in ascending order.
    pub(super) fn from_pairs(pairs: Vec<(u32, u32)>) -> DuplicateRows {
        DuplicateRows { pairs }
    }

    /// Representative and duplicate, in ascending order.
    pub(super) fn pairs(&self) -> &[(u32, u32)] {
        &self.pairs
    }

    /// A row of the graph, followed by its duplicates.
    pub(super) fn with_duplicates(&self, row: u32) -> impl Iterator<Item = u32> {
        let first = self.pairs.partition_point(|pair| pair.0 < row);
        let duplicates = self.pairs[first..].iter().take_while(move |pair| pair.0 == row);
        std::iter::once(row).chain(duplicates.map(|pair| pair.1))
    }
}
