//! nDCG, recall and reciprocal rank, computed as in trec_eval and BEIR.

use std::collections::HashMap;
use std::iter::Sum;
use std::ops::{Add, Div};

/// Measures of one ranking, or their means over several.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measures {
    /// nDCG@10: normalized discounted cumulative gain of the first ten documents, with linear gain (Järvelin and Kekäläinen, 2002).
    pub ndcg_10: f64,
    /// Recall@10: share of the relevant documents that are among the first ten.
    pub recall_10: f64,
    /// Recall@100: share of the relevant documents that are among the first hundred.
    pub recall_100: f64,
    /// MRR@10: reciprocal rank of the first relevant document, or 0 if it is not among the first ten.
    pub mrr_10: f64,
}

impl Measures {
    /// Measures a ranking of document ids, best first. `grades` are the judgments of the question.
    pub fn of<'a>(ranking: impl IntoIterator<Item = &'a str>, grades: &HashMap<String, u32>) -> Measures {
        let gains: Vec<f64> = ranking
            .into_iter()
            .take(100)
            .map(|id| f64::from(grades.get(id).copied().unwrap_or(0)))
            .collect();
        let mut ideal: Vec<f64> = grades.values().map(|grade| f64::from(*grade)).collect();
        ideal.sort_by(|one, other| other.total_cmp(one));
        let relevant = ideal.iter().filter(|gain| **gain > 0.0).count();
        if relevant == 0 {
            return Measures::default();
        }
        let relevant_within =
            |depth: usize| gains.iter().take(depth).filter(|gain| **gain > 0.0).count() as f64;
        let first = gains.iter().take(10).position(|gain| *gain > 0.0);
        Measures {
            ndcg_10: dcg(&gains) / dcg(&ideal),
            recall_10: relevant_within(10) / relevant as f64,
            recall_100: relevant_within(100) / relevant as f64,
            mrr_10: first.map_or(0.0, |at| 1.0 / (at + 1) as f64),
        }
    }
}

/// DCG@10: the sum of the first ten gains, each divided by `log2(rank + 1)`.
fn dcg(gains: &[f64]) -> f64 {
    let ranked = gains.iter().take(10).zip(2u32..);
    ranked.map(|(gain, rank)| gain / f64::from(rank).log2()).sum()
}

impl Add for Measures {
    type Output = Measures;

    fn add(self, other: Measures) -> Measures {
        Measures {
            ndcg_10: self.ndcg_10 + other.ndcg_10,
            recall_10: self.recall_10 + other.recall_10,
            recall_100: self.recall_100 + other.recall_100,
            mrr_10: self.mrr_10 + other.mrr_10,
        }
    }
}

impl Sum for Measures {
    fn sum<I: Iterator<Item = Measures>>(all: I) -> Measures {
        all.fold(Measures::default(), Add::add)
    }
}

impl Div<f64> for Measures {
    type Output = Measures;

    fn div(self, by: f64) -> Measures {
        Measures {
            ndcg_10: self.ndcg_10 / by,
            recall_10: self.recall_10 / by,
            recall_100: self.recall_100 / by,
            mrr_10: self.mrr_10 / by,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grades(list: &[(&str, u32)]) -> HashMap<String, u32> {
        list.iter()
            .map(|(id, grade)| ((*id).to_owned(), *grade))
            .collect()
    }

    #[test]
    fn a_perfect_ranking_scores_1_and_a_useless_one_0() {
        let judged = grades(&[("a", 2), ("b", 1), ("c", 0)]);
        let perfect = Measures::of(["a", "b", "x"], &judged);
        assert_eq!(
            perfect,
            Measures {
                ndcg_10: 1.0,
                recall_10: 1.0,
                recall_100: 1.0,
                mrr_10: 1.0
            }
        );
        assert_eq!(Measures::of(["c", "x"], &judged), Measures::default());
        assert_eq!(Measures::of(["a"], &grades(&[("a", 0)])), Measures::default());
    }

    #[test]
    fn ranks_are_discounted() {
        let judged = grades(&[("a", 2), ("b", 1)]);
        let measured = Measures::of(["x", "b", "a"], &judged);
        let expected = (1.0 / 3f64.log2() + 2.0 / 4f64.log2()) / (2.0 + 1.0 / 3f64.log2());
        assert!((measured.ndcg_10 - expected).abs() < 1e-12);
        assert_eq!(measured.mrr_10, 0.5);
        let late: Vec<String> = (0..10).map(|n| n.to_string()).chain(["a".to_owned()]).collect();
        let measured = Measures::of(late.iter().map(String::as_str), &judged);
        assert_eq!(
            (measured.recall_10, measured.recall_100, measured.mrr_10),
            (0.0, 0.5, 0.0)
        );
    }
}
