//! Neighbouring passages around hits.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use autorag_store::{DocumentId, Snapshot};

use crate::{Context, QueryError};

/// Position of a hit in its document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub document: DocumentId,
    /// Index of the passage in the document, from 0.
    pub ordinal: u32,
    /// Number of passages in the document.
    pub passages: u32,
}

/// Contexts of the hits on a page.
pub(crate) struct Contexts {
    /// The context of each hit, in the order of the hits. `None` for a hit without neighbours.
    pub contexts: Vec<Option<Context>>,
    /// False if a passage was pruned from the catalog during the search.
    pub is_complete: bool,
}

/// Ordinals to show for each of `hits`, best first: the hit and up to `neighbours` passages on each side.
///
/// No passage is shown twice. A range ends before a passage that is a hit or that belongs to the range of a better hit.
fn ranges(hits: &[Position], neighbours: u32) -> Vec<RangeInclusive<u32>> {
    let mut shown: HashSet<(DocumentId, u32)> = hits.iter().map(|hit| (hit.document, hit.ordinal)).collect();
    let ranges = hits.iter().map(|hit| {
        let (mut first, mut last) = (hit.ordinal, hit.ordinal);
        let start = hit.ordinal.saturating_sub(neighbours);
        while first > start && shown.insert((hit.document, first - 1)) {
            first -= 1;
        }
        let end = (hit.ordinal + neighbours).min(hit.passages.saturating_sub(1));
        while last < end && shown.insert((hit.document, last + 1)) {
            last += 1;
        }
        first..=last
    });
    ranges.collect()
}

/// Loads up to `neighbours` passages on each side of each hit.
pub(crate) fn load_contexts(
    snapshot: &Snapshot,
    hits: &[Position],
    neighbours: u32,
) -> Result<Contexts, QueryError> {
    let mut is_complete = true;
    let mut contexts = Vec::with_capacity(hits.len());
    for (hit, range) in hits.iter().zip(ranges(hits, neighbours)) {
        if range.start() == range.end() {
            contexts.push(None);
            continue;
        }
        let text = snapshot.text_of_passages(hit.document, *range.start(), *range.end())?;
        is_complete &= text.is_some();
        contexts.push(text.map(|(span, text)| Context { span, text }));
    }
    Ok(Contexts {
        contexts,
        is_complete,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position(document: u32, ordinal: u32, passages: u32) -> Position {
        Position {
            document: DocumentId(document),
            ordinal,
            passages,
        }
    }

    #[test]
    fn neighbours_end_at_the_document() {
        assert_eq!(ranges(&[position(1, 5, 20)], 2), [3..=7]);
        assert_eq!(ranges(&[position(1, 0, 2)], 3), [0..=1]);
        assert_eq!(ranges(&[position(1, 5, 20)], 0), [5..=5]);
    }

    #[test]
    fn no_passage_is_shown_for_two_hits() {
        assert_eq!(ranges(&[position(1, 4, 9), position(1, 5, 9)], 2), [2..=4, 5..=7]);
        assert_eq!(ranges(&[position(1, 2, 9), position(1, 6, 9)], 3), [0..=5, 6..=8]);
        assert_eq!(ranges(&[position(1, 2, 9), position(2, 3, 9)], 1), [1..=3, 2..=4]);
    }

    proptest! {
        /// Each range contains its hit, stays within the document and the limit, and overlaps no other.
        #[test]
        fn ranges_never_overlap(
            hits in proptest::collection::btree_set((0u32..3, 0u32..12), 0..8), neighbours in 0u32..4,
        ) {
            let hits: Vec<Position> = hits.into_iter().map(|(document, ordinal)| position(document, ordinal, 12)).collect();
            let found = ranges(&hits, neighbours);
            let mut shown = HashSet::new();
            for (hit, range) in hits.iter().zip(found) {
                prop_assert!(range.contains(&hit.ordinal) && *range.end() < 12);
                for ordinal in range {
                    prop_assert!(ordinal.abs_diff(hit.ordinal) <= neighbours);
                    prop_assert!(shown.insert((hit.document, ordinal)), "shown twice");
                }
            }
        }
    }
}
