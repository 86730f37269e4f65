//! BM25 scores of all passages of given documents.
//!
//! There are two uses. A selective filter keeps few documents, where MaxScore prunes badly, because it finds
//! few high scores to prune by. And the hits of a search get the scores of their whole documents added.

use tantivy::{DocAddress, Score, Searcher, SegmentOrdinal};

use super::statistics::Statistics;
use super::term_scorer::TermWeight;
use crate::DocumentSet;

/// The passages of `documents` that match any of `terms`, each with its summed score. Unsorted, because
/// callers drop most of them.
pub(super) fn score_documents(
    searcher: &Searcher,
    statistics: &Statistics,
    terms: &[TermWeight],
    documents: &DocumentSet,
) -> tantivy::Result<Vec<(Score, DocAddress)>> {
    let mut hits = Vec::new();
    for (ordinal, segment) in searcher.segment_readers().iter().enumerate() {
        let mut docs = statistics.doc_runs(ordinal)?.docs_of(documents);
        if let Some(alive) = segment.alive_bitset() {
            docs.retain(|&doc| alive.is_alive(doc));
        }
        if docs.is_empty() {
            continue;
        }
        let mut scores: Vec<Score> = vec![0.0; docs.len()];
        for term in terms {
            let Some(mut scorer) = term.scorer(ordinal, segment)? else {
                continue;
            };
            for (&doc, score) in docs.iter().zip(&mut scores) {
                *score += scorer.score_at(doc);
            }
        }
        let matches = docs.into_iter().zip(scores).filter(|&(_, score)| score > 0.0);
        hits.extend(matches.map(|(doc, score)| (score, DocAddress::new(ordinal as SegmentOrdinal, doc))));
    }
    Ok(hits)
}
