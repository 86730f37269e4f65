//! The exact nearest vectors by a plain loop over 32-bit values: what the search is measured against.

use std::time::{Duration, Instant};

use super::clusters::Clusters;

/// Vectors held at a time, 300 MB at 384 dimensions.
const HELD: u64 = 200_000;

/// What a plain scan finds, and how long it takes.
pub struct PlainScan {
    /// For each query the numbers of the nearest vectors, nearest first.
    pub nearest: Vec<Vec<u64>>,
    /// Of all vectors, for one query: the median.
    pub took: Duration,
}

/// Looks at `count` vectors for each of `queries`. Vectors are made a part at a time, outside of the time taken.
pub fn plain_scan(clusters: &mut Clusters, count: u64, queries: &[Vec<f32>], limit: usize) -> PlainScan {
    let mut found: Vec<Vec<(f32, u64)>> = vec![Vec::new(); queries.len()];
    let mut took = vec![Duration::ZERO; queries.len()];
    for first in (0..count).step_by(HELD as usize) {
        let vectors: Vec<Vec<f32>> = (first..count.min(first + HELD))
            .map(|number| clusters.vector(number))
            .collect();
        let flat: Vec<f32> = vectors.concat();
        for ((query, found), took) in queries.iter().zip(&mut found).zip(&mut took) {
            let started = Instant::now();
            for (number, vector) in (first..).zip(flat.chunks_exact(query.len())) {
                let score = dot(vector, query);
                if found.len() < limit || score > found[limit - 1].0 {
                    let at = found.partition_point(|(other, _)| *other >= score);
                    found.insert(at, (score, number));
                    found.truncate(limit);
                }
            }
            *took += started.elapsed();
        }
    }
    took.sort_unstable();
    PlainScan {
        nearest: found
            .into_iter()
            .map(|found| found.into_iter().map(|(_, number)| number).collect())
            .collect(),
        took: took.get(took.len() / 2).copied().unwrap_or_default(),
    }
}

/// A product in sixteen parts, which the compiler turns into vector instructions.
fn dot(one: &[f32], other: &[f32]) -> f32 {
    let mut parts = [0.0f32; 16];
    for (one, other) in one.chunks_exact(16).zip(other.chunks_exact(16)) {
        for (part, (a, b)) in parts.iter_mut().zip(one.iter().zip(other)) {
            *part += a * b;
        }
    }
    let rest = one.len() / 16 * 16;
    let tail: f32 = one[rest..].iter().zip(&other[rest..]).map(|(a, b)| a * b).sum();
    parts.iter().sum::<f32>() + tail
}

/// Which share of the nearest were found, on average.
pub fn recall(found: &[Vec<u64>], nearest: &[Vec<u64>]) -> f64 {
    let hits: usize = found
        .iter()
        .zip(nearest)
        .map(|(found, nearest)| nearest.iter().filter(|number| found.contains(number)).count())
        .sum();
    let all: usize = nearest.iter().map(Vec::len).sum();
    hits as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_vector_by_itself() {
        let mut clusters = Clusters::new(500, 100);
        let queries: Vec<Vec<f32>> = [3, 499].map(|number| clusters.vector(number)).into();
        let scan = plain_scan(&mut clusters, 500, &queries, 10);
        assert_eq!(scan.nearest[0][0], 3);
        assert_eq!(scan.nearest[1][0], 499);
        assert_eq!(scan.nearest[0].len(), 10);
        assert_eq!(recall(&[vec![1, 2]], &[vec![2, 3]]), 0.5);
    }

    #[test]
    fn a_product_is_a_product() {
        let (one, other): (Vec<f32>, Vec<f32>) = (0..37u8).map(|n| (f32::from(n), 2.0)).unzip();
        assert_eq!(dot(&one, &other), 36.0 * 37.0);
    }
}
