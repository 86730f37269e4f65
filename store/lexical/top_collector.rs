//! A tantivy collector of the k best-scored passages, with an optional document filter.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::query::Weight;
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};

use super::top_k::{TopK, best_first};
use crate::{DocumentId, DocumentSet, PassageId};

/// Top-k collector that carries the k-th score across segments. Block-max pruning therefore applies from the
/// first block of each further segment.
///
/// tantivy's own collector is no substitute: wrapped in a filter collector, it prunes no blocks.
pub(super) struct TopCollector<'a> {
    k: usize,
    allowed: Option<&'a DocumentSet>,
    excluded: &'a HashSet<PassageId>,
    /// The bits of the highest k-th score of any segment so far.
    threshold: AtomicU32,
}

impl<'a> TopCollector<'a> {
    /// Collects `k` passages of the documents `allowed`, or of all documents, except the passages `excluded`.
    pub(super) fn new(
        k: usize,
        allowed: Option<&'a DocumentSet>,
        excluded: &'a HashSet<PassageId>,
    ) -> TopCollector<'a> {
        TopCollector {
            k: k.max(1),
            allowed,
            excluded,
            threshold: AtomicU32::new(Score::MIN.to_bits()),
        }
    }
}

impl Collector for TopCollector<'_> {
    /// Ordered by [`best_first`].
    type Fruit = Vec<(Score, DocAddress)>;
    type Child = Unused;

    fn for_segment(&self, _: SegmentOrdinal, _: &SegmentReader) -> tantivy::Result<Unused> {
        Ok(Unused)
    }

    fn requires_scoring(&self) -> bool {
        true
    }

    fn collect_segment(
        &self,
        weight: &dyn Weight,
        segment: SegmentOrdinal,
        reader: &SegmentReader,
    ) -> tantivy::Result<Vec<(Score, DocAddress)>> {
        let column = |name, is_needed: bool| is_needed.then(|| reader.fast_fields().u64(name)).transpose();
        let documents = column("document", self.allowed.is_some())?;
        let passages = column("passage", !self.excluded.is_empty())?;
        let is_allowed = |doc: DocId| {
            let (Some(documents), Some(allowed)) = (&documents, self.allowed) else {
                return true;
            };
            let document = documents.first(doc).and_then(|id| u32::try_from(id).ok());
            document.is_some_and(|id| allowed.contains(DocumentId(id)))
        };
        let is_excluded = |doc: DocId| {
            let passage = passages.as_ref().and_then(|passages| passages.first(doc));
            passage.is_some_and(|id| self.excluded.contains(&PassageId(id)))
        };
        let alive = reader.alive_bitset();
        let mut threshold = Score::from_bits(self.threshold.load(Relaxed));
        let mut top = TopK::new(self.k);
        weight.for_each_pruning(threshold, reader, &mut |doc, score| {
            if alive.is_some_and(|alive| !alive.is_alive(doc)) || !is_allowed(doc) || is_excluded(doc) {
                return threshold;
            }
            top.push(score, DocAddress::new(segment, doc));
            if let Some(kth) = top.threshold() {
                threshold = kth.max(threshold);
            }
            threshold
        })?;
        self.threshold.store(threshold.to_bits(), Relaxed);
        Ok(top.into_sorted())
    }

    fn merge_fruits(&self, hits: Vec<Vec<(Score, DocAddress)>>) -> tantivy::Result<Self::Fruit> {
        let mut hits = hits.concat();
        hits.sort_by(best_first);
        hits.truncate(self.k);
        Ok(hits)
    }
}

/// Required by [`Collector`], but never called. [`TopCollector::collect_segment`] handles whole segments,
/// because only that method can pass a threshold to the scorer.
pub(super) struct Unused;

impl SegmentCollector for Unused {
    type Fruit = Vec<(Score, DocAddress)>;

    fn collect(&mut self, _: DocId, _: Score) {}

    fn harvest(self) -> Self::Fruit {
        Vec::new()
    }
}
