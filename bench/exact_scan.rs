//! Exact nearest neighbours by a flat scan over f32 values: the reference for latency and recall.

use std::time::{Duration, Instant};

/// Vectors in memory at a time: 300 MB at 384 dimensions.
const CHUNK: u64 = 200_000;
/// Rounding allowed when an exact score is compared with the k-th best.
const TOLERANCE: f32 = 1e-5;

/// The exact k-th best score of each query, and the time a scan takes.
pub struct ExactScan {
    k: usize,
    /// One score per query.
    kth_scores: Vec<f32>,
    /// Median time of one query over all vectors.
    pub median: Duration,
}

impl ExactScan {
    /// Scans `count` vectors for each of `queries`. `vector` generates a vector from its number; the time for
    /// that is not measured.
    pub fn run(
        count: u64,
        queries: &[Vec<f32>],
        k: usize,
        mut vector: impl FnMut(u64) -> Vec<f32>,
    ) -> ExactScan {
        let mut best: Vec<Vec<f32>> = vec![Vec::new(); queries.len()];
        let mut times = vec![Duration::ZERO; queries.len()];
        for first in (0..count).step_by(CHUNK as usize) {
            let numbers = first..count.min(first + CHUNK);
            let values: Vec<f32> = numbers.flat_map(&mut vector).collect();
            for ((query, best), time) in queries.iter().zip(&mut best).zip(&mut times) {
                let started = Instant::now();
                for vector in values.chunks_exact(query.len()) {
                    let score = dot(vector, query);
                    if best.len() < k || score > best[k - 1] {
                        let at = best.partition_point(|other| *other >= score);
                        best.insert(at, score);
                        best.truncate(k);
                    }
                }
                *time += started.elapsed();
            }
        }
        times.sort_unstable();
        ExactScan {
            k,
            kth_scores: best
                .iter()
                .map(|best| best.last().copied().unwrap_or(1.0))
                .collect(),
            median: times.get(times.len() / 2).copied().unwrap_or_default(),
        }
    }

    /// Recall@k of `found`, the numbers of the vectors found for each query.
    ///
    /// A hit counts if its exact score reaches the k-th best. Among equal vectors it does not matter which
    /// are found.
    pub fn recall(
        &self,
        queries: &[Vec<f32>],
        found: &[Vec<u64>],
        mut vector: impl FnMut(u64) -> Vec<f32>,
    ) -> f64 {
        let mut hits = 0;
        for ((query, kth), found) in queries.iter().zip(&self.kth_scores).zip(found) {
            let is_hit = |number: &&u64| dot(&vector(**number), query) >= kth - TOLERANCE;
            hits += found.iter().take(self.k).filter(is_hit).count();
        }
        hits as f64 / (self.k * queries.len()).max(1) as f64
    }
}

/// Dot product in sixteen lanes, which the compiler turns into SIMD.
pub fn dot(one: &[f32], other: &[f32]) -> f32 {
    const LANES: usize = 16;
    let (one, one_tail) = one.as_chunks::<LANES>();
    let (other, other_tail) = other.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (one, other) in one.iter().zip(other) {
        for lane in 0..LANES {
            sums[lane] += one[lane] * other[lane];
        }
    }
    let tail: f32 = one_tail.iter().zip(other_tail).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clusters::Clusters;

    #[test]
    fn a_vector_is_its_own_nearest_neighbour() {
        let mut clusters = Clusters::new(500, 100);
        let queries: Vec<Vec<f32>> = [3, 499].map(|number| clusters.vector(number)).into();
        let scan = ExactScan::run(500, &queries, 1, |number| clusters.vector(number));
        let recall = |found: &[Vec<u64>]| scan.recall(&queries, found, |n| Clusters::new(500, 100).vector(n));
        assert_eq!(recall(&[vec![3], vec![499]]), 1.0);
        assert_eq!(recall(&[vec![3], vec![4]]), 0.5);
    }

    #[test]
    fn dot_products_include_the_tail() {
        let (one, other): (Vec<f32>, Vec<f32>) = (0..37u8).map(|n| (f32::from(n), 2.0)).unzip();
        assert_eq!(dot(&one, &other), 36.0 * 37.0);
    }
}
