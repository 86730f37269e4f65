//! Nearest neighbours by cosine, in up to three stages: sign bits, int8 codes, f32 rescoring.
//!
//! The first stage depends on the number of rows. Within few documents, only their rows are scored. A small
//! index is scanned by codes. A large index is prefiltered by sign bits. The best rows by codes are then
//! rescored with the f32 query.

use super::block::BLOCK;
use super::prefilter::{prefilter, prefilter_rows};
use super::top_rows::TopRows;
use super::{Block, Graph, Vectors, kernels, quantize};
use crate::{Candidate, DocumentId, DocumentSet};

/// Rows rescored in f32 per hit, because quantizing the query can push a neighbour that far down.
const RESCORE_FACTOR: usize = 3;
/// Rows rescored in addition, whatever the limit.
const RESCORE_EXTRA: usize = 32;
/// Minimum number of vectors to prefilter by sign bits. Below, that saves less than a tenth of a millisecond.
pub(super) const MIN_PREFILTER: usize = 20_000;
/// Prefilter the rows of a filter only if they outnumber the survivors by this factor.
const MIN_ROWS_PER_SURVIVOR: usize = 2;
/// Rows that pass the prefilter: this many per hit, …
const PREFILTER_FACTOR: usize = 6;
/// … plus a constant, …
const PREFILTER_EXTRA: usize = 800;
/// … plus one per this many vectors: in a larger index, more vectors have sign bits as good as a neighbour's.
const VECTORS_PER_SURVIVOR: usize = 500;
/// If more vectors than this were added since the graph was built, scan flat.
const MAX_UNINDEXED: usize = 100_000;
/// Prefetch the codes of the row this many positions ahead.
const PREFETCH_DISTANCE: usize = 8;
/// Cost model: one random access to codes costs as much as this many sequential ones …
const RANDOM_CODES_COST: usize = 8;
/// … and one random access to sign bits as much as this many sequential ones.
const RANDOM_SIGN_BITS_COST: usize = 20;

/// The `limit` nearest vectors to `query`, a unit vector, among the documents `within`, each with its
/// document. Best first.
pub(crate) fn nearest(
    vectors: &Vectors,
    query: &[f32],
    within: &DocumentSet,
    limit: usize,
) -> Vec<(Candidate, DocumentId)> {
    if limit == 0 || query.len() != vectors.dimensions {
        return Vec::new();
    }
    let is_large = vectors.len >= MIN_PREFILTER;
    let random_access_cost = if is_large {
        RANDOM_SIGN_BITS_COST
    } else {
        RANDOM_CODES_COST
    };
    let survivors = |rows: usize| {
        let extra = PREFILTER_EXTRA + rows / VECTORS_PER_SURVIVOR;
        limit.saturating_mul(PREFILTER_FACTOR).saturating_add(extra)
    };
    let rows = if let Some(rows) = vectors.rows_within(within, vectors.len / random_access_cost) {
        let count = survivors(rows.len());
        if rows.len() > count.saturating_mul(MIN_ROWS_PER_SURVIVOR) {
            prefilter_rows(vectors, query, &rows, count)
        } else {
            rows
        }
    } else if is_large {
        prefilter(vectors, query, within, survivors(vectors.len))
    } else {
        return scan_codes(vectors, query, within, limit);
    };
    let (_, codes) = quantize(query);
    let mut best = BestRows::for_limit(limit);
    best.score_rows(vectors, &rows, &codes);
    best.rescore(vectors, query, limit)
}

/// Like [`nearest`], but searches the graph, and scans only the vectors that were added after the graph was built.
///
/// Returns `None` if the graph finds too few live rows near the query, or if too many vectors were added after it was built.
pub(crate) fn nearest_by_graph(
    vectors: &Vectors,
    graph: &Graph,
    query: &[f32],
    within: &DocumentSet,
    limit: usize,
) -> Option<Vec<(Candidate, DocumentId)>> {
    if query.len() != vectors.dimensions || vectors.len - graph.rows() > MAX_UNINDEXED {
        return None;
    }
    let is_within = |row: &u32| {
        let (block, index) = vectors.locate(*row);
        within.contains(block.documents[index])
    };
    let found = graph.nearest(query, rescored_rows(limit), |row| is_within(&row));
    if found.len() < limit {
        return None;
    }
    let unindexed: Vec<u32> = (graph.rows() as u32..vectors.len as u32)
        .filter(is_within)
        .collect();
    let (_, codes) = quantize(query);
    let mut best = BestRows::for_limit(limit);
    best.score_rows(vectors, &found, &codes);
    best.score_rows(vectors, &unindexed, &codes);
    Some(best.rescore(vectors, query, limit))
}

/// Like [`nearest`], by scanning all codes.
pub(super) fn scan_codes(
    vectors: &Vectors,
    query: &[f32],
    within: &DocumentSet,
    limit: usize,
) -> Vec<(Candidate, DocumentId)> {
    let (_, codes) = quantize(query);
    let mut best = BestRows::for_limit(limit);
    let mut dots = Vec::new();
    for (number, block) in vectors.blocks.iter().enumerate() {
        best.score_block(block, number, &codes, within, &mut dots);
    }
    best.rescore(vectors, query, limit)
}

/// The best rows by the quantized query.
struct BestRows(TopRows);

impl BestRows {
    /// Keeps as many rows as must be rescored to find the `limit` best.
    fn for_limit(limit: usize) -> BestRows {
        BestRows(TopRows::new(rescored_rows(limit)))
    }

    fn push(&mut self, score: f32, row: u32) {
        self.0.push(total_order_key(score), row);
    }

    /// Scores given rows.
    fn score_rows(&mut self, vectors: &Vectors, rows: &[u32], query: &[i8]) {
        let kernel = kernels::dots();
        for (position, &row) in rows.iter().enumerate() {
            // Rows are scattered in memory. Without prefetching, each row would stall the CPU in turn.
            if let Some(&row) = rows.get(position + PREFETCH_DISTANCE) {
                kernels::prefetch(vectors.codes(row));
            }
            let (block, index) = vectors.locate(row);
            let mut dot = [0];
            kernel(
                query,
                block.codes.get(index),
                query.len(),
                &block.sums[index..=index],
                &mut dot,
            );
            self.push(dot[0] as f32 * block.scales[index], row);
        }
    }

    /// Scores the rows of block `number` whose documents are `within`. `dots` is a reused buffer.
    fn score_block(
        &mut self,
        block: &Block,
        number: usize,
        query: &[i8],
        within: &DocumentSet,
        dots: &mut Vec<i32>,
    ) {
        dots.resize(block.len(), 0);
        for run in block.codes.runs(block.len()) {
            let (sums, dots) = (&block.sums[run.rows.clone()], &mut dots[run.rows]);
            kernels::dots()(query, run.codes, run.stride, sums, dots);
        }
        let is_whole_block = block.is_within(within);
        for (index, (&dot, &scale)) in dots.iter().zip(&block.scales).enumerate() {
            let score = dot as f32 * scale;
            // Test the threshold first: looking up a document is a random memory access.
            if total_order_key(score) > self.0.threshold()
                && (is_whole_block || within.contains(block.documents[index]))
            {
                self.push(score, (number * BLOCK + index) as u32);
            }
        }
    }

    /// The `limit` best rows by the unquantized query.
    fn rescore(self, vectors: &Vectors, query: &[f32], limit: usize) -> Vec<(Candidate, DocumentId)> {
        let rescored = |row| {
            let (block, index) = vectors.locate(row);
            let candidate = Candidate {
                passage: block.passages[index],
                score: dot(block.codes.get(index), query) * block.scales[index],
            };
            (candidate, block.documents[index])
        };
        let mut hits: Vec<(Candidate, DocumentId)> = self.0.into_rows().into_iter().map(rescored).collect();
        hits.sort_by(|(one, _), (other, _)| {
            other
                .score
                .total_cmp(&one.score)
                .then_with(|| one.passage.cmp(&other.passage))
        });
        hits.truncate(limit);
        hits
    }
}

/// Number of rows to rescore for `limit` hits.
fn rescored_rows(limit: usize) -> usize {
    limit.saturating_mul(RESCORE_FACTOR).saturating_add(RESCORE_EXTRA)
}

/// An integer key with the order of [`f32::total_cmp`].
fn total_order_key(score: f32) -> i32 {
    let bits = score.to_bits() as i32;
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}

/// Dot product of codes and a vector, in lanes. With a single sum, each addition would wait for the one
/// before.
fn dot(codes: &[i8], query: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (codes, codes_tail) = codes.as_chunks::<LANES>();
    let (values, values_tail) = query.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (codes, values) in codes.iter().zip(values) {
        for lane in 0..LANES {
            sums[lane] += f32::from(codes[lane]) * values[lane];
        }
    }
    let tail = codes_tail.iter().zip(values_tail);
    let tail: f32 = tail.map(|(&code, value)| f32::from(code) * value).sum();
    sums.iter().sum::<f32>() + tail
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{documents, push_codes, unit_vector};
    use super::*;
    use crate::PassageId;
    use proptest::prelude::*;

    const DIMENSIONS: usize = 24;

    proptest! {
        #[test]
        fn keys_order_like_total_cmp(one in any::<f32>(), other in any::<f32>()) {
            prop_assert_eq!(total_order_key(one).cmp(&total_order_key(other)), one.total_cmp(&other));
        }

        #[test]
        fn lanes_add_up_to_the_sum(pairs in prop::collection::vec((any::<i8>(), -1f32..1.0), 0..100)) {
            let (codes, values): (Vec<i8>, Vec<f32>) = pairs.into_iter().unzip();
            let sum: f64 = codes.iter().zip(&values).map(|(&code, &value)| f64::from(code) * f64::from(value)).sum();
            prop_assert!((f64::from(dot(&codes, &values)) - sum).abs() < 1e-2);
        }

        /// The hits equal the first ones of all vectors sorted by their exact products, under any filter.
        #[test]
        fn search_equals_sorting(seed in any::<u64>(), count in 0usize..300, limit in 1usize..20, keep in 1u32..12) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut vectors = Vectors::new(DIMENSIONS, None);
            let all: Vec<(f32, Vec<i8>)> =
                (0..count).map(|_| quantize(&unit_vector(&mut rng, DIMENSIONS))).collect();
            all.iter().for_each(|(scale, codes)| push_codes(&mut vectors, *scale, codes));
            let query = unit_vector(&mut rng, DIMENSIONS);
            let within = documents(&vectors, |id| id % keep == 0);
            let mut exact: Vec<(f32, PassageId)> = (0..count)
                .filter(|&row| {
                    let (block, index) = vectors.locate(row as u32);
                    within.contains(block.documents[index])
                })
                .map(|row| {
                    let (scale, codes) = &all[row];
                    let product: f32 = codes.iter().zip(&query).map(|(&code, value)| f32::from(code) * value).sum();
                    (product * scale, PassageId(row as u64))
                })
                .collect();
            exact.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            exact.truncate(limit);
            let found = nearest(&vectors, &query, &within, limit);
            prop_assert_eq!(found.len(), exact.len());
            for ((candidate, _), (score, _)) in found.iter().zip(&exact) {
                prop_assert!((candidate.score - score).abs() < 1e-5, "{} {}", candidate.score, score);
            }
        }
    }
}
