//! The nearest vectors. Integer arithmetic for many, floating point for the best few; which many hangs on how many there are:
//! those of the documents asked for where these are few, all of a small index, of a large one those with fitting signs.

use super::block::BLOCK;
use super::prefilter::{likely, likely_of};
use super::shortlist::Shortlist;
use super::{Block, Graph, Vectors, kernels, quantize};
use crate::{Candidate, DocumentId, DocumentSet};

/// How many times as many are rescored in floating point as are asked for: the query's own rounding may put a neighbour that
/// far down.
const RESCORED: usize = 3;
/// Rescored whatever is asked for.
const FEWEST_RESCORED: usize = 32;
/// From so many vectors on, signs are looked at first. Below, that saves less than a tenth of a millisecond.
pub(super) const PREFILTER_FROM: usize = 20_000;
/// Signs of single rows are looked at first where there are so many times as many rows as pass.
const WORTH_SIGNS: usize = 2;
/// How many times as many as are asked for pass the look at signs …
const LIKELY: usize = 6;
/// … how many besides, whatever is asked for …
const FEWEST_LIKELY: usize = 800;
/// … and one more of so many: the more vectors there are, the more of them have signs as good as a neighbour's.
const VECTORS_A_LIKELY: usize = 500;
/// So many vectors that a graph does not know are looked at one by one; where there are more, all are looked at by signs.
const MOST_AFTER_GRAPH: usize = 100_000;
/// Codes of so many rows ahead are asked for while one is looked at.
const AHEAD: usize = 8;
/// Looking at a single vector takes as long as at so many, one after another, by all their codes …
const SINGLE_CODES: usize = 8;
/// … and one by its signs as long as so many.
const SINGLE_SIGNS: usize = 20;

/// The `limit` nearest of `vectors` to `query`, a vector of length 1, whose document is `within`, by cosine, with the
/// document of each. Best first.
pub(crate) fn nearest(
    vectors: &Vectors,
    query: &[f32],
    within: &DocumentSet,
    limit: usize,
) -> Vec<(Candidate, DocumentId)> {
    if limit == 0 || query.len() != vectors.dimensions {
        return Vec::new();
    }
    let (_, codes) = quantize(query);
    let mut best = Best::wanting(limit);
    let large = vectors.len >= PREFILTER_FROM;
    let few = vectors.len / if large { SINGLE_SIGNS } else { SINGLE_CODES };
    let pass = |of: usize| {
        let besides = FEWEST_LIKELY + of / VECTORS_A_LIKELY;
        limit.saturating_mul(LIKELY).saturating_add(besides)
    };
    if let Some(mut rows) = vectors.rows_within(within, few) {
        let count = pass(rows.len());
        if rows.len() > count.saturating_mul(WORTH_SIGNS) {
            rows = likely_of(vectors, query, &rows, count);
        }
        compare(vectors, &rows, &codes, &mut best);
    } else if large {
        let count = pass(vectors.len);
        compare(vectors, &likely(vectors, query, within, count), &codes, &mut best);
    } else {
        return by_all_codes(vectors, query, within, limit);
    }
    best.rescored(vectors, query, limit)
}

/// As [`nearest`] by a graph, and by looking at what came after it. None where the graph cannot tell: too many of those it finds
/// are deleted, or too much came after it.
pub(crate) fn nearest_by_graph(
    vectors: &Vectors,
    graph: &Graph,
    query: &[f32],
    within: &DocumentSet,
    limit: usize,
) -> Option<Vec<(Candidate, DocumentId)>> {
    if query.len() != vectors.dimensions || vectors.len - graph.rows() > MOST_AFTER_GRAPH {
        return None;
    }
    let (_, codes) = quantize(query);
    let mut best = Best::wanting(limit);
    let is_within = |row: &u32| {
        let (block, place) = vectors.place(*row);
        within.contains(block.documents[place])
    };
    let found = graph.nearest(query, rescored_for(limit), |row| is_within(&row));
    if found.len() < limit {
        return None;
    }
    let after: Vec<u32> = (graph.rows() as u32..vectors.len as u32)
        .filter(is_within)
        .collect();
    compare(vectors, &found, &codes, &mut best);
    compare(vectors, &after, &codes, &mut best);
    Some(best.rescored(vectors, query, limit))
}

/// As [`nearest`], by looking at all codes.
pub(super) fn by_all_codes(
    vectors: &Vectors,
    query: &[f32],
    within: &DocumentSet,
    limit: usize,
) -> Vec<(Candidate, DocumentId)> {
    let (_, codes) = quantize(query);
    let mut best = Best::wanting(limit);
    let mut dots = Vec::new();
    for (number, block) in vectors.blocks.iter().enumerate() {
        scan(block, number, &codes, within, &mut dots, &mut best);
    }
    best.rescored(vectors, query, limit)
}

/// Offers some rows.
fn compare(vectors: &Vectors, rows: &[u32], query: &[i8], best: &mut Best) {
    let kernel = kernels::dots();
    for (index, &row) in rows.iter().enumerate() {
        // They lie anywhere, and one would be waited for after the other.
        if let Some(&row) = rows.get(index + AHEAD) {
            let (block, place) = vectors.place(row);
            kernels::bring_near(block.codes.of(place));
        }
        let (block, place) = vectors.place(row);
        let mut dot = [0];
        kernel(
            query,
            block.codes.of(place),
            query.len(),
            &block.sums[place..=place],
            &mut dot,
        );
        best.offer(dot[0] as f32 * block.scales[place], row);
    }
}

/// Offers the rows of a block that are of documents `within`.
fn scan(
    block: &Block,
    number: usize,
    query: &[i8],
    within: &DocumentSet,
    dots: &mut Vec<i32>,
    best: &mut Best,
) {
    dots.resize(block.len(), 0);
    for run in block.codes.runs(block.len()) {
        let (sums, dots) = (&block.sums[run.rows.clone()], &mut dots[run.rows]);
        kernels::dots()(query, run.codes, run.stride, sums, dots);
    }
    let is_whole = block.is_within(within);
    for (place, (&dot, &scale)) in dots.iter().zip(&block.scales).enumerate() {
        let score = dot as f32 * scale;
        if in_order(score) > best.0.threshold() && (is_whole || within.contains(block.documents[place])) {
            best.offer(score, (number * BLOCK + place) as u32);
        }
    }
}

/// The best rough scores so far.
struct Best(Shortlist);

impl Best {
    /// As many as have to be rescored for `limit` to be right.
    fn wanting(limit: usize) -> Best {
        Best(Shortlist::new(rescored_for(limit)))
    }

    fn offer(&mut self, score: f32, row: u32) {
        self.0.offer(in_order(score), row);
    }

    /// The `limit` best by what the codes and the query as it was come to.
    fn rescored(self, vectors: &Vectors, query: &[f32], limit: usize) -> Vec<(Candidate, DocumentId)> {
        let exact = |row| {
            let (block, place) = vectors.place(row);
            let candidate = Candidate {
                passage: block.passages[place],
                score: dot(block.codes.of(place), query) * block.scales[place],
            };
            (candidate, block.documents[place])
        };
        let mut found: Vec<(Candidate, DocumentId)> = self.0.into_rows().into_iter().map(exact).collect();
        found.sort_by(|(one, _), (other, _)| {
            other
                .score
                .total_cmp(&one.score)
                .then_with(|| one.passage.cmp(&other.passage))
        });
        found.truncate(limit);
        found
    }
}

/// How many have to be rescored for the `limit` best to be right.
fn rescored_for(limit: usize) -> usize {
    limit.saturating_mul(RESCORED).saturating_add(FEWEST_RESCORED)
}

/// A number that is greater where `score` is, as [`f32::total_cmp`] orders them.
fn in_order(score: f32) -> i32 {
    let bits = score.to_bits() as i32;
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}

/// Of codes and a vector. In lanes: one sum would have each addition wait for the one before.
fn dot(codes: &[i8], query: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (codes, last_codes) = codes.as_chunks::<LANES>();
    let (values, last_values) = query.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (codes, values) in codes.iter().zip(values) {
        for lane in 0..LANES {
            sums[lane] += f32::from(codes[lane]) * values[lane];
        }
    }
    let rest = last_codes.iter().zip(last_values);
    let rest: f32 = rest.map(|(&code, value)| f32::from(code) * value).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::super::QuantizedVector;
    use super::*;
    use crate::PassageId;
    use proptest::prelude::*;

    const DIMENSIONS: usize = 24;

    fn unit(seed: &mut u64) -> Vec<f32> {
        let mut value = || {
            *seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (*seed >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let vector: Vec<f32> = (0..DIMENSIONS).map(|_| value()).collect();
        let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
        vector.iter().map(|v| v / length).collect()
    }

    proptest! {
        #[test]
        fn numbers_stand_in_the_order_of_scores(one in any::<f32>(), other in any::<f32>()) {
            prop_assert_eq!(in_order(one).cmp(&in_order(other)), one.total_cmp(&other));
        }

        #[test]
        fn lanes_come_to_the_sum(pairs in prop::collection::vec((any::<i8>(), -1f32..1.0), 0..100)) {
            let (codes, values): (Vec<i8>, Vec<f32>) = pairs.into_iter().unzip();
            let sum: f64 = codes.iter().zip(&values).map(|(&code, &value)| f64::from(code) * f64::from(value)).sum();
            prop_assert!((f64::from(dot(&codes, &values)) - sum).abs() < 1e-2);
        }

        /// The same as sorting all by the exact product, under any filter.
        #[test]
        fn equals_brute_force(seed in any::<u64>(), count in 0usize..300, limit in 1usize..20, keep in 1u32..12) {
            let mut seed = seed;
            let mut vectors = Vectors::new(DIMENSIONS, None);
            let all: Vec<(f32, Vec<i8>)> = (0..count).map(|_| quantize(&unit(&mut seed))).collect();
            let coded = |number: usize| QuantizedVector {
                passage: PassageId(number as u64),
                document: DocumentId(number as u32 / 2),
                scale: all[number].0,
                codes: &all[number].1,
            };
            (0..count).for_each(|number| vectors.push(&coded(number), 0));
            let query = unit(&mut seed);
            let within: DocumentSet = (0..count as u32).filter(|id| id % keep == 0).map(DocumentId).collect();
            let mut exact: Vec<(f32, PassageId)> = (0..count)
                .map(coded)
                .filter(|v| within.contains(v.document))
                .map(|v| (v.codes.iter().zip(&query).map(|(&c, q)| f32::from(c) * q).sum::<f32>() * v.scale, v.passage))
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
