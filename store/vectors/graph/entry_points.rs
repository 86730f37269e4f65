//! Entry points: a sample of the rows. A search scans their sign bits and starts at those nearest to the
//! query.
//!
//! Entry points replace the upper layers of HNSW. Unlike upper layers, they also reach parts of the graph that no
//! edge leads to.

use crate::vectors::kernels::bits::{self, GROUP};
use crate::vectors::top_rows::TopRows;
use crate::vectors::{SignBits, SignBitsQuery, Vectors};

/// Entry points per kernel call.
const CHUNK: usize = 1024;

/// Sampled rows, in the order of insertion into the graph.
pub(super) struct EntryPoints {
    rows: Vec<u32>,
    /// Sign bits of each chunk of rows.
    sign_bits: Vec<SignBits>,
}

impl EntryPoints {
    pub(super) fn new(vectors: &Vectors, rows: Vec<u32>) -> EntryPoints {
        let sign_bits = rows.chunks(CHUNK).map(|rows| {
            let mut bits = SignBits::default();
            for (index, &row) in rows.iter().enumerate() {
                bits.push(index, vectors.codes(row));
            }
            bits
        });
        EntryPoints {
            sign_bits: sign_bits.collect(),
            rows,
        }
    }

    /// The sampled rows.
    pub(super) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The `count` rows whose sign bits match the query best, among the first `among` rows.
    pub(super) fn nearest(&self, query: &SignBitsQuery, among: usize, count: usize) -> Vec<u32> {
        let among = among.min(self.rows.len());
        let mut top = TopRows::new(count);
        let mut sums = [0; CHUNK];
        for (chunk, bits) in self.sign_bits[..among.div_ceil(CHUNK)].iter().enumerate() {
            let first = chunk * CHUNK;
            let len = (self.rows.len() - first).min(CHUNK);
            let sums = &mut sums[..len.next_multiple_of(GROUP)];
            bits::sums()(query.planes(), bits.words(), sums);
            for (index, &sum) in sums[..len.min(among - first)].iter().enumerate() {
                top.push(sum, (first + index) as u32);
            }
        }
        let indexes = top.into_rows().into_iter();
        indexes.map(|index| self.rows[index as usize]).collect()
    }
}
