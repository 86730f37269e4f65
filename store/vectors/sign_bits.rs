//! Sign bits: one bit per dimension, set where the value is not negative (≥ 0). A scan of very many vectors
//! prefilters by them.
//!
//! The query keeps 4 bits per value. Where a scan is bound by memory bandwidth, that costs nothing over a
//! 1-bit query, and ranks true neighbours much higher. docs/scale.md has measurements.

use std::io;

use super::huge_pages::HugePageSlice;
use super::kernels::bits::{BitPlanes, GROUP, PLANES};

/// Dimensions per word.
const WORD: usize = 64;
/// Largest value of a quantized query: 4 bits, signed, symmetric.
const MAX_QUERY_VALUE: f32 = 7.0;

/// The sign bits of a block of vectors, in the group layout of [`super::kernels::bits`].
#[derive(Debug, Clone)]
pub(crate) enum SignBits {
    /// On the heap, while the block is being filled.
    Heap(Vec<u64>),
    /// In memory shared with other blocks. Full blocks only.
    HugePages(HugePageSlice),
}

impl Default for SignBits {
    fn default() -> SignBits {
        SignBits::Heap(Vec::new())
    }
}

impl SignBits {
    /// Appends the vector at index `row`, counted from 0. Does nothing once the bits are in huge pages.
    pub(crate) fn push(&mut self, row: usize, codes: &[i8]) {
        let SignBits::Heap(bits) = self else {
            return;
        };
        let words = codes.len().div_ceil(WORD);
        if row.is_multiple_of(GROUP) {
            bits.resize(bits.len() + words * GROUP, 0);
        }
        let group = row / GROUP * words * GROUP;
        for (index, values) in codes.chunks(WORD).enumerate() {
            let word = values
                .iter()
                .enumerate()
                .fold(0, |word, (bit, &value)| word | u64::from(value >= 0) << bit);
            bits[group + index * GROUP + row % GROUP] = word;
        }
    }

    /// Copies the bits of several blocks to one piece of memory, in order.
    pub(crate) fn copy_to_huge_pages<'a>(
        blocks: impl Iterator<Item = &'a SignBits>,
    ) -> io::Result<Vec<SignBits>> {
        let parts: Vec<&[u64]> = blocks.map(SignBits::words).collect();
        let slices = HugePageSlice::copy_all(&parts)?;
        Ok(slices.into_iter().map(SignBits::HugePages).collect())
    }

    /// All groups, one after another.
    pub(crate) fn words(&self) -> &[u64] {
        match self {
            SignBits::Heap(bits) => bits,
            SignBits::HugePages(slice) => slice.words(),
        }
    }
}

/// A query quantized to 4 bits per value, as bit planes.
pub(crate) struct SignBitsQuery(Vec<BitPlanes>);

impl SignBitsQuery {
    /// Quantizes `query`. A zero or infinite query becomes all zeros.
    pub(crate) fn new(query: &[f32]) -> SignBitsQuery {
        let largest = query
            .iter()
            .fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = if largest > 0.0 && largest.is_finite() {
            MAX_QUERY_VALUE / largest
        } else {
            0.0
        };
        let words = query.chunks(WORD).map(|values| {
            let mut planes = [0; PLANES];
            for (bit, value) in values.iter().enumerate() {
                let value = (value * scale).round() as i8;
                for (plane, word) in planes.iter_mut().enumerate() {
                    *word |= u64::from(value as u8 >> plane & 1) << bit;
                }
            }
            planes
        });
        SignBitsQuery(words.collect())
    }

    /// The bit planes of each word of 64 dimensions.
    pub(crate) fn planes(&self) -> &[BitPlanes] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::bits;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The kernel sums the query's quantized values where the vector is not negative.
        #[test]
        fn sums_cover_the_dimensions_that_are_not_negative(
            query in prop::collection::vec(-1.0f32..1.0, 70),
            vectors in prop::collection::vec(prop::collection::vec(any::<i8>(), 70), 1..20),
        ) {
            let mut bits = SignBits::default();
            for (row, codes) in vectors.iter().enumerate() {
                bits.push(row, codes);
            }
            let mut sums = vec![0; vectors.len().next_multiple_of(GROUP)];
            bits::sums()(SignBitsQuery::new(&query).planes(), bits.words(), &mut sums);
            let largest = query.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            for (codes, sum) in vectors.iter().zip(sums) {
                let not_negative = codes.iter().zip(&query).filter(|(code, _)| **code >= 0);
                let expected: i32 = not_negative.map(|(_, value)| (value * (7.0 / largest)).round() as i32).sum();
                prop_assert_eq!(sum, expected);
            }
        }
    }

    #[test]
    fn non_finite_queries_become_zero() {
        assert!(
            SignBitsQuery::new(&[f32::NAN, f32::INFINITY])
                .planes()
                .iter()
                .all(|planes| *planes == [0; PLANES])
        );
        assert_eq!(SignBitsQuery::new(&[]).planes().len(), 0);
    }
}
