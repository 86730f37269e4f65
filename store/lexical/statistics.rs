//! What BM25 counts: the passages that are there. Those that were deleted stay in tantivy's segments, and in its own counts, until
//! a merge; with them a score would hang on what the folder once was.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::places::Places;
use tantivy::index::SegmentId;
use tantivy::postings::{Postings, TermInfo};
use tantivy::query::Bm25StatisticsProvider;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, Searcher, SegmentReader, TERMINATED, Term};

/// One of so many postings has to be deleted for all to be looked at, in place of each deletion among them.
const SPARSE: usize = 8;

/// Counts of segments, kept from one commit to the next.
#[derive(Default)]
pub(super) struct SegmentCounts(Mutex<HashMap<(SegmentId, u32), Arc<Counts>>>);

/// Counts of one segment in one state of its deletions.
#[derive(Default)]
struct Counts {
    deleted: OnceLock<Vec<DocId>>,
    tokens: Mutex<HashMap<Field, u64>>,
    /// The same in every state.
    places: Arc<OnceLock<Places>>,
}

/// Statistics of one commit.
#[derive(Clone)]
pub(super) struct Statistics {
    searcher: Searcher,
    /// By segment, as the searcher has them.
    counts: Vec<Arc<Counts>>,
}

/// Where a term is.
pub(super) struct Occurrence {
    /// How many passages have it, without those that were deleted.
    pub passages: u64,
    /// Where its postings are, by segment.
    pub postings: Vec<Option<TermInfo>>,
}

impl Counts {
    /// How many of the `with` passages of `postings` are deleted.
    fn deleted_of(&self, segment: &SegmentReader, mut postings: impl Postings, with: usize) -> usize {
        let deleted = self.deleted.get_or_init(|| deleted(segment));
        if deleted.len() * SPARSE < with {
            return among(&mut postings, deleted);
        }
        let alive = segment.alive_bitset();
        let mut gone = 0;
        while postings.doc() != TERMINATED {
            gone += usize::from(alive.is_some_and(|alive| alive.is_deleted(postings.doc())));
            postings.advance();
        }
        gone
    }
}

impl SegmentCounts {
    /// The statistics of what `searcher` sees.
    pub(super) fn of(&self, searcher: &Searcher) -> Statistics {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let segments = searcher.segment_readers().iter();
        let segments: Vec<_> = segments
            .map(|segment| (segment.segment_id(), segment.num_deleted_docs()))
            .collect();
        for state in &segments {
            if !kept.contains_key(state) {
                let before = kept.iter().find(|((segment, _), _)| *segment == state.0);
                let counts = Counts {
                    places: before.map_or_else(Arc::default, |(_, counts)| Arc::clone(&counts.places)),
                    ..Counts::default()
                };
                kept.insert(*state, Arc::new(counts));
            }
        }
        kept.retain(|state, _| segments.contains(state));
        let counts = segments.iter().map(|state| Arc::clone(&kept[state])).collect();
        Statistics {
            searcher: searcher.clone(),
            counts,
        }
    }
}

impl Statistics {
    /// Where the documents of a segment are.
    pub(super) fn places(&self, ordinal: usize) -> tantivy::Result<&Places> {
        let places = &self.counts[ordinal].places;
        match places.get() {
            Some(known) => Ok(known),
            None => {
                let found = Places::of_segment(&self.searcher.segment_readers()[ordinal])?;
                Ok(places.get_or_init(|| found))
            }
        }
    }

    /// Where a term is.
    pub(super) fn occurrence(&self, term: &Term) -> tantivy::Result<Occurrence> {
        let mut occurrence = Occurrence {
            passages: 0,
            postings: Vec::with_capacity(self.counts.len()),
        };
        for (segment, counts) in self.segments() {
            let inverted = segment.inverted_index(term.field())?;
            let found = inverted.get_term_info(term)?;
            if let Some(found) = &found {
                let with = found.doc_freq as usize;
                let gone = match segment.has_deletes() {
                    true => {
                        let postings =
                            inverted.read_postings_from_terminfo(found, IndexRecordOption::Basic)?;
                        counts.deleted_of(segment, postings, with)
                    }
                    false => 0,
                };
                occurrence.passages += with.saturating_sub(gone) as u64;
            }
            occurrence.postings.push(found);
        }
        Ok(occurrence)
    }

    fn segments(&self) -> impl Iterator<Item = (&SegmentReader, &Counts)> {
        self.searcher
            .segment_readers()
            .iter()
            .zip(self.counts.iter().map(AsRef::as_ref))
    }
}

impl Bm25StatisticsProvider for Statistics {
    /// Lengths are added up as they are scored with, rounded, since after a merge no others are left.
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        let mut total = 0;
        for (segment, counts) in self.segments() {
            let mut known = counts.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            total += match known.entry(field) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(place) => *place.insert(tokens(segment, field)?),
            };
        }
        Ok(total)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.searcher.num_docs())
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        Ok(self.occurrence(term)?.passages)
    }
}

/// How many of `sought`, which are in order, are in `postings`.
fn among(postings: &mut impl Postings, sought: &[DocId]) -> usize {
    let mut found = 0;
    for &place in sought {
        let at = match postings.doc() < place {
            true => postings.seek(place),
            false => postings.doc(),
        };
        found += usize::from(at == place);
    }
    found
}

fn deleted(segment: &SegmentReader) -> Vec<DocId> {
    let Some(alive) = segment.alive_bitset() else {
        return Vec::new();
    };
    (0..segment.max_doc())
        .filter(|&place| alive.is_deleted(place))
        .collect()
}

/// The lengths of a field in all passages of a segment that are there.
fn tokens(segment: &SegmentReader, field: Field) -> tantivy::Result<u64> {
    let lengths = segment.get_fieldnorms_reader(field)?;
    let all = segment
        .doc_ids_alive()
        .map(|place| u64::from(lengths.fieldnorm(place)));
    Ok(all.sum())
}
