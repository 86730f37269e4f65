//! A bounded heap of the k best-scored passages.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use tantivy::{DocAddress, Score};

/// Orders hits by descending score, ties by ascending address.
pub(super) fn best_first(
    (one, one_at): &(Score, DocAddress),
    (other, other_at): &(Score, DocAddress),
) -> Ordering {
    other.total_cmp(one).then_with(|| one_at.cmp(other_at))
}

/// The k best hits so far.
pub(super) struct TopK {
    k: usize,
    /// The worst kept hit is on top, ready to be replaced.
    heap: BinaryHeap<Hit>,
}

impl TopK {
    /// Keeps `k` hits, at least one.
    pub(super) fn new(k: usize) -> TopK {
        TopK {
            k: k.max(1),
            heap: BinaryHeap::new(),
        }
    }

    /// The k-th best score, which the next hit must exceed. `None` while there are fewer than k hits.
    pub(super) fn threshold(&self) -> Option<Score> {
        let worst = self.heap.peek().filter(|_| self.heap.len() == self.k);
        worst.map(|Hit((score, _))| *score)
    }

    /// Keeps a hit if it is among the k best.
    pub(super) fn push(&mut self, score: Score, at: DocAddress) {
        let hit = Hit((score, at));
        if self.heap.len() < self.k {
            self.heap.push(hit);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && hit < *worst
        {
            *worst = hit;
        }
    }

    /// The kept hits, in the order of [`best_first`].
    pub(super) fn into_sorted(self) -> Vec<(Score, DocAddress)> {
        let hits = self.heap.into_sorted_vec().into_iter();
        hits.map(|Hit(hit)| hit).collect()
    }
}

/// A hit whose order is [`best_first`]: the best hit is the least.
struct Hit((Score, DocAddress));

impl Ord for Hit {
    fn cmp(&self, other: &Hit) -> Ordering {
        best_first(&self.0, &other.0)
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Hit) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Hit {
    fn eq(&self, other: &Hit) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Hit {}
