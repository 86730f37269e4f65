//! Rows with equal codes. Collections repeat themselves: a licence or a navigation bar is in thousands of files. Links among
//! rows at no distance lead nowhere, so that only one of them is in the graph and stands for the others.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::vectors::Vectors;

/// Which rows stand for others.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Twins {
    /// A row in the graph and one of the same codes that is not, in order.
    pairs: Vec<(u32, u32)>,
}

impl Twins {
    /// Those among all rows, and the rows that are left, in order.
    pub(super) fn among(vectors: &Vectors) -> (Twins, Vec<u32>) {
        let hashed = |row| {
            let mut hasher = DefaultHasher::new();
            codes(vectors, row).hash(&mut hasher);
            (hasher.finish(), row)
        };
        let mut hashes: Vec<(u64, u32)> = (0..vectors.len as u32).map(hashed).collect();
        hashes.sort_unstable();
        let (mut pairs, mut left) = (Vec::new(), Vec::new());
        for equal in hashes.chunk_by(|one, other| one.0 == other.0) {
            // Of one hash, but perhaps not of the same codes.
            let firsts = left.len();
            for &(_, row) in equal {
                let same = |&first: &u32| codes(vectors, first) == codes(vectors, row);
                match left[firsts..].iter().copied().find(same) {
                    Some(first) => pairs.push((first, row)),
                    None => left.push(row),
                }
            }
        }
        pairs.sort_unstable();
        left.sort_unstable();
        (Twins { pairs }, left)
    }

    /// Read back.
    pub(super) fn new(pairs: Vec<(u32, u32)>) -> Twins {
        Twins { pairs }
    }

    pub(super) fn pairs(&self) -> &[(u32, u32)] {
        &self.pairs
    }

    /// A row of the graph and those it stands for.
    pub(super) fn with(&self, row: u32) -> impl Iterator<Item = u32> {
        let first = self.pairs.partition_point(|pair| pair.0 < row);
        let others = self.pairs[first..].iter().take_while(move |pair| pair.0 == row);
        std::iter::once(row).chain(others.map(|pair| pair.1))
    }
}

fn codes(vectors: &Vectors, row: u32) -> &[i8] {
    let (block, place) = vectors.place(row);
    block.codes.of(place)
}
