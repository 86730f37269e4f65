//! BM25 statistics that count only live passages.
//!
//! tantivy's own statistics include deleted passages until a merge removes them, so scores would depend on
//! the history of the index.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tantivy::index::SegmentId;
use tantivy::postings::{Postings, TermInfo};
use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, Searcher, SegmentReader, TERMINATED, Term};

use super::doc_runs::DocRuns;

/// If at least 1/SPARSE of a term's postings could be deleted, scan the postings. Otherwise seek each deletion
/// in them.
const SPARSE: usize = 8;

/// Statistics by segment and number of deletions, kept from one commit to the next.
#[derive(Default)]
pub(super) struct StatisticsCache(Mutex<HashMap<(SegmentId, u32), Arc<SegmentStatistics>>>);

/// Statistics of a segment with a certain set of deletions. Each is computed on first use.
#[derive(Default)]
struct SegmentStatistics {
    deleted: OnceLock<Vec<DocId>>,
    token_counts: Mutex<HashMap<Field, u64>>,
    /// Shared by all states of the segment, because deletions do not change it.
    doc_runs: Arc<OnceLock<DocRuns>>,
}

/// Statistics of one commit.
#[derive(Clone)]
pub(super) struct Statistics {
    searcher: Searcher,
    /// In the searcher's order of segments.
    segments: Vec<Arc<SegmentStatistics>>,
}

/// Frequency and postings of a term.
pub(super) struct TermStatistics {
    /// Number of live passages that have the term.
    pub doc_freq: u64,
    /// Location of the term's postings in each segment. `None` if the segment lacks the term.
    pub postings: Vec<Option<TermInfo>>,
}

impl SegmentStatistics {
    /// Number of deleted passages in `postings`, which have `count` entries.
    fn count_deleted(&self, segment: &SegmentReader, mut postings: impl Postings, count: usize) -> usize {
        let deleted = self.deleted.get_or_init(|| deleted_docs(segment));
        if deleted.len() * SPARSE < count {
            return count_in_postings(&mut postings, deleted);
        }
        let alive = segment.alive_bitset();
        let mut found = 0;
        while postings.doc() != TERMINATED {
            found += usize::from(alive.is_some_and(|alive| alive.is_deleted(postings.doc())));
            postings.advance();
        }
        found
    }
}

impl StatisticsCache {
    /// The statistics of the commit that `searcher` reads. Drops the cached statistics of other segments.
    pub(super) fn statistics(&self, searcher: &Searcher) -> Statistics {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let segments = searcher.segment_readers().iter();
        let states: Vec<_> = segments
            .map(|segment| (segment.segment_id(), segment.num_deleted_docs()))
            .collect();
        for state in &states {
            if !cache.contains_key(state) {
                let earlier = cache.iter().find(|((segment, _), _)| *segment == state.0);
                let statistics = SegmentStatistics {
                    doc_runs: earlier.map_or_else(Arc::default, |(_, earlier)| Arc::clone(&earlier.doc_runs)),
                    ..SegmentStatistics::default()
                };
                cache.insert(*state, Arc::new(statistics));
            }
        }
        cache.retain(|state, _| states.contains(state));
        Statistics {
            searcher: searcher.clone(),
            segments: states.iter().map(|state| Arc::clone(&cache[state])).collect(),
        }
    }
}

impl Statistics {
    /// The runs of a segment.
    pub(super) fn doc_runs(&self, ordinal: usize) -> tantivy::Result<&DocRuns> {
        let runs = &self.segments[ordinal].doc_runs;
        if let Some(runs) = runs.get() {
            return Ok(runs);
        }
        let read = DocRuns::read(&self.searcher.segment_readers()[ordinal])?;
        Ok(runs.get_or_init(|| read))
    }

    /// Frequency and postings of a term.
    pub(super) fn term(&self, term: &Term) -> tantivy::Result<TermStatistics> {
        let mut statistics = TermStatistics {
            doc_freq: 0,
            postings: Vec::with_capacity(self.segments.len()),
        };
        for (segment, of_segment) in self.segments() {
            let inverted = segment.inverted_index(term.field())?;
            let info = inverted.get_term_info(term)?;
            if let Some(info) = &info {
                let count = info.doc_freq as usize;
                let deleted = if segment.has_deletes() {
                    let postings = inverted.read_postings_from_terminfo(info, IndexRecordOption::Basic)?;
                    of_segment.count_deleted(segment, postings, count)
                } else {
                    0
                };
                statistics.doc_freq += count.saturating_sub(deleted) as u64;
            }
            statistics.postings.push(info);
        }
        Ok(statistics)
    }

    fn segments(&self) -> impl Iterator<Item = (&SegmentReader, &SegmentStatistics)> {
        self.searcher
            .segment_readers()
            .iter()
            .zip(self.segments.iter().map(AsRef::as_ref))
    }
}

impl Bm25StatisticsProvider for Statistics {
    /// Sums the rounded field lengths that scoring uses. A merge keeps only these, so sums of exact lengths
    /// would change with a merge.
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        let mut total = 0;
        for (segment, statistics) in self.segments() {
            let mut counts = statistics
                .token_counts
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            total += match counts.entry(field) {
                Entry::Occupied(count) => *count.get(),
                Entry::Vacant(vacant) => *vacant.insert(count_tokens(segment, field)?),
            };
        }
        Ok(total)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.searcher.num_docs())
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        Ok(self.term(term)?.doc_freq)
    }
}

/// How many of `docs`, in ascending order, are in `postings`.
fn count_in_postings(postings: &mut impl Postings, docs: &[DocId]) -> usize {
    let mut count = 0;
    for &doc in docs {
        let at = if postings.doc() < doc {
            postings.seek(doc)
        } else {
            postings.doc()
        };
        count += usize::from(at == doc);
    }
    count
}

fn deleted_docs(segment: &SegmentReader) -> Vec<DocId> {
    let Some(alive) = segment.alive_bitset() else {
        return Vec::new();
    };
    (0..segment.max_doc())
        .filter(|&doc| alive.is_deleted(doc))
        .collect()
}

/// Summed lengths of a field over the live passages of a segment.
fn count_tokens(segment: &SegmentReader, field: Field) -> tantivy::Result<u64> {
    let lengths = segment.get_fieldnorms_reader(field)?;
    let live = segment
        .doc_ids_alive()
        .map(|doc| u64::from(lengths.fieldnorm(doc)));
    Ok(live.sum())
}
