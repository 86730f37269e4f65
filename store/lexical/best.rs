//! The passages of the highest scores, of some documents or of all.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::query::Weight;
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};

use super::top::{Top, best_first};
use crate::{DocumentId, DocumentSet, PassageId};

/// Collects them. What a segment's worst score is, the next one has to beat, so that blocks of postings are passed over from the
/// start; a collector that is wrapped in a filter passes over none.
pub(super) struct Best<'a> {
    limit: usize,
    allowed: Option<&'a DocumentSet>,
    barred: &'a HashSet<PassageId>,
    /// What is to be beaten, as bits.
    threshold: AtomicU32,
}

impl<'a> Best<'a> {
    /// Of `limit` passages, of documents `allowed` or of all, without the passages `barred`.
    pub(super) fn new(
        limit: usize,
        allowed: Option<&'a DocumentSet>,
        barred: &'a HashSet<PassageId>,
    ) -> Best<'a> {
        Best {
            limit: limit.max(1),
            allowed,
            barred,
            threshold: AtomicU32::new(Score::MIN.to_bits()),
        }
    }
}

impl Collector for Best<'_> {
    /// Best first.
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
        let column = |name, wanted: bool| wanted.then(|| reader.fast_fields().u64(name)).transpose();
        let documents = column("document", self.allowed.is_some())?;
        let passages = column("passage", !self.barred.is_empty())?;
        let is_allowed = |place: DocId| {
            let (Some(documents), Some(allowed)) = (&documents, self.allowed) else {
                return true;
            };
            let document = documents.first(place).and_then(|id| u32::try_from(id).ok());
            document.is_some_and(|id| allowed.contains(DocumentId(id)))
        };
        let is_barred = |place: DocId| {
            let passage = passages.as_ref().and_then(|passages| passages.first(place));
            passage.is_some_and(|id| self.barred.contains(&PassageId(id)))
        };
        let alive = reader.alive_bitset();
        let mut threshold = Score::from_bits(self.threshold.load(Relaxed));
        let mut best = Top::new(self.limit);
        weight.for_each_pruning(threshold, reader, &mut |passage, score| {
            if alive.is_some_and(|alive| !alive.is_alive(passage))
                || !is_allowed(passage)
                || is_barred(passage)
            {
                return threshold;
            }
            best.offer(score, DocAddress::new(segment, passage));
            if let Some(worst) = best.worst() {
                threshold = worst.max(threshold);
            }
            threshold
        })?;
        self.threshold.store(threshold.to_bits(), Relaxed);
        Ok(best.sorted())
    }

    fn merge_fruits(&self, found: Vec<Vec<(Score, DocAddress)>>) -> tantivy::Result<Self::Fruit> {
        let mut found = found.concat();
        found.sort_by(best_first);
        found.truncate(self.limit);
        Ok(found)
    }
}

/// [`Best`] looks at whole segments, since only so it can say what is to be beaten.
pub(super) struct Unused;

impl SegmentCollector for Unused {
    type Fruit = Vec<(Score, DocAddress)>;

    fn collect(&mut self, _: DocId, _: Score) {}

    fn harvest(self) -> Self::Fruit {
        Vec::new()
    }
}
