//! A read-only view of one commit of the lexical index.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use tantivy::collector::DocSetCollector;
use tantivy::columnar::Column;
use tantivy::index::SegmentId;
use tantivy::query::{Bm25StatisticsProvider, Query};
use tantivy::schema::Field;
use tantivy::{DocAddress, Searcher, SegmentOrdinal, TantivyError, Term};

use super::highlight::Highlighter;
use super::language::{self, Profile};
use super::query::SearchFields;
use super::query_parser::{Clause, ParsedQuery, Scope, Stems};
use super::score_documents::score_documents;
use super::statistics::Statistics;
use super::term_scorer::TermWeight;
use super::top_collector::TopCollector;
use super::top_k::best_first;
use super::{Fields, catch_panic, maxscore};
use crate::{Candidate, DocumentId, DocumentSet, Matching, PassageId, StoreError};

/// Hits fetched beyond the limit at first. The limit must not split a run of equal scores, because tantivy
/// orders ties by segment layout.
const MIN_EXTRA: usize = 32;
/// If all extra hits tie with the last hit within the limit, fetch more, until there are this many extra.
const MAX_EXTRA: usize = 4096;
/// Boosts of fields, relative to the passage's text.
const TITLE_BOOST: f32 = 0.8;
const HEADING_BOOST: f32 = 1.3;
const PATH_BOOST: f32 = 0.8;
/// Weight of the whole document's score, which is added to the scores of its passages. A passage answers a
/// question, but its document gives the topic. docs/retrieval.md has measurements.
const DOCUMENT_WEIGHT: f32 = 1.5;
/// A filter is selective if it keeps at most this many documents …
const MAX_SELECTED: u64 = 5000;
/// … and at most 1/SELECTIVITY of the collection. All passages of these documents are then scored, without a
/// search of the index.
const SELECTIVITY: u64 = 20;
/// BM25 k1. Must equal tantivy's.
const K1: f32 = 1.2;

/// One commit of the lexical index.
#[derive(Clone)]
pub(crate) struct LexicalView {
    searcher: Searcher,
    statistics: Statistics,
    fields: Fields,
    path: PathBuf,
    /// Languages that passages were stemmed in. A query is stemmed in all of them.
    languages: Vec<&'static Profile>,
}

/// The document restrictions in a query: `title:`, `heading:`, `path:` and `kind:`.
#[derive(Debug, Default)]
pub(crate) struct Restriction {
    /// The query without the restrictions.
    pub plain: String,
    /// A document must be in all of these sets, …
    pub required: Vec<DocumentSet>,
    /// … in none of these sets, …
    pub excluded: Vec<DocumentSet>,
    /// … of one of these kinds, unless the list is empty, …
    pub kinds: Vec<String>,
    /// … and of none of these kinds.
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

    /// Identifiers of the segments, in ascending order.
    pub(crate) fn segment_ids(&self) -> Vec<SegmentId> {
        let readers = self.searcher.segment_readers().iter();
        let mut segments: Vec<SegmentId> = readers.map(|reader| reader.segment_id()).collect();
        segments.sort_unstable();
        segments
    }

    /// Runs `read`, and turns a panic into an error. tantivy may panic on files that were damaged after it
    /// opened them.
    pub(crate) fn guard<T>(
        &self,
        read: impl FnOnce(&LexicalView) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        catch_panic(&self.path, || read(self))
    }

    /// The best `limit` passages and all further ones that tie with the last, each with its document.
    ///
    /// `within` restricts the search; `documents` is the size of the whole collection. A filter does not change
    /// scores, because words always have the weights of the whole collection.
    pub(crate) fn search(
        &self,
        text: &str,
        matching: Matching,
        within: Option<&DocumentSet>,
        documents: u64,
        limit: usize,
    ) -> Result<Vec<(Candidate, DocumentId)>, StoreError> {
        let query = ParsedQuery::parse(text, &self.languages);
        let mut excluded = HashSet::new();
        for clause in query.excluded_phrases() {
            let matches = self.matches(clause)?.into_iter();
            excluded.extend(matches.map(|(candidate, _)| candidate.passage));
        }
        let hits = if query.is_disjunction(matching) {
            let fields = self.search_fields().all();
            let terms = self.term_weights(query.words.iter(), &fields, self.searcher.num_docs())?;
            let is_selective = within.is_some_and(|within| is_selective(within, documents));
            self.search_terms(&terms, within, is_selective, limit)?
        } else {
            let query = query.query(&self.search_fields(), matching);
            self.search_query(query.as_ref(), within, &excluded, limit)?
        };
        let terms = self.term_weights(query.scoring_words(), &[(self.fields.whole, 1.0)], documents)?;
        if terms.is_empty() {
            return Ok(hits);
        }
        let document_scores = self.document_scores(&terms, &hits)?;
        let hits = hits.into_iter().map(|(candidate, document)| {
            let document_score = document_scores.get(&document).copied().unwrap_or(0.0);
            let score = candidate.score + DOCUMENT_WEIGHT * document_score;
            (Candidate { score, ..candidate }, document)
        });
        Ok(hits.collect())
    }

    /// Scores of the whole documents of `hits`, by `terms` in the field `whole`.
    fn document_scores(
        &self,
        terms: &[TermWeight],
        hits: &[(Candidate, DocumentId)],
    ) -> Result<HashMap<DocumentId, f32>, StoreError> {
        let documents: DocumentSet = hits.iter().map(|(_, document)| *document).collect();
        let scored = score_documents(&self.searcher, &self.statistics, terms, &documents);
        let scored = scored.and_then(|mut scored| {
            round_scores(&mut scored);
            self.candidates(&scored)
        });
        let scored = scored.map_err(|source| self.error(source))?.into_iter();
        Ok(scored
            .map(|(candidate, document)| (document, candidate.score))
            .collect())
    }

    /// Upper bound of the BM25 score for `text`: the limit as every term frequency goes to infinity. Scores
    /// divided by it are comparable across queries.
    pub(crate) fn max_score(&self, text: &str) -> Result<f32, StoreError> {
        let query = ParsedQuery::parse(text, &self.languages);
        let mut bound = 0.0;
        for stems in query.scoring_words() {
            bound += self.idf(stems, self.fields.body)? * (K1 + 1.0) * (1.0 + DOCUMENT_WEIGHT);
        }
        for Clause { scope, words } in &query.field_clauses {
            let (field, boost) = self.boosted_field(*scope);
            for (_, stems) in words {
                bound += self.idf(stems, field)? * (K1 + 1.0) * boost;
            }
        }
        Ok(bound)
    }

    /// BM25's inverse document frequency of a word in a field.
    pub(super) fn idf(&self, stems: &Stems, field: Field) -> Result<f32, StoreError> {
        let count = self.searcher.num_docs() as f32;
        let doc_freq = self.doc_freq(stems, field)? as f32;
        Ok((1.0 + (count - doc_freq + 0.5) / (doc_freq + 0.5)).ln())
    }

    /// Number of passages that have a word in a field, by its most frequent stem.
    pub(super) fn doc_freq(&self, stems: &Stems, field: Field) -> Result<u64, StoreError> {
        let mut highest = 0;
        for stem in stems {
            let doc_freq = self.statistics.doc_freq(&Term::from_field_text(field, stem));
            highest = highest.max(doc_freq.map_err(|source| self.error(source))?);
        }
        Ok(highest)
    }

    /// The languages of the passages, English first.
    pub(super) fn languages(&self) -> &[&'static Profile] {
        &self.languages
    }

    /// The field of a passage's text.
    pub(super) fn body(&self) -> Field {
        self.fields.body
    }

    fn search_fields(&self) -> SearchFields {
        SearchFields {
            body: self.boosted_field(Scope::Anywhere),
            title: self.boosted_field(Scope::Title),
            headings: self.boosted_field(Scope::Heading),
            path: self.boosted_field(Scope::Path),
        }
    }

    fn boosted_field(&self, scope: Scope) -> (Field, f32) {
        match scope {
            Scope::Anywhere => (self.fields.body, 1.0),
            Scope::Title => (self.fields.title, TITLE_BOOST),
            Scope::Heading => (self.fields.headings, HEADING_BOOST),
            Scope::Path => (self.fields.path, PATH_BOOST),
        }
    }

    /// The document restrictions of a query, which apply to semantic search too. `None` if there are none.
    pub(crate) fn restriction(&self, text: &str) -> Result<Option<Restriction>, StoreError> {
        // Every restriction has a colon. Most queries have none and need not be parsed.
        if !text.contains(':') {
            return Ok(None);
        }
        let query = ParsedQuery::parse(text, &self.languages);
        if !query.restricts_documents() {
            return Ok(None);
        }
        let mut restriction = Restriction {
            plain: query.plain.clone().unwrap_or_default(),
            kinds: query.kinds.clone(),
            excluded_kinds: query.excluded_kinds.clone(),
            ..Restriction::default()
        };
        for clause in &query.field_clauses {
            restriction.required.push(self.documents_with(clause)?);
        }
        // An excluded heading is not a document restriction: other passages of the document have other
        // headings.
        let excluded = query
            .excluded
            .iter()
            .filter(|clause| matches!(clause.scope, Scope::Title | Scope::Path));
        for clause in excluded {
            restriction.excluded.push(self.documents_with(clause)?);
        }
        Ok(Some(restriction))
    }

    /// The documents of the passages that match a clause.
    fn documents_with(&self, clause: &Clause) -> Result<DocumentSet, StoreError> {
        let matches = self.matches(clause)?.into_iter();
        Ok(matches.map(|(_, document)| document).collect())
    }

    /// The passages that match a clause, unscored, each with its document.
    fn matches(&self, clause: &Clause) -> Result<Vec<(Candidate, DocumentId)>, StoreError> {
        let addresses = self
            .searcher
            .search(clause.query(&self.search_fields()).as_ref(), &DocSetCollector)
            .map_err(|source| self.error(source))?;
        let unscored: Vec<(f32, DocAddress)> = addresses.into_iter().map(|at| (0.0, at)).collect();
        self.candidates(&unscored).map_err(|source| self.error(source))
    }

    /// A highlighter of the words of a query.
    pub(crate) fn highlighter(&self, question: &str) -> Highlighter {
        Highlighter::new(question, &self.languages)
    }

    /// The best `limit` passages by a query and all further ones that tie with the last, except the passages
    /// `excluded`. `allowed` restricts the documents.
    fn search_query(
        &self,
        query: &dyn Query,
        allowed: Option<&DocumentSet>,
        excluded: &HashSet<PassageId>,
        limit: usize,
    ) -> Result<Vec<(Candidate, DocumentId)>, StoreError> {
        let hits = fetch_with_ties(limit, |k| {
            let collector = TopCollector::new(k, allowed, excluded);
            self.searcher
                .search_with_statistics_provider(query, &collector, &self.statistics)
        });
        let candidates = hits.and_then(|hits| self.candidates(&hits));
        candidates.map_err(|source| self.error(source))
    }

    /// Weights of `words` in each of the boosted `fields`, in a collection of `count` passages or documents.
    fn term_weights<'w>(
        &self,
        words: impl Iterator<Item = &'w Stems>,
        fields: &[(Field, f32)],
        count: u64,
    ) -> Result<Vec<TermWeight>, StoreError> {
        let mut weights = Vec::new();
        for stems in words {
            for &field in fields {
                let weight = TermWeight::new(&self.statistics, field, stems, count);
                weights.extend(weight.map_err(|source| self.error(source))?);
            }
        }
        Ok(weights)
    }

    /// The best `limit` passages by the summed scores of `terms` and all further ones that tie with the last.
    /// `allowed` restricts the documents.
    fn search_terms(
        &self,
        terms: &[TermWeight],
        allowed: Option<&DocumentSet>,
        is_selective: bool,
        limit: usize,
    ) -> Result<Vec<(Candidate, DocumentId)>, StoreError> {
        let hits = match allowed {
            Some(few) if is_selective => score_documents(&self.searcher, &self.statistics, terms, few)
                .map(|hits| select_with_ties(hits, limit)),
            _ => fetch_with_ties(limit, |k| {
                maxscore::top_passages(&self.searcher, terms, allowed, k)
            }),
        };
        let candidates = hits.and_then(|hits| self.candidates(&hits));
        candidates.map_err(|source| self.error(source))
    }

    /// The passages and documents of hits.
    fn candidates(&self, hits: &[(f32, DocAddress)]) -> tantivy::Result<Vec<(Candidate, DocumentId)>> {
        // Opening a column costs more than reading a value, so open each once.
        let mut columns: HashMap<SegmentOrdinal, (Column<u64>, Column<u64>)> = HashMap::new();
        let mut candidates = Vec::with_capacity(hits.len());
        for &(score, at) in hits {
            let (passages, documents) = match columns.entry(at.segment_ord) {
                Entry::Occupied(opened) => opened.into_mut(),
                Entry::Vacant(vacant) => {
                    let fast = self.searcher.segment_reader(at.segment_ord).fast_fields();
                    vacant.insert((fast.u64("passage")?, fast.u64("document")?))
                }
            };
            let value = |column: &Column<u64>| column.first(at.doc_id).unwrap_or_default();
            let passage = PassageId(value(passages));
            candidates.push((Candidate { passage, score }, DocumentId(value(documents) as u32)));
        }
        Ok(candidates)
    }

    fn error(&self, source: TantivyError) -> StoreError {
        StoreError::lexical(&self.path, source)
    }
}

/// Whether scoring all passages of the documents `within` is faster than searching the index.
fn is_selective(within: &DocumentSet, documents: u64) -> bool {
    within.len() <= MAX_SELECTED && within.len() * SELECTIVITY <= documents
}

/// The best `limit` hits and all further ones that tie with the last. `top_k` returns the k best hits, best
/// first.
fn fetch_with_ties(
    limit: usize,
    mut top_k: impl FnMut(usize) -> tantivy::Result<Vec<(f32, DocAddress)>>,
) -> tantivy::Result<Vec<(f32, DocAddress)>> {
    let mut extra = MIN_EXTRA;
    loop {
        let k = limit.max(1).saturating_add(extra);
        let hits = top_k(k)?;
        let is_full = hits.len() == k;
        let hits = truncate_after_ties(hits, limit);
        let ends_in_tie = is_full && hits.len() == k;
        if !ends_in_tie || extra >= MAX_EXTRA {
            return Ok(hits);
        }
        extra *= 4;
    }
}

/// The best `limit` of unsorted hits and all further ones that tie with the last, with rounded scores.
fn select_with_ties(mut hits: Vec<(f32, DocAddress)>, limit: usize) -> Vec<(f32, DocAddress)> {
    if hits.len() > limit {
        let (_, &mut (last, _), _) = hits.select_nth_unstable_by(limit.max(1) - 1, best_first);
        hits.retain(|(score, _)| round_score(*score) >= round_score(last));
    }
    hits.sort_unstable_by(best_first);
    truncate_after_ties(hits, limit)
}

/// The first `limit` of sorted hits and all further ones that tie with the last, with rounded scores.
fn truncate_after_ties(mut hits: Vec<(f32, DocAddress)>, limit: usize) -> Vec<(f32, DocAddress)> {
    round_scores(&mut hits);
    if let Some(&(last, _)) = hits.get(limit.max(1) - 1) {
        hits.retain(|(score, _)| *score >= last);
    }
    hits
}

fn round_scores(hits: &mut [(f32, DocAddress)]) {
    hits.iter_mut()
        .for_each(|(score, _)| *score = round_score(*score));
}

/// Rounds the last seven bits of a score's mantissa away.
///
/// The order in which the terms of a passage are summed depends on its neighbours in the segment. Without
/// rounding, equal passages could differ in the last bits. So could one passage in two indexes of the same
/// documents.
fn round_score(score: f32) -> f32 {
    const ROUNDED_BITS: u32 = 7;
    let half = 1 << (ROUNDED_BITS - 1);
    f32::from_bits(score.to_bits().wrapping_add(half) >> ROUNDED_BITS << ROUNDED_BITS)
}

/// The languages of live passages, after English, which is always included.
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
        // The term dictionary also has the languages of deleted passages.
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
        /// Partial selection equals sorting, however many scores tie.
        #[test]
        fn selection_equals_sorting(
            scores in prop::collection::vec((0u8..6, 0u32..3), 0..200),
            limit in 0usize..50,
        ) {
            // Some scores differ only in bits that rounding removes.
            let score = |(score, bits): (u8, u32)| f32::from_bits((1.0 + f32::from(score)).to_bits() + bits);
            let scores = scores.into_iter().map(score);
            let hits: Vec<_> = scores.zip((0..).map(|doc| DocAddress::new(0, doc))).collect();
            let mut sorted = hits.clone();
            sorted.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
            prop_assert_eq!(select_with_ties(hits, limit), truncate_after_ties(sorted, limit));
        }
    }
}
