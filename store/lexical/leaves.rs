//! A word in a field, and what BM25 makes of it: the parts that the score of a plain question is the sum of.

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{BlockSegmentPostings, TermInfo};
use tantivy::query::{Bm25StatisticsProvider, Bm25Weight};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, Score, SegmentReader, TERMINATED, Term};

use super::statistics::Statistics;
use super::typed::Forms;

/// Postings of a block, all but the last of which are full.
const BLOCK: usize = 128;

/// A word in a field, in all its forms: a passage is given what the form gives that fits best.
pub(super) struct Leaf {
    field: Field,
    forms: Vec<Form>,
}

struct Form {
    weight: Bm25Weight,
    /// Where its postings are, by segment.
    postings: Vec<Option<TermInfo>>,
}

impl Leaf {
    /// A word in a field where a match is worth `boost`, among `count` passages. Nothing where none of them has the word.
    pub(super) fn new(
        statistics: &Statistics,
        (field, boost): (Field, f32),
        forms: &Forms,
        count: u64,
    ) -> tantivy::Result<Option<Leaf>> {
        let mut found = Vec::new();
        for form in forms {
            let occurrence = statistics.occurrence(&Term::from_field_text(field, form))?;
            // What is counted may be a step behind the postings.
            let passages = occurrence.passages.min(count);
            if passages == 0 {
                continue;
            }
            let average = statistics.total_num_tokens(field)? as Score / count as Score;
            let weight = Bm25Weight::for_one_term_without_explain(passages, count, average);
            found.push(Form {
                weight: weight.boost_by(boost),
                postings: occurrence.postings,
            });
        }
        let leaf = Leaf { field, forms: found };
        Ok((!leaf.forms.is_empty()).then_some(leaf))
    }

    /// Its postings in a segment, from the first on. Nothing where there are none.
    pub(super) fn cursor(
        &self,
        ordinal: usize,
        segment: &SegmentReader,
    ) -> tantivy::Result<Option<LeafCursor>> {
        let mut forms = Vec::new();
        for form in &self.forms {
            let Some(postings) = &form.postings[ordinal] else {
                continue;
            };
            let inverted = segment.inverted_index(self.field)?;
            forms.push(FormCursor {
                postings: inverted
                    .read_block_postings_from_terminfo(postings, IndexRecordOption::WithFreqs)?,
                at: 0,
                lengths: segment.get_fieldnorms_reader(self.field)?,
                weight: form.weight.clone(),
            });
        }
        Ok((!forms.is_empty()).then_some(LeafCursor { forms }))
    }
}

/// Goes through the passages of a leaf in a segment, forward alone.
pub(super) struct LeafCursor {
    forms: Vec<FormCursor>,
}

impl LeafCursor {
    /// More than it gives any passage, or as much.
    pub(super) fn bound(&self) -> Score {
        let bounds = self.forms.iter().map(|form| form.weight.max_score());
        bounds.fold(0.0, Score::max)
    }

    /// The passage it is at, or the end.
    pub(super) fn place(&self) -> DocId {
        let places = self.forms.iter().map(FormCursor::place);
        places.min().unwrap_or(TERMINATED)
    }

    /// What it gives the passage at `place`, which lies before none that it was asked about.
    pub(super) fn score_at(&mut self, place: DocId) -> Score {
        let mut best: Score = 0.0;
        for form in &mut self.forms {
            if form.seek(place) == place {
                best = best.max(form.score());
            }
        }
        best
    }

    /// Whether no passage is given something by more than one form.
    pub(super) fn is_of_one_form(&self) -> bool {
        self.forms.len() == 1
    }

    /// Calls `give` with each passage before `end` and what a form gives it, form by form, and goes to the end.
    pub(super) fn for_each_before(&mut self, end: DocId, mut give: impl FnMut(DocId, Score)) {
        for form in &mut self.forms {
            form.for_each_before(end, &mut give);
        }
    }
}

struct FormCursor {
    postings: BlockSegmentPostings,
    /// In the block.
    at: usize,
    lengths: FieldNormReader,
    weight: Bm25Weight,
}

impl FormCursor {
    fn place(&self) -> DocId {
        // What is left of the last block says that it is the end.
        self.postings.doc(self.at)
    }

    fn score(&self) -> Score {
        let length = self.lengths.fieldnorm_id(self.place());
        self.weight.score(length, self.postings.freq(self.at))
    }

    /// Goes to the first passage that does not lie before `place`.
    fn seek(&mut self, place: DocId) -> DocId {
        if self.place() < place {
            self.at = self.postings.seek(place);
        }
        self.place()
    }

    fn for_each_before(&mut self, end: DocId, mut give: impl FnMut(DocId, Score)) {
        loop {
            let (places, counts) = (self.postings.docs(), self.postings.freqs());
            for (&place, &count) in places.iter().zip(counts).skip(self.at) {
                if place >= end {
                    return;
                }
                give(place, self.weight.score(self.lengths.fieldnorm_id(place), count));
                self.at += 1;
            }
            if places.len() < BLOCK {
                return;
            }
            self.postings.advance();
            self.at = 0;
        }
    }
}
