//! BM25 scores of one query word in one field. The score of a plain query is the sum over its words and
//! fields.

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{BlockSegmentPostings, TermInfo};
use tantivy::query::{Bm25StatisticsProvider, Bm25Weight};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, Score, SegmentReader, TERMINATED, Term};

use super::query_parser::Stems;
use super::statistics::Statistics;

/// Postings per block in tantivy. Only the last block of a term may have fewer.
const BLOCK: usize = 128;

/// A query word in a field, weighted by BM25. The score of a passage is the maximum over the word's stems.
pub(super) struct TermWeight {
    field: Field,
    stems: Vec<StemWeight>,
}

struct StemWeight {
    bm25: Bm25Weight,
    /// Location of the stem's postings in each segment. `None` if the segment lacks the stem.
    postings: Vec<Option<TermInfo>>,
}

impl TermWeight {
    /// The weight of a word in `field`, multiplied by `boost`, in a collection of `count` passages. `None` if
    /// no passage has the word.
    pub(super) fn new(
        statistics: &Statistics,
        (field, boost): (Field, f32),
        stems: &Stems,
        count: u64,
    ) -> tantivy::Result<Option<TermWeight>> {
        let mut weights = Vec::new();
        for stem in stems {
            let term = statistics.term(&Term::from_field_text(field, stem))?;
            // `count` can come from an older commit than the postings. BM25 needs doc_freq <= count.
            let doc_freq = term.doc_freq.min(count);
            if doc_freq == 0 {
                continue;
            }
            let average_length = statistics.total_num_tokens(field)? as Score / count as Score;
            let bm25 = Bm25Weight::for_one_term_without_explain(doc_freq, count, average_length);
            weights.push(StemWeight {
                bm25: bm25.boost_by(boost),
                postings: term.postings,
            });
        }
        let weight = TermWeight {
            field,
            stems: weights,
        };
        Ok((!weight.stems.is_empty()).then_some(weight))
    }

    /// A scorer over the word's postings in a segment. `None` if the segment does not have the word.
    pub(super) fn scorer(
        &self,
        ordinal: usize,
        segment: &SegmentReader,
    ) -> tantivy::Result<Option<TermScorer>> {
        let mut stems = Vec::new();
        for stem in &self.stems {
            let Some(postings) = &stem.postings[ordinal] else {
                continue;
            };
            let inverted = segment.inverted_index(self.field)?;
            stems.push(StemScorer {
                postings: inverted
                    .read_block_postings_from_terminfo(postings, IndexRecordOption::WithFreqs)?,
                index: 0,
                lengths: segment.get_fieldnorms_reader(self.field)?,
                bm25: stem.bm25.clone(),
            });
        }
        Ok((!stems.is_empty()).then_some(TermScorer { stems }))
    }
}

/// Iterates over the passages of a segment that have a word. Moves only forward.
pub(super) struct TermScorer {
    stems: Vec<StemScorer>,
}

impl TermScorer {
    /// Upper bound of the score of any passage.
    pub(super) fn max_score(&self) -> Score {
        let bounds = self.stems.iter().map(|stem| stem.bm25.max_score());
        bounds.fold(0.0, Score::max)
    }

    /// The current passage, or `TERMINATED`.
    pub(super) fn doc(&self) -> DocId {
        let docs = self.stems.iter().map(StemScorer::doc);
        docs.min().unwrap_or(TERMINATED)
    }

    /// The score of `doc`, or 0 if it does not have the word. `doc` must not decrease from call to call.
    pub(super) fn score_at(&mut self, doc: DocId) -> Score {
        let mut best: Score = 0.0;
        for stem in &mut self.stems {
            if stem.seek(doc) == doc {
                best = best.max(stem.score());
            }
        }
        best
    }

    /// Whether the word has one stem in this segment. If so, [`TermScorer::for_each_before`] reports no passage
    /// twice.
    pub(super) fn has_one_stem(&self) -> bool {
        self.stems.len() == 1
    }

    /// Calls `each` with the passages before `end` and their scores, stem by stem, and advances to `end`.
    pub(super) fn for_each_before(&mut self, end: DocId, mut each: impl FnMut(DocId, Score)) {
        for stem in &mut self.stems {
            stem.for_each_before(end, &mut each);
        }
    }
}

struct StemScorer {
    postings: BlockSegmentPostings,
    /// Position in the current block.
    index: usize,
    lengths: FieldNormReader,
    bm25: Bm25Weight,
}

impl StemScorer {
    fn doc(&self) -> DocId {
        // tantivy pads the last block with TERMINATED.
        self.postings.doc(self.index)
    }

    fn score(&self) -> Score {
        let length = self.lengths.fieldnorm_id(self.doc());
        self.bm25.score(length, self.postings.freq(self.index))
    }

    /// Advances to the first passage at or after `doc`.
    fn seek(&mut self, doc: DocId) -> DocId {
        if self.doc() < doc {
            self.index = self.postings.seek(doc);
        }
        self.doc()
    }

    fn for_each_before(&mut self, end: DocId, mut each: impl FnMut(DocId, Score)) {
        loop {
            let (docs, freqs) = (self.postings.docs(), self.postings.freqs());
            for (&doc, &freq) in docs.iter().zip(freqs).skip(self.index) {
                if doc >= end {
                    return;
                }
                each(doc, self.bm25.score(self.lengths.fieldnorm_id(doc), freq));
                self.index += 1;
            }
            if docs.len() < BLOCK {
                return;
            }
            self.postings.advance();
            self.index = 0;
        }
    }
}
