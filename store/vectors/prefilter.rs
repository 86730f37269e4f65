//! Prefilter: ranks very many vectors by their sign bits alone. A few thousand survivors are then scored by
//! their codes.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::block::BLOCK;
use super::kernels::bits::{self, GROUP};
use super::top_rows::TopRows;
use super::{SignBitsQuery, Vectors};
use crate::DocumentSet;

/// Minimum number of vectors to use a second thread. Waking a thread takes as long as scanning some ten
/// thousand vectors.
const MIN_PARALLEL: usize = 200_000;
/// Blocks that a thread takes at a time.
const BLOCKS_AT_A_TIME: usize = 4;
/// Number of scans running in this process.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// The `count` rows of the documents `within` whose sign bits match `query` best, in ascending order.
///
/// Uses a second thread if no other scan is running. The result is the same with one thread.
pub(crate) fn prefilter(vectors: &Vectors, query: &[f32], within: &DocumentSet, count: usize) -> Vec<u32> {
    let scan = Scan {
        vectors,
        query: SignBitsQuery::new(query),
        within,
        next_block: AtomicUsize::new(0),
        count,
    };
    let others = RUNNING.fetch_add(1, Ordering::Relaxed);
    let has_idle_core =
        others == 0 && std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    let top = if has_idle_core && vectors.len >= MIN_PARALLEL {
        scan.run_on_two_threads()
    } else {
        scan.run()
    };
    RUNNING.fetch_sub(1, Ordering::Relaxed);
    top.into_rows()
}

/// The `count` of `rows` whose sign bits match `query` best, in ascending order.
pub(crate) fn prefilter_rows(vectors: &Vectors, query: &[f32], rows: &[u32], count: usize) -> Vec<u32> {
    let query = SignBitsQuery::new(query);
    let words = query.planes().len() * GROUP;
    let mut top = TopRows::new(count);
    // The kernel computes a whole group of vectors. Rows of the same document mostly share one.
    for group in rows.chunk_by(|one, other| one / GROUP as u32 == other / GROUP as u32) {
        let (block, index) = vectors.locate(group[0]);
        let bits = &block.sign_bits.words()[index / GROUP * words..][..words];
        let mut sums = [0; GROUP];
        bits::sums()(query.planes(), bits, &mut sums);
        for &row in group {
            top.push(sums[row as usize % GROUP], row);
        }
    }
    top.into_rows()
}

struct Scan<'a> {
    vectors: &'a Vectors,
    query: SignBitsQuery,
    within: &'a DocumentSet,
    /// The next block that no thread has taken.
    next_block: AtomicUsize,
    count: usize,
}

impl Scan<'_> {
    fn run_on_two_threads(&self) -> TopRows {
        std::thread::scope(|scope| {
            let second = std::thread::Builder::new().spawn_scoped(scope, || self.run());
            let mut top = self.run();
            // If the second thread could not be started, the first has scanned all blocks.
            if let Ok(second) = second {
                top.merge(
                    second
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                );
            }
            top
        })
    }

    /// Scans blocks until none is left.
    fn run(&self) -> TopRows {
        let mut top = TopRows::new(self.count);
        let mut sums = [0; BLOCK];
        loop {
            let first = self.next_block.fetch_add(BLOCKS_AT_A_TIME, Ordering::Relaxed);
            if first >= self.vectors.blocks.len() {
                return top;
            }
            for number in first..(first + BLOCKS_AT_A_TIME).min(self.vectors.blocks.len()) {
                self.scan_block(number, &mut sums, &mut top);
            }
        }
    }

    fn scan_block(&self, number: usize, sums: &mut [i32; BLOCK], top: &mut TopRows) {
        let block = &self.vectors.blocks[number];
        let first_row = (number * BLOCK) as u32;
        let is_whole_block = block.is_within(self.within);
        bits::sums()(
            self.query.planes(),
            block.sign_bits.words(),
            &mut sums[..block.len().next_multiple_of(GROUP)],
        );
        /// Number of sums compared with the threshold at once, by SIMD. Few chunks have a sum above it.
        const CHUNK: usize = 16;
        for (chunk, sums) in sums[..block.len()].chunks(CHUNK).enumerate() {
            let threshold = top.threshold();
            if !sums.iter().fold(false, |any, &sum| any | (sum > threshold)) {
                continue;
            }
            for (offset, &sum) in sums.iter().enumerate() {
                let index = chunk * CHUNK + offset;
                if sum > top.threshold() && (is_whole_block || self.within.contains(block.documents[index])) {
                    top.push(sum, first_row + index as u32);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan;
    use super::super::test_support::{PASSAGES, documents, normalize, push, random_vector};
    use super::*;

    const DIMENSIONS: usize = 96;
    /// Vectors per cluster.
    const CLUSTER: usize = 50;

    /// Vectors in clusters, and a query near one of the clusters.
    fn clustered(count: usize) -> (Vectors, Vec<f32>) {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut vectors = Vectors::new(DIMENSIONS, None);
        let mut centre = Vec::new();
        let mut query = Vec::new();
        for number in 0..count {
            if number.is_multiple_of(CLUSTER) {
                centre = random_vector(&mut rng, DIMENSIONS);
            }
            let mut near_centre = || {
                let own = random_vector(&mut rng, DIMENSIONS);
                normalize(
                    own.iter()
                        .zip(&centre)
                        .map(|(own, centre)| own + centre)
                        .collect(),
                )
            };
            if number == 777 % count {
                query = near_centre();
            }
            push(&mut vectors, &near_centre());
        }
        (vectors, query)
    }

    #[test]
    fn a_prefiltered_search_equals_an_exhaustive_one() {
        let (vectors, query) = clustered(scan::MIN_PREFILTER + 100);
        for (name, within) in [
            ("all", documents(&vectors, |_| true)),
            ("every third", documents(&vectors, |id| id % 3 == 0)),
            ("1 %", documents(&vectors, |id| id % 100 == 0)),
            ("one", documents(&vectors, |id| id == 4321)),
            ("none", documents(&vectors, |_| false)),
        ] {
            let found = scan::nearest(&vectors, &query, &within, 10);
            let exact = scan::scan_codes(&vectors, &query, &within, 10);
            let found: Vec<_> = found.iter().map(|(candidate, _)| candidate.passage).collect();
            let exact: Vec<_> = exact.iter().map(|(candidate, _)| candidate.passage).collect();
            assert_eq!(found, exact, "{name}");
            assert_eq!(found.len(), 10.min(within.len() as usize * PASSAGES), "{name}");
        }
    }

    #[test]
    fn two_threads_find_the_rows_that_one_finds() {
        let (vectors, query) = clustered(BLOCK * 6 + 9);
        let within = documents(&vectors, |id| id % 5 != 0);
        let scan = || Scan {
            vectors: &vectors,
            query: SignBitsQuery::new(&query),
            within: &within,
            next_block: AtomicUsize::new(0),
            count: 300,
        };
        let one = scan().run().into_rows();
        assert_eq!(one.len(), 300);
        assert_eq!(scan().run_on_two_threads().into_rows(), one);
    }

    #[test]
    fn given_rows_rank_as_in_a_full_scan() {
        let (vectors, query) = clustered(BLOCK * 2 + 77);
        let within = documents(&vectors, |id| id % 3 == 0);
        let rows = vectors.rows_within(&within, vectors.len).unwrap();
        let found = prefilter_rows(&vectors, &query, &rows, 200);
        assert_eq!(found, prefilter(&vectors, &query, &within, 200));
        assert!(found.len() == 200 && prefilter_rows(&vectors, &query, &[], 5).is_empty());
    }

    #[test]
    fn fewer_rows_than_asked_for_all_pass() {
        let (vectors, query) = clustered(100);
        let within = documents(&vectors, |id| id < 3 || id == 40);
        let found = prefilter(&vectors, &query, &within, 50);
        assert_eq!(found, [0, 1, 2, 3, 4, 5, 80, 81]);
    }
}
