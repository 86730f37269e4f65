//! Where a search begins: a sample of the rows, looked at by their signs, so that it starts at several places near what is
//! looked for. Takes the place of the upper layers of an HNSW; unlike these it reaches parts that no link leads to.

use crate::vectors::kernels::bits::{self, GROUP};
use crate::vectors::shortlist::Shortlist;
use crate::vectors::{SignQuery, Signs, Vectors};

/// Signs that are looked at in one go.
const AT_ONCE: usize = 1024;

/// Some rows, in an order of their own.
pub(super) struct Entries {
    rows: Vec<u32>,
    signs: Vec<Signs>,
}

impl Entries {
    pub(super) fn new(vectors: &Vectors, rows: Vec<u32>) -> Entries {
        let signs = rows.chunks(AT_ONCE).map(|rows| {
            let mut signs = Signs::default();
            for (place, &row) in rows.iter().enumerate() {
                let (block, at) = vectors.place(row);
                signs.push(place, block.codes.of(at));
            }
            signs
        });
        Entries {
            signs: signs.collect(),
            rows,
        }
    }

    pub(super) fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The `count` of the first `among` rows whose signs fit best.
    pub(super) fn nearest(&self, query: &SignQuery, among: usize, count: usize) -> Vec<u32> {
        let among = among.min(self.rows.len());
        let mut best = Shortlist::new(count);
        let mut sums = [0; AT_ONCE];
        for (part, signs) in self.signs[..among.div_ceil(AT_ONCE)].iter().enumerate() {
            let first = part * AT_ONCE;
            let here = (self.rows.len() - first).min(AT_ONCE);
            let sums = &mut sums[..here.next_multiple_of(GROUP)];
            bits::sums()(query.planes(), signs.words(), sums);
            for (place, &sum) in sums[..here.min(among - first)].iter().enumerate() {
                best.offer(sum, (first + place) as u32);
            }
        }
        let places = best.into_rows();
        places
            .into_iter()
            .map(|place| self.rows[place as usize])
            .collect()
    }
}
