//! How much of a document is shown around its hits.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use autorag_store::{DocumentId, Snapshot};

use crate::{Context, Hit, QueryError};

/// Where a hit lies in its document, in passages.
#[derive(Debug, Clone, Copy)]
struct Place {
    document: DocumentId,
    /// Place of its passage, from 0.
    ordinal: u32,
    /// How many passages the document has.
    passages: u32,
}

/// The passages shown for each of `hits`, best first: its own, and up to `neighbours` on each side. What another hit shows is not
/// shown again: growth ends before a passage that is a hit itself, or that a better hit has grown over.
fn reaches(hits: &[Place], neighbours: u32) -> Vec<RangeInclusive<u32>> {
    let mut shown: HashSet<(DocumentId, u32)> = hits.iter().map(|hit| (hit.document, hit.ordinal)).collect();
    let grown = hits.iter().map(|hit| {
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
    grown.collect()
}

/// Gives each hit up to `neighbours` passages on each side, and says whether the catalog still had them all.
pub(crate) fn expand(snapshot: &Snapshot, hits: &mut [Hit], neighbours: u32) -> Result<bool, QueryError> {
    let places: Vec<Place> = hits
        .iter()
        .map(|hit| Place {
            document: hit.document.id,
            ordinal: hit.passage.ordinal,
            passages: hit.document.passages,
        })
        .collect();
    let mut whole = true;
    for (hit, reach) in hits.iter_mut().zip(reaches(&places, neighbours)) {
        if reach.start() == reach.end() {
            continue;
        }
        let stretch = snapshot.text_of_passages(hit.document.id, *reach.start(), *reach.end())?;
        whole &= stretch.is_some();
        hit.context = stretch.map(|(span, text)| Context { span, text });
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(document: u32, ordinal: u32, passages: u32) -> Place {
        Place {
            document: DocumentId(document),
            ordinal,
            passages,
        }
    }

    #[test]
    fn neighbours_on_both_sides_as_far_as_the_document_goes() {
        assert_eq!(reaches(&[place(1, 5, 20)], 2), [3..=7]);
        assert_eq!(reaches(&[place(1, 0, 2)], 3), [0..=1]);
        assert_eq!(reaches(&[place(1, 5, 20)], 0), [5..=5]);
    }

    #[test]
    fn what_another_hit_shows_is_not_shown_again() {
        assert_eq!(reaches(&[place(1, 4, 9), place(1, 5, 9)], 2), [2..=4, 5..=7]);
        assert_eq!(reaches(&[place(1, 2, 9), place(1, 6, 9)], 3), [0..=5, 6..=8]);
        assert_eq!(reaches(&[place(1, 2, 9), place(2, 3, 9)], 1), [1..=3, 2..=4]);
    }

    proptest! {
        /// Each reach holds its own passage, keeps to the document and the limit, and meets no other.
        #[test]
        fn reaches_never_meet(
            hits in proptest::collection::btree_set((0u32..3, 0u32..12), 0..8), neighbours in 0u32..4,
        ) {
            let hits: Vec<Place> = hits.into_iter().map(|(document, ordinal)| place(document, ordinal, 12)).collect();
            let grown = reaches(&hits, neighbours);
            let mut shown = HashSet::new();
            for (hit, reach) in hits.iter().zip(grown) {
                prop_assert!(reach.contains(&hit.ordinal) && *reach.end() < 12);
                for ordinal in reach {
                    prop_assert!(ordinal.abs_diff(hit.ordinal) <= neighbours);
                    prop_assert!(shown.insert((hit.document, ordinal)), "shown twice");
                }
            }
        }
    }
}
