//! Synthetic vectors with the neighbourhoods of text embeddings: clusters of three vectors, three of which form
//! a larger cluster, and so on.

/// Clusters per cluster of the next level.
const BRANCHES: u64 = 3;
/// Cosine of two vectors whose smallest common cluster has 3, 9, 27, … vectors. The last value applies to any
/// two vectors.
///
/// Modelled on all-MiniLM-L6-v2 over 790,247 passages of technical documentation. There, the median cosine of
/// a passage with its nearest neighbour was .98, with the 10th .91, the 100th .78, the 1000th .66, the
/// 10,000th .52.
const COSINES: [f32; 13] = [
    0.965, 0.915, 0.86, 0.80, 0.735, 0.68, 0.625, 0.555, 0.49, 0.42, 0.34, 0.27, 0.19,
];
/// Cosine of a query with the cluster that it asks about.
///
/// On the same documentation the median cosine of a question of a few words was .63 with the nearest passage,
/// .54 with the 10th, .46 with the 100th, .37 with the 1000th.
const QUERY_COSINE: f32 = 0.6;
/// Distance between the seeds of two levels. Larger than any number of clusters.
const LEVEL_SEEDS: u64 = 1 << 40;
/// First seed of queries. Above those of all levels.
const QUERY_SEEDS: u64 = 1 << 50;

/// Generates vectors from their numbers. The same number gives the same vector.
pub struct Clusters {
    count: u64,
    /// Weight of a vector's own direction, then of the direction of its cluster on each level, the smallest
    /// clusters first.
    weights: Vec<f32>,
    /// For each level: the cluster of the last vector made, and the sum of its direction and those of the
    /// levels above.
    path: Vec<(u64, Vec<f32>)>,
}

impl Clusters {
    /// A generator of `count` unit vectors.
    pub fn new(count: u64, dimensions: usize) -> Clusters {
        let mut weights = Vec::new();
        let (mut below, mut size) = (1.0, BRANCHES);
        for (level, &cosine) in COSINES.iter().enumerate() {
            // A level with a single cluster is common to all vectors and takes the cosine of any two.
            let is_last = size >= count || level + 1 == COSINES.len();
            let cosine = if is_last {
                COSINES[COSINES.len() - 1]
            } else {
                cosine
            };
            weights.push((below - cosine).max(0.0).sqrt());
            if is_last {
                break;
            }
            (below, size) = (cosine, size * BRANCHES);
        }
        weights.push(COSINES[COSINES.len() - 1].sqrt());
        let path = vec![(u64::MAX, vec![0.0; dimensions]); weights.len()];
        Clusters { count, weights, path }
    }

    /// The unit vector of a number, counted from 0.
    pub fn vector(&mut self, number: u64) -> Vec<f32> {
        self.near(number, number)
    }

    /// A unit vector near some cluster and equal to no vector.
    pub fn query(&mut self, number: u64) -> Vec<f32> {
        let target = fastrand::Rng::with_seed(QUERY_SEEDS + number).u64(0..self.count);
        let mut vector = self.near(target, QUERY_SEEDS + 2 * number);
        scale_to(&mut vector, QUERY_COSINE);
        let own = (1.0 - QUERY_COSINE * QUERY_COSINE).sqrt();
        let dimensions = vector.len();
        add(
            &mut vector,
            &direction(QUERY_SEEDS + 2 * number + 1, dimensions, own),
        );
        scale_to(&mut vector, 1.0);
        vector
    }

    /// A vector in the clusters of `number` whose own direction has the seed `own`.
    fn near(&mut self, number: u64, own: u64) -> Vec<f32> {
        let dimensions = self.path[0].1.len();
        let top = self.weights.len() - 1;
        let mut above = vec![0.0; dimensions];
        for level in (1..=top).rev() {
            let cluster = if level == top {
                0
            } else {
                number / BRANCHES.pow(level as u32)
            };
            if self.path[level].0 != cluster {
                let seed = LEVEL_SEEDS * level as u64 + cluster;
                let mut sum = direction(seed, dimensions, self.weights[level]);
                add(&mut sum, &above);
                self.path[level] = (cluster, sum);
                // The sums below contain the old direction, even where the cluster number is the same.
                self.path[1..level]
                    .iter_mut()
                    .for_each(|below| below.0 = u64::MAX);
            }
            above.copy_from_slice(&self.path[level].1);
        }
        let mut vector = direction(own, dimensions, self.weights[0]);
        add(&mut vector, &above);
        scale_to(&mut vector, 1.0);
        vector
    }
}

/// The direction that belongs to `seed`.
fn direction(seed: u64, dimensions: usize, length: f32) -> Vec<f32> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut vector: Vec<f32> = (0..dimensions).map(|_| rng.f32() * 2.0 - 1.0).collect();
    scale_to(&mut vector, length);
    vector
}

fn add(to: &mut [f32], other: &[f32]) {
    to.iter_mut().zip(other).for_each(|(to, other)| *to += other);
}

fn scale_to(vector: &mut [f32], length: f32) {
    let now = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    let factor = length / now.max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|value| *value *= factor);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact_scan::dot;

    /// Median cosine of 99 vectors, each with the vector `distance` numbers later.
    fn median_cosine(clusters: &mut Clusters, distance: u64) -> f32 {
        let mut cosines: Vec<f32> = (0..99)
            .map(|number| number * 2187)
            .map(|number| dot(&clusters.vector(number), &clusters.vector(number + distance)))
            .collect();
        cosines.sort_by(f32::total_cmp);
        cosines[cosines.len() / 2]
    }

    #[test]
    fn the_smaller_the_common_cluster_the_higher_the_cosine() {
        let mut clusters = Clusters::new(1_000_000, 384);
        let first = clusters.vector(0);
        assert_eq!(first, clusters.vector(0));
        assert!((dot(&first, &first) - 1.0).abs() < 1e-5);
        for (distance, expected) in [(1, 0.965), (3, 0.915), (9, 0.86), (243, 0.68), (400_000, 0.27)] {
            let median = median_cosine(&mut clusters, distance);
            assert!((median - expected).abs() < 0.04, "{distance}: {median}");
        }
    }

    #[test]
    fn queries_have_the_cosines_of_real_questions() {
        let mut clusters = Clusters::new(20_000, 384);
        // The query's own direction leans towards some clusters by chance, so compare medians.
        let mut by_rank = vec![Vec::new(); 4];
        for number in 0..19 {
            let query = clusters.query(number);
            let mut cosines: Vec<f32> = (0..20_000)
                .map(|other| dot(&query, &clusters.vector(other)))
                .collect();
            cosines.sort_by(|one, other| other.total_cmp(one));
            for (cosines_at, rank) in by_rank.iter_mut().zip([1, 10, 1000, 20_000]) {
                cosines_at.push(cosines[rank - 1]);
            }
        }
        for (mut cosines, expected) in by_rank.into_iter().zip([0.63, 0.54, 0.37, 0.0]) {
            cosines.sort_by(f32::total_cmp);
            let median = cosines[cosines.len() / 2];
            assert!((median - expected).abs() < 0.06, "{median}, not {expected}");
        }
    }

    #[test]
    fn small_collections_have_distinct_vectors() {
        for count in [1, 2, 4, 30] {
            let mut clusters = Clusters::new(count, 64);
            let vectors: Vec<Vec<f32>> = (0..count).map(|number| clusters.vector(number)).collect();
            for (number, vector) in vectors.iter().enumerate() {
                assert!((dot(vector, vector) - 1.0).abs() < 1e-4);
                assert!(vectors[..number].iter().all(|other| dot(vector, other) < 0.999));
            }
        }
    }
}
