//! Made-up vectors that crowd together as those of text do: clusters of three, which are three to a larger cluster, and so on up
//! to all of them, nearer to one another the smaller the cluster.

use super::prose::Prose;

/// Clusters in a larger one.
const BRANCHES: u64 = 3;
/// The cosine of two vectors that share a cluster of 3, of 9, of 27 and so on, but no smaller one; the last is that of any two.
/// As all-MiniLM-L6-v2 has it over 790,247 passages of technical documentation: the median cosine of a passage with its nearest
/// was .98, with its 10th .91, its 100th .78, its 1000th .66, its 10,000th .52.
const COSINES: [f32; 13] = [
    0.965, 0.915, 0.86, 0.80, 0.735, 0.68, 0.625, 0.555, 0.49, 0.42, 0.34, 0.27, 0.19,
];
/// What a query has of the passage that it is about; the rest is its own. On the same documentation the median cosine of a question
/// of a few words was .63 with the nearest passage, .54 with the 10th, .46 with the 100th, .37 with the 1000th.
const QUERY_PART: f32 = 0.6;
/// Seeds of the levels, far apart from one another.
const LEVELS: u64 = 1 << 40;
const QUERIES: u64 = 1 << 50;

/// Makes vectors, the same for a number each time.
pub struct Clusters {
    count: u64,
    /// The part that a vector has of each level, the smallest clusters first, and its own before them.
    parts: Vec<f32>,
    /// The cluster of each level that the last vector was of, and the sum of its direction and those above.
    path: Vec<(u64, Vec<f32>)>,
}

impl Clusters {
    /// Of `count` vectors of `dimensions`.
    pub fn new(count: u64, dimensions: usize) -> Clusters {
        let mut parts = Vec::new();
        let (mut nearer, mut size) = (1.0, BRANCHES);
        for (level, &cosine) in COSINES.iter().enumerate() {
            // A level of one cluster is what all share. What levels above would tell apart, the last one does.
            let is_last = size >= count || level + 1 == COSINES.len();
            let cosine = if is_last {
                COSINES[COSINES.len() - 1]
            } else {
                cosine
            };
            parts.push((nearer - cosine).max(0.0).sqrt());
            if is_last {
                break;
            }
            (nearer, size) = (cosine, size * BRANCHES);
        }
        parts.push(COSINES[COSINES.len() - 1].sqrt());
        let path = vec![(u64::MAX, vec![0.0; dimensions]); parts.len()];
        Clusters { count, parts, path }
    }

    /// The vector of a number, counted from 0, of length 1.
    pub fn vector(&mut self, number: u64) -> Vec<f32> {
        self.near(number, number)
    }

    /// A query near some of the vectors and equal to none, of length 1.
    pub fn query(&mut self, number: u64) -> Vec<f32> {
        let beside = Prose::new(QUERIES + number).number(self.count);
        let mut vector = self.near(beside, QUERIES + 2 * number);
        scale(&mut vector, QUERY_PART);
        let own = (1.0 - QUERY_PART * QUERY_PART).sqrt();
        let dimensions = vector.len();
        add(&mut vector, &noise(QUERIES + 2 * number + 1, dimensions, own));
        scale(&mut vector, 1.0);
        vector
    }

    /// A vector in the place of `number`, with a part of its own.
    fn near(&mut self, number: u64, own: u64) -> Vec<f32> {
        let dimensions = self.path[0].1.len();
        let top = self.parts.len() - 1;
        let mut above = vec![0.0; dimensions];
        for level in (1..=top).rev() {
            let cluster = match level == top {
                true => 0,
                false => number / BRANCHES.pow(level as u32),
            };
            if self.path[level].0 != cluster {
                let seed = LEVELS * level as u64 + cluster;
                let mut sum = noise(seed, dimensions, self.parts[level]);
                add(&mut sum, &above);
                self.path[level] = (cluster, sum);
                // Clusters below that have the same number are in another one above.
                self.path[1..level]
                    .iter_mut()
                    .for_each(|below| below.0 = u64::MAX);
            }
            above.copy_from_slice(&self.path[level].1);
        }
        let mut vector = noise(own, dimensions, self.parts[0]);
        add(&mut vector, &above);
        scale(&mut vector, 1.0);
        vector
    }
}

/// A direction of its own for each seed.
fn noise(seed: u64, dimensions: usize, length: f32) -> Vec<f32> {
    let mut prose = Prose::new(seed);
    let mut vector: Vec<f32> = (0..dimensions).map(|_| prose.fraction()).collect();
    scale(&mut vector, length);
    vector
}

fn add(to: &mut [f32], other: &[f32]) {
    to.iter_mut().zip(other).for_each(|(to, other)| *to += other);
}

fn scale(vector: &mut [f32], length: f32) {
    let now = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    let by = length / now.max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|value| *value *= by);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(one: &[f32], other: &[f32]) -> f32 {
        one.iter().zip(other).map(|(a, b)| a * b).sum()
    }

    /// Median of the cosines of vector `of(number)` with that of `number + apart`.
    fn median(clusters: &mut Clusters, apart: u64, of: fn(&mut Clusters, u64) -> Vec<f32>) -> f32 {
        let mut all: Vec<f32> = (0..99)
            .map(|number| {
                cosine(
                    &of(clusters, number * 2187),
                    &clusters.vector(number * 2187 + apart),
                )
            })
            .collect();
        all.sort_by(f32::total_cmp);
        all[all.len() / 2]
    }

    #[test]
    fn the_smaller_a_cluster_the_nearer() {
        let mut clusters = Clusters::new(1_000_000, 384);
        let first = clusters.vector(0);
        assert_eq!(first, clusters.vector(0));
        assert!((cosine(&first, &first) - 1.0).abs() < 1e-5);
        for (apart, expected) in [(1, 0.965), (3, 0.915), (9, 0.86), (243, 0.68), (400_000, 0.27)] {
            let found = median(&mut clusters, apart, Clusters::vector);
            assert!((found - expected).abs() < 0.04, "{apart}: {found}");
        }
    }

    #[test]
    fn a_query_has_neighbours_and_is_far_from_the_others() {
        let mut clusters = Clusters::new(20_000, 384);
        // What a query has of its own lies nearer to one cluster than to another by chance: its median is what is meant.
        let queries = 19;
        let mut by_rank = vec![Vec::new(); 4];
        for number in 0..queries {
            let query = clusters.query(number);
            let mut all: Vec<f32> = (0..20_000)
                .map(|other| cosine(&query, &clusters.vector(other)))
                .collect();
            all.sort_by(|one, other| other.total_cmp(one));
            for (found, rank) in by_rank.iter_mut().zip([1, 10, 1000, 20_000]) {
                found.push(all[rank - 1]);
            }
        }
        for (mut found, expected) in by_rank.into_iter().zip([0.63, 0.54, 0.37, 0.0]) {
            found.sort_by(f32::total_cmp);
            let median = found[found.len() / 2];
            assert!((median - expected).abs() < 0.06, "{median}, not {expected}");
        }
    }

    #[test]
    fn few_vectors_are_told_apart_as_well() {
        for count in [1, 2, 4, 30] {
            let mut clusters = Clusters::new(count, 64);
            let all: Vec<Vec<f32>> = (0..count).map(|number| clusters.vector(number)).collect();
            for (number, vector) in all.iter().enumerate() {
                assert!((cosine(vector, vector) - 1.0).abs() < 1e-4);
                assert!(all[..number].iter().all(|other| cosine(vector, other) < 0.999));
            }
        }
    }
}
