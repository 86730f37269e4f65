//! One bit a dimension: whether the vector's value is negative. What a scan of very many vectors looks at first.
//!
//! A query keeps 4 bits a value. That costs nothing where memory is what a scan waits for, and puts a neighbour much nearer
//! to the top than comparing signs with signs does: see docs/scale.md.

use std::io;

use super::gathered::Gathered;
use super::kernels::bits::{GROUP, PLANES, Planes};

/// Dimensions in a word.
const WORD: usize = 64;
/// Largest value of a query in 4 bits.
const LARGEST: f32 = 7.0;

/// The signs of some vectors, in groups as the kernels want them. A bit is set where the value is not negative.
#[derive(Debug, Clone)]
pub(crate) enum Signs {
    Held(Vec<u64>),
    Gathered(Gathered),
}

impl Default for Signs {
    fn default() -> Signs {
        Signs::Held(Vec::new())
    }
}

impl Signs {
    /// Adds the vector that is number `row`, counted from 0. To what is gathered nothing can be added.
    pub(crate) fn push(&mut self, row: usize, codes: &[i8]) {
        let Signs::Held(held) = self else {
            return;
        };
        let words = codes.len().div_ceil(WORD);
        if row.is_multiple_of(GROUP) {
            held.resize(held.len() + words * GROUP, 0);
        }
        let group = row / GROUP * words * GROUP;
        for (at, values) in codes.chunks(WORD).enumerate() {
            let bits = values
                .iter()
                .enumerate()
                .fold(0, |bits, (bit, &value)| bits | u64::from(value >= 0) << bit);
            held[group + at * GROUP + row % GROUP] = bits;
        }
    }

    /// Each of `several` in one piece of memory, in order.
    pub(crate) fn gather<'a>(several: impl Iterator<Item = &'a Signs>) -> io::Result<Vec<Signs>> {
        let parts: Vec<&[u64]> = several.map(Signs::words).collect();
        let gathered = Gathered::of(&parts)?;
        Ok(gathered.into_iter().map(Signs::Gathered).collect())
    }

    /// All groups, one after another.
    pub(crate) fn words(&self) -> &[u64] {
        match self {
            Signs::Held(held) => held,
            Signs::Gathered(gathered) => gathered.words(),
        }
    }
}

/// A query to compare with signs.
pub(crate) struct SignQuery(Vec<Planes>);

impl SignQuery {
    /// The query in 4 bits a value, bit by bit.
    pub(crate) fn new(query: &[f32]) -> SignQuery {
        let largest = query
            .iter()
            .fold(0.0f32, |largest, value| largest.max(value.abs()));
        let scale = match largest > 0.0 && largest.is_finite() {
            true => LARGEST / largest,
            false => 0.0,
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
        SignQuery(words.collect())
    }

    /// As the kernels want it.
    pub(crate) fn planes(&self) -> &[Planes] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernels::bits;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The kernels' sum over signs and query is the sum of the query's rounded values where the vector is not negative.
        #[test]
        fn sums_of_rounded_values(
            query in prop::collection::vec(-1.0f32..1.0, 70),
            vectors in prop::collection::vec(prop::collection::vec(any::<i8>(), 70), 1..20),
        ) {
            let mut signs = Signs::default();
            for (row, codes) in vectors.iter().enumerate() {
                signs.push(row, codes);
            }
            let mut sums = vec![0; vectors.len().next_multiple_of(GROUP)];
            bits::sums()(SignQuery::new(&query).planes(), signs.words(), &mut sums);
            let largest = query.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            for (codes, sum) in vectors.iter().zip(sums) {
                let of_positive = codes.iter().zip(&query).filter(|(code, _)| **code >= 0);
                let expected: i32 = of_positive.map(|(_, value)| (value * (7.0 / largest)).round() as i32).sum();
                prop_assert_eq!(sum, expected);
            }
        }
    }

    #[test]
    fn nonsense_is_zero() {
        assert!(
            SignQuery::new(&[f32::NAN, f32::INFINITY])
                .planes()
                .iter()
                .all(|planes| *planes == [0; PLANES])
        );
        assert_eq!(SignQuery::new(&[]).planes().len(), 0);
    }
}
