//! Scores of the passages of few documents: of those that a filter leaves, where passing over others takes longer since there are
//! few good ones to measure them by, and of those that were found, which their documents add to.

use tantivy::{DocAddress, Score, Searcher, SegmentOrdinal};

use super::leaves::Leaf;
use super::statistics::Statistics;
use crate::DocumentSet;

/// The passages of documents `allowed` that match any of `leaves`, each with the sum of what they give it. In no order:
/// most of them are not wanted.
pub(super) fn scored(
    searcher: &Searcher,
    statistics: &Statistics,
    leaves: &[Leaf],
    allowed: &DocumentSet,
) -> tantivy::Result<Vec<(Score, DocAddress)>> {
    let mut found = Vec::new();
    for (ordinal, segment) in searcher.segment_readers().iter().enumerate() {
        let mut places = statistics.places(ordinal)?.of(allowed);
        if let Some(alive) = segment.alive_bitset() {
            places.retain(|&place| alive.is_alive(place));
        }
        if places.is_empty() {
            continue;
        }
        let mut scores: Vec<Score> = vec![0.0; places.len()];
        for leaf in leaves {
            let Some(mut cursor) = leaf.cursor(ordinal, segment)? else {
                continue;
            };
            for (&place, score) in places.iter().zip(&mut scores) {
                *score += cursor.score_at(place);
            }
        }
        let matched = places.into_iter().zip(scores).filter(|&(_, score)| score > 0.0);
        found
            .extend(matched.map(|(place, score)| (score, DocAddress::new(ordinal as SegmentOrdinal, place))));
    }
    Ok(found)
}
