//! One commit of the lexical index, as a snapshot asks it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use tantivy::collector::{FilterCollector, TopDocs};
use tantivy::columnar::Column;
use tantivy::query::{Bm25StatisticsProvider, Query};
use tantivy::schema::Field;
use tantivy::{DocAddress, Searcher, SegmentOrdinal, TantivyError, Term};

use super::language::{self, Profile};
use super::query::Typed;
use super::{Fields, analyzer};
use crate::{Candidate, DocumentId, DocumentSet, PassageId, StoreError};

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
/// Documents whose score is looked at, for each passage asked for.
const DOCUMENTS: usize = 2;
/// How soon more of a word stops to count, in tantivy's BM25.
const K1: f32 = 1.2;

/// One commit, as a snapshot sees it.
#[derive(Clone)]
pub(crate) struct LexicalView {
    searcher: Searcher,
    fields: Fields,
    path: PathBuf,
    /// Those that its texts were stemmed in; a query is stemmed in each.
    languages: Vec<&'static Profile>,
}

impl LexicalView {
    pub(super) fn new(searcher: Searcher, fields: Fields, path: &Path) -> Result<LexicalView, StoreError> {
        let languages = languages(&searcher, fields.language).map_err(|source| StoreError::Lexical {
            path: path.to_owned(),
            source,
        })?;
        Ok(LexicalView {
            searcher,
            fields,
            path: path.to_owned(),
            languages,
        })
    }

    /// The best `limit` passages, and those that equal the last of them, of documents `within`, or of all `documents` of the
    /// corpus, with the document of each. What may answer does not change what a word is worth.
    pub(crate) fn search(
        &self,
        text: &str,
        within: Option<&DocumentSet>,
        documents: u64,
        limit: usize,
    ) -> Result<Vec<(Candidate, DocumentId)>, StoreError> {
        let typed = Typed::parse(text, &self.languages);
        let fields = self.fields;
        let passages = typed.query(&[
            (fields.body, 1.0),
            (fields.title, TITLE_WEIGHT),
            (fields.headings, HEADING_WEIGHT),
            (fields.path, PATH_WEIGHT),
        ]);
        let found = self.best(passages.as_ref(), within, limit, &self.searcher)?;
        let Some(whole) = typed.any_of(fields.whole) else {
            return Ok(found);
        };
        let counted = WholeDocuments {
            searcher: &self.searcher,
            count: documents,
        };
        let depth = limit * DOCUMENTS;
        let scores = self.best(whole.as_ref(), within, depth, &counted)?;
        let scores: HashMap<DocumentId, f32> = scores
            .into_iter()
            .map(|(candidate, document)| (document, candidate.score))
            .collect();
        let added = found.into_iter().map(|(candidate, document)| {
            let of_document = scores.get(&document).copied().unwrap_or(0.0);
            let score = candidate.score + DOCUMENT_WEIGHT * of_document;
            (Candidate { score, ..candidate }, document)
        });
        Ok(added.collect())
    }

    /// The BM25 score of an imaginary passage that has every word of `text` over and over, as its document has: what no real one
    /// reaches by its text alone.
    pub(crate) fn ceiling(&self, text: &str) -> Result<f32, StoreError> {
        let passages = self.searcher.num_docs() as f32;
        let typed = Typed::parse(text, &self.languages);
        let mut ceiling = 0.0;
        for forms in typed.sought() {
            let mut with = 0;
            for form in forms {
                let term = Term::from_field_text(self.fields.body, form);
                with = with.max(
                    self.searcher
                        .doc_freq(&term)
                        .map_err(|source| self.failed(source))?,
                );
            }
            let with = with as f32;
            let rarity = (1.0 + (passages - with + 0.5) / (with + 0.5)).ln();
            ceiling += rarity * (K1 + 1.0) * (1.0 + DOCUMENT_WEIGHT);
        }
        Ok(ceiling)
    }

    /// Where `text` has words of `query`, in order and apart from one another.
    pub(crate) fn highlight(&self, text: &str, query: &str) -> Vec<Range<usize>> {
        let typed = Typed::parse(query, &self.languages);
        let sought: HashSet<&str> = typed.sought().flatten().map(String::as_str).collect();
        let mut marked: Vec<Range<usize>> = Vec::new();
        for language in &self.languages {
            let tokens = analyzer::tokens(&mut analyzer::analyzer(language), text).into_iter();
            let found = tokens.filter(|token| sought.contains(token.text.as_str()));
            marked.extend(found.map(|token| token.offset_from..token.offset_to));
        }
        marked.sort_by_key(|range| (range.start, range.end));
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for range in marked {
            match ranges.last_mut() {
                // Pairs of characters overlap, and so do identifiers and their parts.
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => ranges.push(range),
            }
        }
        ranges
    }

    /// The best `limit` by a query and those that equal the last of them, of documents `allowed` if it is said, with the
    /// statistics of `counted`.
    fn best(
        &self,
        query: &dyn Query,
        allowed: Option<&DocumentSet>,
        limit: usize,
        counted: &dyn Bm25StatisticsProvider,
    ) -> Result<Vec<(Candidate, DocumentId)>, StoreError> {
        let limit = limit.max(1);
        let mut ties = TIES;
        loop {
            let depth = limit + ties;
            let best = TopDocs::with_limit(depth).order_by_score();
            let found = match allowed {
                Some(allowed) => {
                    let allowed = allowed.clone();
                    let inside = move |document: u64| {
                        u32::try_from(document).is_ok_and(|id| allowed.contains(DocumentId(id)))
                    };
                    let filtered = FilterCollector::new("document".to_owned(), inside, best);
                    self.searcher
                        .search_with_statistics_provider(query, &filtered, counted)
                }
                None => self
                    .searcher
                    .search_with_statistics_provider(query, &best, counted),
            };
            let mut found = found.map_err(|source| self.failed(source))?;
            found.iter_mut().for_each(|(score, _)| *score = settled(*score));
            let cut = found
                .get(limit - 1)
                .map_or(f32::NEG_INFINITY, |(score, _)| *score);
            let cut_apart = found.len() == depth && found.last().is_some_and(|(score, _)| *score == cut);
            if cut_apart && ties < MOST_TIES {
                ties *= 4;
                continue;
            }
            found.retain(|(score, _)| *score >= cut);
            return self.candidates(&found).map_err(|source| self.failed(source));
        }
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
        StoreError::Lexical {
            path: self.path.clone(),
            source,
        }
    }
}

/// A score without its last seven bits. In which order tantivy adds up the words of a passage hangs on its neighbours, so that
/// equal passages may differ in the last bits, and one passage between two indexes of the same documents.
fn settled(score: f32) -> f32 {
    const UNSETTLED: u32 = 7;
    let half = 1 << (UNSETTLED - 1);
    f32::from_bits(score.to_bits().wrapping_add(half) >> UNSETTLED << UNSETTLED)
}

/// The statistics of whole documents, which are indexed with their first passages: there are as many as documents, not as
/// passages.
struct WholeDocuments<'a> {
    searcher: &'a Searcher,
    count: u64,
}

impl Bm25StatisticsProvider for WholeDocuments<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        self.searcher.total_num_tokens(field)
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.count)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        // Documents that are deleted, and not merged away yet, count here and not there.
        Ok(self.searcher.doc_freq(term)?.min(self.count))
    }
}

/// The languages of an index, English always among them.
fn languages(searcher: &Searcher, field: Field) -> tantivy::Result<Vec<&'static Profile>> {
    let mut codes = BTreeSet::new();
    for segment in searcher.segment_readers() {
        let inverted = segment.inverted_index(field)?;
        let mut terms = inverted.terms().stream()?;
        while terms.advance() {
            codes.insert(String::from_utf8_lossy(terms.key()).into_owned());
        }
    }
    let mut languages = vec![language::ENGLISH];
    let others = codes.iter().filter(|code| *code != language::ENGLISH.code);
    languages.extend(others.filter_map(|code| language::by_code(code)));
    Ok(languages)
}
