//! One commit of the lexical index, as a snapshot asks it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use tantivy::collector::DocSetCollector;
use tantivy::columnar::Column;
use tantivy::index::SegmentId;
use tantivy::query::{Bm25StatisticsProvider, Query};
use tantivy::schema::Field;
use tantivy::{DocAddress, Searcher, SegmentOrdinal, TantivyError, Term};

use super::best::Best;
use super::highlight::Highlighter;
use super::language::{self, Profile};
use super::leaves::Leaf;
use super::query::Searched;
use super::statistics::Statistics;
use super::top::best_first;
use super::typed::{Clause, Forms, Scope, Typed};
use super::{Fields, among, contained, maxscore};
use crate::{Candidate, DocumentId, DocumentSet, Matching, PassageId, StoreError};

/// Candidates fetched beyond those asked for, at first and at most, until no equal scores are cut apart: which of them tantivy
/// gives first hangs on how its segments came about.
const TIES: usize = 32;
const MOST_TIES: usize = 4096;
/// What a match in a field is worth against one in the passage's text.
const TITLE_WEIGHT: f32 = 0.8;
const HEADING_WEIGHT: f32 = 1.3;
const PATH_WEIGHT: f32 = 0.8;
/// What the score of the whole document adds to those of its passages. A passage answers a question, but its document says what
/// it is about: see docs/retrieval.md for how much that is worth.
const DOCUMENT_WEIGHT: f32 = 1.5;
/// Documents left by a filter whose passages are looked up one by one, at most, …
const MOST_LOOKED_UP: u64 = 5000;
/// … and one of how many they may be.
const SHARE_LOOKED_UP: u64 = 20;
/// How soon more of a word stops to count, in tantivy's BM25.
const K1: f32 = 1.2;

/// One commit, as a snapshot sees it.
#[derive(Clone)]
pub(crate) struct LexicalView {
    searcher: Searcher,
    statistics: Statistics,
    fields: Fields,
    path: PathBuf,
    /// Those that its texts were stemmed in; a query is stemmed in each.
    languages: Vec<&'static Profile>,
}

/// Which documents a question asks for by their fields.
#[derive(Debug, Default)]
pub(crate) struct Restriction {
    /// The question without that.
    pub plain: String,
    /// Documents that must be in each of these, …
    pub required: Vec<DocumentSet>,
    /// … in none of these, …
    pub excluded: Vec<DocumentSet>,
    /// … of one of these kinds, if there are any, …
    pub kinds: Vec<String>,
    /// … and of none of these.
    pub excluded_kinds: Vec<String>,
}

impl LexicalView {
    pub(super) fn new(
        searcher: Searcher,
        statistics: Statistics,
        fields: Fields,
        path: &Path,
    ) -> Result<LexicalView, StoreError> {
        let languages = languages(&searcher, &statistics, fields.language)
            .map_err(|source| StoreError::lexical(path, source))?;
        Ok(LexicalView {
            searcher,
            statistics,
            fields,
            path: path.to_owned(),
            languages,
        })
    }

    /// The segments it sees.
    pub(crate) fn segment_ids(&self) -> Vec<SegmentId> {
        let readers = self.searcher.segment_readers().iter();
        let mut segments: Vec<SegmentId> = readers.map(|reader| reader.segment_id()).collect();
        segments.sort_unstable();
        segments
    }

    /// What `ask` gives. Files that were damaged since they were opened may have tantivy panic.
    pub(crate) fn guard<T>(
        &self,
        ask: impl FnOnce(&LexicalView) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        contained(&self.path, || ask(self))
    }

    /// The best `limit` passages, and those that equal the last of them, of documents `within`, or of all `documents` of the
    /// corpus, with the document of each. What may answer does not change what a word is worth.
    pub(crate) fn search(
        &self,
        text: &str,
        matching: Matching,
        within: Option<&DocumentSet>,
        documents: u64,
        limit: usize,
    ) -> Result<Vec<(Candidate, DocumentId)>, StoreError> {
        let typed = Typed::parse(text, &self.languages);
        let fields = self.fields;
        let mut barred = HashSet::new();
        for clause in typed.excluded_phrases() {
            let matched = self.matched(clause)?.into_iter();
            barred.extend(matched.map(|(candidate, _)| candidate.passage));
        }
        let is_few = within.is_some_and(|within| is_few(within, documents));
        let found = match typed.is_sum(matching) {
            true => {
                let leaves = self.leaves(
                    typed.words.iter(),
                    &self.searched().all(),
                    self.searcher.num_docs(),
                )?;
                self.best_sums(&leaves, within, is_few, limit)?
            }
            false => {
                let query = typed.query(&self.searched(), matching);
                self.best(query.as_ref(), within, &barred, limit)?
            }
        };
        let whole = self.leaves(typed.sought(), &[(fields.whole, 1.0)], documents)?;
        if whole.is_empty() {
            return Ok(found);
        }
        let scores = self.scores_of_documents(&whole, &found)?;
        let added = found.into_iter().map(|(candidate, document)| {
            let of_document = scores.get(&document).copied().unwrap_or(0.0);
            let score = candidate.score + DOCUMENT_WEIGHT * of_document;
            (Candidate { score, ..candidate }, document)
        });
        Ok(added.collect())
    }

    /// What `whole` gives the documents of passages that were found.
    fn scores_of_documents(
        &self,
        whole: &[Leaf],
        found: &[(Candidate, DocumentId)],
    ) -> Result<HashMap<DocumentId, f32>, StoreError> {
        let documents: DocumentSet = found.iter().map(|(_, document)| *document).collect();
        let scored = among::scored(&self.searcher, &self.statistics, whole, &documents);
        let scored = scored.and_then(|mut scored| {
            settle(&mut scored);
            self.candidates(&scored)
        });
        let scored = scored.map_err(|source| self.failed(source))?.into_iter();
        Ok(scored
            .map(|(candidate, document)| (document, candidate.score))
            .collect())
    }

    /// The BM25 score of an imaginary passage that has every word of `text` over and over, as its document has: what no real one
    /// reaches by its text alone.
    pub(crate) fn max_score(&self, text: &str) -> Result<f32, StoreError> {
        let typed = Typed::parse(text, &self.languages);
        let mut ceiling = 0.0;
        for forms in typed.sought() {
            ceiling += self.rarity(forms, self.fields.body)? * (K1 + 1.0) * (1.0 + DOCUMENT_WEIGHT);
        }
        for Clause { scope, words } in &typed.fielded {
            let (field, weight) = self.field_of(*scope);
            for (_, forms) in words {
                ceiling += self.rarity(forms, field)? * (K1 + 1.0) * weight;
            }
        }
        Ok(ceiling)
    }

    /// What BM25 makes of how few passages have a word in a field.
    pub(super) fn rarity(&self, forms: &Forms, field: Field) -> Result<f32, StoreError> {
        let passages = self.searcher.num_docs() as f32;
        let with = self.passages_with(forms, field)? as f32;
        Ok((1.0 + (passages - with + 0.5) / (with + 0.5)).ln())
    }

    /// How many passages have a word in a field.
    pub(super) fn passages_with(&self, forms: &Forms, field: Field) -> Result<u64, StoreError> {
        let mut with = 0;
        for form in forms {
            let term = Term::from_field_text(field, form);
            let found = self.statistics.doc_freq(&term);
            with = with.max(found.map_err(|source| self.failed(source))?);
        }
        Ok(with)
    }

    /// The languages of the index.
    pub(super) fn languages(&self) -> &[&'static Profile] {
        &self.languages
    }

    /// The field of a passage's text.
    pub(super) fn body(&self) -> Field {
        self.fields.body
    }

    fn searched(&self) -> Searched {
        Searched {
            body: (self.fields.body, 1.0),
            title: self.field_of(Scope::Title),
            headings: self.field_of(Scope::Heading),
            path: self.field_of(Scope::Path),
        }
    }

    fn field_of(&self, scope: Scope) -> (Field, f32) {
        match scope {
            Scope::Anywhere => (self.fields.body, 1.0),
            Scope::Title => (self.fields.title, TITLE_WEIGHT),
            Scope::Heading => (self.fields.headings, HEADING_WEIGHT),
            Scope::Path => (self.fields.path, PATH_WEIGHT),
        }
    }

    /// What `text` says of fields, for whoever has no words to look at.
    pub(crate) fn restriction(&self, text: &str) -> Result<Option<Restriction>, StoreError> {
        // Most questions have no colon, and need not be taken apart for this.
        if !text.contains(':') {
            return Ok(None);
        }
        let typed = Typed::parse(text, &self.languages);
        if !typed.is_about_fields() {
            return Ok(None);
        }
        let mut restriction = Restriction {
            plain: typed.plain.clone().unwrap_or_default(),
            kinds: typed.kinds.clone(),
            excluded_kinds: typed.excluded_kinds.clone(),
            ..Restriction::default()
        };
        for clause in &typed.fielded {
            restriction.required.push(self.documents_with(clause)?);
        }
        // A heading is a passage's own; leaving its passages out does not leave out the document.
        let whole = typed
            .excluded
            .iter()
            .filter(|clause| matches!(clause.scope, Scope::Title | Scope::Path));
        for clause in whole {
            restriction.excluded.push(self.documents_with(clause)?);
        }
        Ok(Some(restriction))
    }

    /// The documents of passages that a clause matches.
    fn documents_with(&self, clause: &Clause) -> Result<DocumentSet, StoreError> {
        let matched = self.matched(clause)?.into_iter();
        Ok(matched.map(|(_, document)| document).collect())
    }

    /// The passages that a clause matches, and their documents.
    fn matched(&self, clause: &Clause) -> Result<Vec<(Candidate, DocumentId)>, StoreError> {
        let found = self
            .searcher
            .search(clause.query(&self.searched()).as_ref(), &DocSetCollector)
            .map_err(|source| self.failed(source))?;
        let found: Vec<(f32, DocAddress)> = found.into_iter().map(|at| (0.0, at)).collect();
        self.candidates(&found).map_err(|source| self.failed(source))
    }

    /// What marks the words of a question in texts.
    pub(crate) fn highlighter(&self, question: &str) -> Highlighter {
        Highlighter::new(question, &self.languages)
    }

    /// The best `limit` by a query and those that equal the last of them, of documents `allowed` if it is said and without the
    /// passages `barred`.
    fn best(
        &self,
        query: &dyn Query,
        allowed: Option<&DocumentSet>,
        barred: &HashSet<PassageId>,
        limit: usize,
    ) -> Result<Vec<(Candidate, DocumentId)>, StoreError> {
        let found = uncut(limit, |depth| {
            let best = Best::new(depth, allowed, barred);
            self.searcher
                .search_with_statistics_provider(query, &best, &self.statistics)
        });
        let candidates = found.and_then(|found| self.candidates(&found));
        candidates.map_err(|source| self.failed(source))
    }

    /// `words` in each of `fields`, whose matches are worth so much, among `count` passages.
    fn leaves<'w>(
        &self,
        words: impl Iterator<Item = &'w Forms>,
        fields: &[(Field, f32)],
        count: u64,
    ) -> Result<Vec<Leaf>, StoreError> {
        let mut leaves = Vec::new();
        for forms in words {
            for &field in fields {
                let leaf = Leaf::new(&self.statistics, field, forms, count);
                leaves.extend(leaf.map_err(|source| self.failed(source))?);
            }
        }
        Ok(leaves)
    }

    /// The best `limit` by the sum of `leaves` and those that equal the last of them, of documents `allowed` if it is said, which
    /// may be so few that each is looked up.
    fn best_sums(
        &self,
        leaves: &[Leaf],
        allowed: Option<&DocumentSet>,
        is_few: bool,
        limit: usize,
    ) -> Result<Vec<(Candidate, DocumentId)>, StoreError> {
        let found = match allowed {
            Some(few) if is_few => among::scored(&self.searcher, &self.statistics, leaves, few)
                .map(|found| best_of(found, limit)),
            _ => uncut(limit, |depth| {
                maxscore::best(&self.searcher, leaves, allowed, depth)
            }),
        };
        let candidates = found.and_then(|found| self.candidates(&found));
        candidates.map_err(|source| self.failed(source))
    }

    /// The passages and documents at some places of the index.
    fn candidates(&self, found: &[(f32, DocAddress)]) -> tantivy::Result<Vec<(Candidate, DocumentId)>> {
        // Opening a column takes longer than reading from it, so each is opened once.
        let mut columns: HashMap<SegmentOrdinal, (Column<u64>, Column<u64>)> = HashMap::new();
        let mut candidates = Vec::with_capacity(found.len());
        for &(score, at) in found {
            let (passages, documents) = match columns.entry(at.segment_ord) {
                Entry::Occupied(opened) => opened.into_mut(),
                Entry::Vacant(place) => {
                    let fast = self.searcher.segment_reader(at.segment_ord).fast_fields();
                    place.insert((fast.u64("passage")?, fast.u64("document")?))
                }
            };
            let value = |column: &Column<u64>| column.first(at.doc_id).unwrap_or_default();
            let passage = PassageId(value(passages));
            candidates.push((Candidate { passage, score }, DocumentId(value(documents) as u32)));
        }
        Ok(candidates)
    }

    fn failed(&self, source: TantivyError) -> StoreError {
        StoreError::lexical(&self.path, source)
    }
}

/// Whether passages of `within` are looked up one by one.
fn is_few(within: &DocumentSet, documents: u64) -> bool {
    within.len() <= MOST_LOOKED_UP && within.len() * SHARE_LOOKED_UP <= documents
}

/// The best `limit` of what `best` finds, and those that equal the last of them. `best` is asked for so many, the best first.
fn uncut(
    limit: usize,
    mut best: impl FnMut(usize) -> tantivy::Result<Vec<(f32, DocAddress)>>,
) -> tantivy::Result<Vec<(f32, DocAddress)>> {
    let mut ties = TIES;
    loop {
        let depth = limit.max(1).saturating_add(ties);
        let found = best(depth)?;
        let is_full = found.len() == depth;
        let found = cut(found, limit);
        if is_full && found.len() == depth && ties < MOST_TIES {
            ties *= 4;
            continue;
        }
        return Ok(found);
    }
}

/// The best `limit` of `found`, which are in no order, and those that equal the last of them, with their scores settled.
fn best_of(mut found: Vec<(f32, DocAddress)>, limit: usize) -> Vec<(f32, DocAddress)> {
    if found.len() > limit {
        let (_, &mut (last, _), _) = found.select_nth_unstable_by(limit.max(1) - 1, best_first);
        found.retain(|(score, _)| settled(*score) >= settled(last));
    }
    found.sort_unstable_by(best_first);
    cut(found, limit)
}

/// The first `limit` of `found`, and those that equal the last of them, with their scores settled.
fn cut(mut found: Vec<(f32, DocAddress)>, limit: usize) -> Vec<(f32, DocAddress)> {
    settle(&mut found);
    if let Some(&(least, _)) = found.get(limit.max(1) - 1) {
        found.retain(|(score, _)| *score >= least);
    }
    found
}

fn settle(found: &mut [(f32, DocAddress)]) {
    found.iter_mut().for_each(|(score, _)| *score = settled(*score));
}

/// A score without its last seven bits. In which order tantivy adds up the words of a passage hangs on its neighbours, so that
/// equal passages may differ in the last bits, and one passage between two indexes of the same documents.
fn settled(score: f32) -> f32 {
    const UNSETTLED: u32 = 7;
    let half = 1 << (UNSETTLED - 1);
    f32::from_bits(score.to_bits().wrapping_add(half) >> UNSETTLED << UNSETTLED)
}

/// The languages of an index, English always among them.
fn languages(
    searcher: &Searcher,
    statistics: &Statistics,
    field: Field,
) -> tantivy::Result<Vec<&'static Profile>> {
    let mut codes = BTreeSet::new();
    for segment in searcher.segment_readers() {
        let inverted = segment.inverted_index(field)?;
        let mut terms = inverted.terms().stream()?;
        while terms.advance() {
            codes.insert(String::from_utf8_lossy(terms.key()).into_owned());
        }
    }
    codes.remove(language::ENGLISH.code);
    let mut languages = vec![language::ENGLISH];
    for code in codes {
        // Documents that are deleted leave theirs behind.
        if statistics.doc_freq(&Term::from_field_text(field, &code))? > 0 {
            languages.extend(language::by_code(&code));
        }
    }
    Ok(languages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The same as putting all in order first, however many are equal.
        #[test]
        fn the_best_are_those_that_sorting_puts_first(
            scores in prop::collection::vec((0u8..6, 0u32..3), 0..200),
            limit in 0usize..50,
        ) {
            // Some differ in bits that do not count.
            let score = |(score, bits): (u8, u32)| f32::from_bits((1.0 + f32::from(score)).to_bits() + bits);
            let scores = scores.into_iter().map(score);
            let found: Vec<_> = scores.zip((0..).map(|place| DocAddress::new(0, place))).collect();
            let mut sorted = found.clone();
            sorted.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
            prop_assert_eq!(best_of(found, limit), cut(sorted, limit));
        }
    }
}
