//! Scores of the passages of few documents. Passing over blocks of postings needs good passages to measure others by; where a
//! filter leaves few it passes over next to none, and looking up each passage that is left takes less.

use tantivy::query::{Bm25StatisticsProvider, EnableScoring, Query, Weight};
use tantivy::{DocAddress, Score, Searcher, SegmentOrdinal, TERMINATED};

use super::statistics::Statistics;
use crate::DocumentSet;

/// The passages of documents `allowed` that match any of `leaves`, each with the sum of what they give it. Best first.
pub(super) fn scored(
    searcher: &Searcher,
    statistics: &Statistics,
    counted: &dyn Bm25StatisticsProvider,
    leaves: &[Box<dyn Query>],
    allowed: &DocumentSet,
) -> tantivy::Result<Vec<(Score, DocAddress)>> {
    let scoring = || EnableScoring::enabled_from_statistics_provider(counted, searcher);
    let weights = leaves.iter().map(|leaf| leaf.weight(scoring()));
    let weights: Vec<Box<dyn Weight>> = weights.collect::<tantivy::Result<_>>()?;
    let mut found = Vec::new();
    for (ordinal, segment) in searcher.segment_readers().iter().enumerate() {
        let mut places = statistics.places(ordinal)?.of(allowed);
        if let Some(alive) = segment.alive_bitset() {
            places.retain(|&place| alive.is_alive(place));
        }
        let mut scores: Vec<Score> = vec![0.0; places.len()];
        for weight in &weights {
            let mut scorer = weight.scorer(segment, 1.0)?;
            for (&place, score) in places.iter().zip(&mut scores) {
                let at = match scorer.doc() < place {
                    true => scorer.seek(place),
                    false => scorer.doc(),
                };
                match at {
                    at if at == place => *score += scorer.score(),
                    TERMINATED => break,
                    _ => {}
                }
            }
        }
        let matched = places.into_iter().zip(scores).filter(|&(_, score)| score > 0.0);
        found
            .extend(matched.map(|(place, score)| (score, DocAddress::new(ordinal as SegmentOrdinal, place))));
    }
    found.sort_unstable_by(|(one, at_one), (other, at_other)| {
        other.total_cmp(one).then_with(|| at_one.cmp(at_other))
    });
    Ok(found)
}
