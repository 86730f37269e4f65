//! The passages of the highest scores among those that were offered.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tantivy::{DocAddress, Score};

/// Puts the higher score first, and of equal scores the first in the index.
pub(super) fn best_first(
    (one, at_one): &(Score, DocAddress),
    (other, at_other): &(Score, DocAddress),
) -> Ordering {
    other.total_cmp(one).then_with(|| at_one.cmp(at_other))
}

/// The best passages so far.
pub(super) struct Top {
    limit: usize,
    /// The worst on top: it is what has to go.
    heap: BinaryHeap<Found>,
}

impl Top {
    /// Keeps `limit`, one at least.
    pub(super) fn new(limit: usize) -> Top {
        Top {
            limit: limit.max(1),
            heap: BinaryHeap::new(),
        }
    }

    /// What a passage has to beat, where there are as many as are kept.
    pub(super) fn worst(&self) -> Option<Score> {
        let worst = self.heap.peek().filter(|_| self.heap.len() == self.limit);
        worst.map(|Found((score, _))| *score)
    }

    /// Takes a passage in, in the place of the worst where there are as many as are kept.
    pub(super) fn offer(&mut self, score: Score, at: DocAddress) {
        let found = Found((score, at));
        if self.heap.len() < self.limit {
            self.heap.push(found);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && found < *worst
        {
            *worst = found;
        }
    }

    /// Best first, and of equal scores the first in the index first.
    pub(super) fn sorted(self) -> Vec<(Score, DocAddress)> {
        let found = self.heap.into_sorted_vec().into_iter();
        found.map(|Found(found)| found).collect()
    }
}

/// A score and where it is. The least is the best.
struct Found((Score, DocAddress));

impl Ord for Found {
    fn cmp(&self, other: &Found) -> Ordering {
        best_first(&self.0, &other.0)
    }
}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Found) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Found {
    fn eq(&self, other: &Found) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Found {}
