//! The nearest vectors, by looking at every one: integer arithmetic for all, floating point for the best few.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::{Block, Vectors, kernels, quantize};
use crate::{Candidate, DocumentId, DocumentSet};

/// How many times as many are rescored as are asked for: the query's own rounding may put a neighbour that far down.
const RESCORED: usize = 3;
/// Rescored whatever is asked for.
const FEWEST_RESCORED: usize = 32;

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
    let allowed = Bits::new(within);
    let (_, codes) = quantize(query);
    let mut best = Best::new(limit.saturating_mul(RESCORED).saturating_add(FEWEST_RESCORED));
    let mut dots = Vec::new();
    for (number, block) in vectors.blocks.iter().enumerate() {
        scan(block, number, &codes, &allowed, &mut dots, &mut best);
    }
    let mut found: Vec<(Candidate, DocumentId)> = best
        .heap
        .into_iter()
        .map(|Rough { block, row, .. }| {
            let block = &vectors.blocks[block];
            let codes = &block.codes[row * vectors.dimensions..][..vectors.dimensions];
            let dot: f32 = codes
                .iter()
                .zip(query)
                .map(|(&code, value)| f32::from(code) * value)
                .sum();
            let candidate = Candidate {
                passage: block.passages[row],
                score: dot * block.scales[row],
            };
            (candidate, block.documents[row])
        })
        .collect();
    found.sort_by(|(one, _), (other, _)| {
        other
            .score
            .total_cmp(&one.score)
            .then_with(|| one.passage.cmp(&other.passage))
    });
    found.truncate(limit);
    found
}

fn scan(block: &Block, number: usize, query: &[i8], allowed: &Bits, dots: &mut Vec<i32>, best: &mut Best) {
    let kernel = kernels::dots();
    let any = block
        .documents
        .iter()
        .filter(|document| allowed.contains(**document))
        .count();
    // Where few are allowed, only those are looked at.
    if any * 8 < block.len() {
        let mut dot = [0];
        for (row, _) in block
            .documents
            .iter()
            .enumerate()
            .filter(|(_, document)| allowed.contains(**document))
        {
            let codes = &block.codes[row * query.len()..][..query.len()];
            kernel(query, codes, &block.sums[row..=row], &mut dot);
            best.offer(dot[0] as f32 * block.scales[row], number, row);
        }
        return;
    }
    dots.resize(block.len(), 0);
    kernel(query, &block.codes, &block.sums, dots);
    for (row, (&dot, &scale)) in dots.iter().zip(&block.scales).enumerate() {
        let score = dot as f32 * scale;
        if score > best.threshold && allowed.contains(block.documents[row]) {
            best.offer(score, number, row);
        }
    }
}

/// The documents that may answer, a bit each.
struct Bits(Vec<u64>);

impl Bits {
    fn new(set: &DocumentSet) -> Bits {
        let mut words = vec![0u64; set.max().map_or(0, |DocumentId(max)| max as usize / 64 + 1)];
        for DocumentId(id) in set.iter() {
            words[id as usize / 64] |= 1 << (id % 64);
        }
        Bits(words)
    }

    fn contains(&self, DocumentId(id): DocumentId) -> bool {
        self.0
            .get(id as usize / 64)
            .is_some_and(|word| word >> (id % 64) & 1 == 1)
    }
}

/// A vector by its rough score.
struct Rough {
    score: f32,
    block: usize,
    row: usize,
}

/// The best rough scores so far.
struct Best {
    heap: BinaryHeap<Rough>,
    size: usize,
    threshold: f32,
}

impl Best {
    fn new(size: usize) -> Best {
        Best {
            heap: BinaryHeap::with_capacity(size.min(1 << 16)),
            size,
            threshold: f32::NEG_INFINITY,
        }
    }

    fn offer(&mut self, score: f32, block: usize, row: usize) {
        if score <= self.threshold {
            return;
        }
        self.heap.push(Rough { score, block, row });
        if self.heap.len() > self.size {
            self.heap.pop();
        }
        if self.heap.len() == self.size {
            self.threshold = self.heap.peek().map_or(f32::NEG_INFINITY, |worst| worst.score);
        }
    }
}

// The heap's top is the worst, which is what has to go.
impl Ord for Rough {
    fn cmp(&self, other: &Rough) -> Ordering {
        other
            .score
            .total_cmp(&self.score)
            .then_with(|| (self.block, self.row).cmp(&(other.block, other.row)))
    }
}

impl PartialOrd for Rough {
    fn partial_cmp(&self, other: &Rough) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rough {
    fn eq(&self, other: &Rough) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Rough {}

#[cfg(test)]
mod tests {
    use super::super::Coded;
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
        /// The same as sorting all by the exact product, under any filter.
        #[test]
        fn equals_brute_force(seed in any::<u64>(), count in 0usize..300, limit in 1usize..20, keep in 1u32..12) {
            let mut seed = seed;
            let mut vectors = Vectors::new(DIMENSIONS);
            let mut all = Vec::new();
            for number in 0..count {
                let (scale, codes) = quantize(&unit(&mut seed));
                let coded = Coded { passage: PassageId(number as u64), document: DocumentId(number as u32 / 2), scale, codes };
                vectors.push(&coded);
                all.push(coded);
            }
            let query = unit(&mut seed);
            let within: DocumentSet = (0..count as u32).filter(|id| id % keep == 0).map(DocumentId).collect();
            let mut exact: Vec<(f32, PassageId)> = all
                .iter()
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
