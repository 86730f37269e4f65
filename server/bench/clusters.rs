//! Made-up vectors that crowd together as those of text do: a share that all have, topics, themes within a topic, and what is
//! a passage's own.

use super::prose::Prose;

/// Vectors of a theme: about as many as a long document has passages.
const THEME: u64 = 40;
/// Vectors of a topic, on average.
const TOPIC: u64 = 2000;
/// What vectors have of each part. Squares add up to 1, so that two of a theme have a cosine of 0.69, of a topic 0.44, any two
/// 0.19: as all-MiniLM-L6-v2 has them on technical documentation.
const COMMON_PART: f32 = 0.43;
const TOPIC_PART: f32 = 0.5;
const THEME_PART: f32 = 0.5;
const OWN_PART: f32 = 0.561;
/// Seeds of the parts, far apart from one another.
const TOPICS: u64 = 1 << 40;
const THEMES: u64 = 2 << 40;
const QUERIES: u64 = 3 << 40;

/// Makes vectors, the same for a number each time.
pub struct Clusters {
    count: u64,
    common: Vec<f32>,
    topics: Vec<Vec<f32>>,
    theme: (u64, Vec<f32>),
}

impl Clusters {
    /// Of `count` vectors of `dimensions`.
    pub fn new(count: u64, dimensions: usize) -> Clusters {
        let topics = count.div_ceil(TOPIC).max(8);
        Clusters {
            count,
            common: noise(TOPICS, dimensions, COMMON_PART),
            topics: (1..=topics)
                .map(|topic| noise(TOPICS + topic, dimensions, TOPIC_PART))
                .collect(),
            theme: (u64::MAX, Vec::new()),
        }
    }

    /// The vector of a number, counted from 0, of length 1.
    pub fn vector(&mut self, number: u64) -> Vec<f32> {
        self.near(number, number)
    }

    /// A query near some of the vectors and equal to none, of length 1.
    pub fn query(&mut self, number: u64) -> Vec<f32> {
        let beside = Prose::new(QUERIES + number).number(self.count);
        self.near(beside, QUERIES + number)
    }

    fn near(&mut self, number: u64, own: u64) -> Vec<f32> {
        let theme = number / THEME;
        if self.theme.0 != theme {
            let mut centre = noise(THEMES + theme, self.common.len(), THEME_PART);
            let topic = Prose::new(THEMES + theme).number(self.topics.len() as u64) as usize;
            add(&mut centre, &self.common);
            add(&mut centre, &self.topics[topic]);
            self.theme = (theme, centre);
        }
        let mut vector = noise(own, self.common.len(), OWN_PART);
        add(&mut vector, &self.theme.1);
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

    #[test]
    fn a_theme_is_closer_than_a_stranger() {
        let mut clusters = Clusters::new(10_000, 384);
        let first = clusters.vector(0);
        assert_eq!(first, clusters.vector(0));
        assert!((cosine(&first, &first) - 1.0).abs() < 1e-5);
        let of_theme = cosine(&first, &clusters.vector(THEME - 1));
        let strangers: f32 = (1..50)
            .map(|theme| cosine(&first, &clusters.vector(theme * THEME)))
            .sum();
        assert!((of_theme - 0.69).abs() < 0.1, "{of_theme}");
        assert!(strangers / 49.0 < 0.4, "{strangers}");
    }
}
