//! A first look at very many vectors by their signs alone, which leaves a few thousand to be compared in earnest.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::block::BLOCK;
use super::kernels::bits::{self, GROUP};
use super::shortlist::Shortlist;
use super::{SignQuery, Vectors};
use crate::DocumentSet;

/// So many vectors are worth a second thread, where one is idle: waking it takes as long as some ten thousand of them.
const SHARED_FROM: usize = 200_000;
/// Blocks that a thread takes at a time.
const STRETCH: usize = 4;
/// Scans under way in this process.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// The `count` rows, in order, whose signs fit `query` best, of documents `within`. On a second thread as well if no other
/// scan is under way; what is found does not hang on it.
pub(crate) fn likely(vectors: &Vectors, query: &[f32], within: &DocumentSet, count: usize) -> Vec<u32> {
    let scan = Scan {
        vectors,
        query: SignQuery::new(query),
        within,
        next: AtomicUsize::new(0),
        count,
    };
    let others = UNDER_WAY.fetch_add(1, Ordering::Relaxed);
    let alone = others == 0 && std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    let rows = match alone && vectors.len >= SHARED_FROM {
        true => scan.on_two_threads(),
        false => scan.run(),
    }
    .into_rows();
    UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
    rows
}

/// The `count` of `rows`, in order, whose signs fit `query` best.
pub(crate) fn likely_of(vectors: &Vectors, query: &[f32], rows: &[u32], count: usize) -> Vec<u32> {
    let query = SignQuery::new(query);
    let words = query.planes().len() * GROUP;
    let mut best = Shortlist::new(count);
    // Signs lie in groups, and rows of a document mostly in one, which is looked at once.
    for group in rows.chunk_by(|one, other| one / GROUP as u32 == other / GROUP as u32) {
        let (block, place) = vectors.place(group[0]);
        let signs = &block.signs.words()[place / GROUP * words..][..words];
        let mut sums = [0; GROUP];
        bits::sums()(query.planes(), signs, &mut sums);
        for &row in group {
            best.offer(sums[row as usize % GROUP], row);
        }
    }
    best.into_rows()
}

struct Scan<'a> {
    vectors: &'a Vectors,
    query: SignQuery,
    within: &'a DocumentSet,
    /// The block that no thread has taken yet.
    next: AtomicUsize,
    count: usize,
}

impl Scan<'_> {
    fn on_two_threads(&self) -> Shortlist {
        std::thread::scope(|scope| {
            let second = std::thread::Builder::new().spawn_scoped(scope, || self.run());
            let mut best = self.run();
            // Without a second thread the first has done it all.
            if let Ok(second) = second {
                best.merge(
                    second
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                );
            }
            best
        })
    }

    /// Scans blocks as long as there are any.
    fn run(&self) -> Shortlist {
        let mut best = Shortlist::new(self.count);
        let mut sums = [0; BLOCK];
        loop {
            let first = self.next.fetch_add(STRETCH, Ordering::Relaxed);
            if first >= self.vectors.blocks.len() {
                return best;
            }
            for number in first..(first + STRETCH).min(self.vectors.blocks.len()) {
                self.block(number, &mut sums, &mut best);
            }
        }
    }

    fn block(&self, number: usize, sums: &mut [i32; BLOCK], best: &mut Shortlist) {
        let block = &self.vectors.blocks[number];
        let first_row = (number * BLOCK) as u32;
        let is_whole = block.is_within(self.within);
        bits::sums()(
            self.query.planes(),
            block.signs.words(),
            &mut sums[..block.len().next_multiple_of(GROUP)],
        );
        /// Sums that are compared at once: few of them hold one that counts.
        const AT_ONCE: usize = 16;
        for (part, sums) in sums[..block.len()].chunks(AT_ONCE).enumerate() {
            let threshold = best.threshold();
            if !sums.iter().fold(false, |any, &sum| any | (sum > threshold)) {
                continue;
            }
            for (index, &sum) in sums.iter().enumerate() {
                let place = part * AT_ONCE + index;
                if sum > best.threshold() && (is_whole || self.within.contains(block.documents[place])) {
                    best.offer(sum, first_row + place as u32);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{QuantizedVector, quantize, scan};
    use super::*;
    use crate::{DocumentId, PassageId};

    const DIMENSIONS: usize = 96;

    /// Numbers between -1 and 1.
    fn noise(seed: u64) -> impl FnMut() -> f32 {
        let mut state = seed;
        move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        }
    }

    /// Vectors in clusters of fifty, two of which are of a document, and a query near one of them.
    fn crowded(count: usize) -> (Vectors, Vec<f32>) {
        let mut own = noise(1);
        let mut vector = |number: usize| -> Vec<f32> {
            let mut centre = noise(number as u64 / 50 * 7919);
            let vector: Vec<f32> = (0..DIMENSIONS).map(|_| centre() + own()).collect();
            let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
            vector.into_iter().map(|value| value / length).collect()
        };
        let mut vectors = Vectors::new(DIMENSIONS, None);
        for number in 0..count {
            let (scale, codes) = quantize(&vector(number));
            let coded = QuantizedVector {
                passage: PassageId(number as u64),
                document: DocumentId(number as u32 / 2),
                scale,
                codes: &codes,
            };
            vectors.push(&coded, 0);
        }
        let query = vector(777);
        (vectors, query)
    }

    fn documents(count: usize, kept: impl Fn(u32) -> bool) -> DocumentSet {
        (0..count as u32 / 2)
            .filter(|&id| kept(id))
            .map(DocumentId)
            .collect()
    }

    #[test]
    fn a_large_index_finds_what_looking_at_all_does() {
        let count = scan::PREFILTER_FROM + 100;
        let (vectors, query) = crowded(count);
        for (name, within) in [
            ("all", documents(count, |_| true)),
            ("every third", documents(count, |id| id % 3 == 0)),
            ("1 %", documents(count, |id| id % 100 == 0)),
            ("one", documents(count, |id| id == 4321)),
            ("none", documents(count, |_| false)),
        ] {
            let found = scan::nearest(&vectors, &query, &within, 10);
            let exact = scan::by_all_codes(&vectors, &query, &within, 10);
            let found: Vec<_> = found.iter().map(|(candidate, _)| candidate.passage).collect();
            let exact: Vec<_> = exact.iter().map(|(candidate, _)| candidate.passage).collect();
            assert_eq!(found, exact, "{name}");
            assert_eq!(found.len(), 10.min(within.len() as usize * 2), "{name}");
        }
    }

    #[test]
    fn two_threads_find_what_one_does() {
        let count = BLOCK * 6 + 9;
        let (vectors, query) = crowded(count);
        let within = documents(count, |id| id % 5 != 0);
        let scan = || Scan {
            vectors: &vectors,
            query: SignQuery::new(&query),
            within: &within,
            next: AtomicUsize::new(0),
            count: 300,
        };
        let one = scan().run().into_rows();
        assert_eq!(one.len(), 300);
        assert_eq!(scan().on_two_threads().into_rows(), one);
    }

    #[test]
    fn single_rows_are_judged_as_all_are() {
        let count = BLOCK * 2 + 77;
        let (vectors, query) = crowded(count);
        let within = documents(count, |id| id % 3 == 0);
        let rows = vectors.rows_within(&within, count).unwrap();
        let found = likely_of(&vectors, &query, &rows, 200);
        assert_eq!(found, likely(&vectors, &query, &within, 200));
        assert!(found.len() == 200 && likely_of(&vectors, &query, &[], 5).is_empty());
    }

    #[test]
    fn all_that_are_allowed_where_few_are() {
        let (vectors, query) = crowded(100);
        let within = documents(100, |id| id < 3 || id == 40);
        assert_eq!(likely(&vectors, &query, &within, 50), [0, 1, 2, 3, 4, 5, 80, 81]);
    }
}
