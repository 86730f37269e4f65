//! Snapshots: the state of a store that one query reads.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use crate::catalog::{self, Catalog};
use crate::documents::Documents;
use crate::lexical::{Highlighter, LexicalView};
use crate::vectors::{self, BackgroundGraph, Vectors};
use crate::{
    Candidate, Counts, DocumentEntry, DocumentId, DocumentQuery, DocumentSet, Filter, Matching,
    ModelIdentity, Passage, PassageId, Span, StoreError, TermMatch,
};

/// An immutable view of documents, lexical index and vectors as of one commit. Holding one is cheap and never blocks the writer.
pub struct Snapshot {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) documents: Arc<Documents>,
    pub(crate) lexical: Option<LexicalView>,
    /// Whether the lexical index is damaged. If so, `lexical` is `None`.
    pub(crate) lexical_damaged: bool,
    pub(crate) vectors: Arc<Vectors>,
    pub(crate) graph: Arc<BackgroundGraph>,
    pub(crate) model: Arc<ModelIdentity>,
    pub(crate) embedded: u64,
}

impl Snapshot {
    /// Counts of documents, passages and vectors.
    pub fn counts(&self) -> Counts {
        Counts {
            embedded: self.embedded,
            ..self.documents.counts
        }
    }

    /// This snapshot without its lexical index, which was found damaged.
    pub(crate) fn without_lexical(&self) -> Snapshot {
        Snapshot {
            catalog: Arc::clone(&self.catalog),
            documents: Arc::clone(&self.documents),
            lexical: None,
            lexical_damaged: true,
            vectors: Arc::clone(&self.vectors),
            graph: Arc::clone(&self.graph),
            model: Arc::clone(&self.model),
            embedded: self.embedded,
        }
    }

    /// Whether keyword search is unavailable because the lexical index is damaged. Keyword queries then find nothing.
    pub fn is_lexical_damaged(&self) -> bool {
        self.lexical_damaged
    }

    /// The model of the vectors.
    pub fn model(&self) -> &ModelIdentity {
        &self.model
    }

    /// The documents that match `filter`.
    pub fn select(&self, filter: &Filter) -> DocumentSet {
        self.documents.select(filter)
    }

    /// The top `limit` passages for the query `text` by BM25, restricted to the documents `within` if given.
    ///
    /// Every text is a valid query. It consists of keywords, `"phrases"` that must occur and `-keywords` that must not. Both can
    /// be restricted to the title, the headings or the path (`title:word`, `heading:"two words"`, `-path:old`).
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn lexical(
        &self,
        text: &str,
        matching: Matching,
        within: Option<&DocumentSet>,
        limit: usize,
    ) -> Result<Vec<Candidate>, StoreError> {
        let Some(view) = &self.lexical else {
            return Ok(Vec::new());
        };
        let documents = self.documents.searchable.len();
        let found = view.guard(|view| view.search(text, matching, within, documents, limit))?;
        Ok(self.rank(found, limit))
    }

    /// The documents that the fields in `text` (`title:`, `heading:`, `path:`, `kind:`) select, and the text without them. Only
    /// documents `within` are considered if given. `None` if the text has no fields.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn restriction(
        &self,
        text: &str,
        within: Option<&DocumentSet>,
    ) -> Result<Option<(DocumentSet, String)>, StoreError> {
        let Some(view) = &self.lexical else {
            return Ok(None);
        };
        let Some(restriction) = view.guard(|view| view.restriction(text))? else {
            return Ok(None);
        };
        let set = self
            .documents
            .restrict(within.unwrap_or(&self.documents.searchable), &restriction);
        Ok(Some((set, restriction.plain)))
    }

    /// Upper bound of the BM25 score for `text`: the limit as every term frequency goes to infinity. Scores divided by it are
    /// comparable across queries.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn lexical_ceiling(&self, text: &str) -> Result<f32, StoreError> {
        let view = self.lexical.as_ref();
        view.map_or(Ok(0.0), |view| view.guard(|view| view.max_score(text)))
    }

    /// The top `limit` passages by cosine similarity to `query`, restricted to the documents `within` if given. `query` must have
    /// length 1.
    pub fn nearest(&self, query: &[f32], within: Option<&DocumentSet>, limit: usize) -> Vec<Candidate> {
        // Vectors can be older or newer than the documents. Only live documents count.
        let live = &self.documents.searchable;
        let search_graph = || {
            let graph = self.graph.graph(&self.vectors)?;
            vectors::nearest_by_graph(&self.vectors, &graph, query, live, limit)
        };
        let found = match within {
            Some(within) => vectors::nearest(&self.vectors, query, within, limit),
            None => search_graph().unwrap_or_else(|| vectors::nearest(&self.vectors, query, live, limit)),
        };
        self.rank(found, limit)
    }

    /// Sorts by descending score and cuts at `limit`. Ties are broken by key and passage, because the order must not depend on the
    /// layout of the index.
    fn rank(&self, mut candidates: Vec<(Candidate, DocumentId)>, limit: usize) -> Vec<Candidate> {
        candidates.retain(|(_, document)| self.documents.by_id(*document).is_some());
        candidates.sort_by(|(one, one_document), (other, other_document)| {
            let key = |id: &DocumentId| self.documents.by_id(*id).map(|entry| entry.key.as_str());
            other
                .score
                .partial_cmp(&one.score)
                .unwrap_or(Ordering::Equal)
                .then_with(|| key(one_document).cmp(&key(other_document)))
                .then_with(|| one.passage.cmp(&other.passage))
        });
        candidates.truncate(limit);
        candidates.into_iter().map(|(candidate, _)| candidate).collect()
    }

    /// The passages `ids` with their texts, in the given order. A passage that was replaced and pruned after the snapshot was
    /// taken is missing.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn passages(&self, ids: &[PassageId]) -> Result<Vec<Passage>, StoreError> {
        self.catalog.read(|connection| catalog::passages(connection, ids))
    }

    /// The documents of the passages `ids`. A passage that was replaced and pruned after the snapshot was taken is missing.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn documents_of(&self, ids: &[PassageId]) -> Result<HashMap<PassageId, DocumentId>, StoreError> {
        self.catalog
            .read(|connection| catalog::documents_of(connection, ids))
    }

    /// The text of `document` from the start of passage `first` to the end of passage `last`, with its span. Passages are counted
    /// from 0. `None` if the passages were replaced and pruned after the snapshot was taken.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn text_of_passages(
        &self,
        document: DocumentId,
        first: u32,
        last: u32,
    ) -> Result<Option<(Span, String)>, StoreError> {
        self.catalog
            .read(|connection| catalog::text_of_passages(connection, document, first, last))
    }

    /// The document with the number `id`.
    pub fn document_by_id(&self, id: DocumentId) -> Option<Arc<DocumentEntry>> {
        self.documents.by_id(id).cloned()
    }

    /// The document with the key `key`.
    pub fn document(&self, key: &str) -> Option<Arc<DocumentEntry>> {
        self.documents.by_key(key).cloned()
    }

    /// The extracted text of the document with the key `key`.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn document_text(&self, key: &str) -> Result<Option<String>, StoreError> {
        let Some(entry) = self.documents.by_key(key) else {
            return Ok(None);
        };
        self.catalog
            .read(|connection| catalog::document_text(connection, entry.id))
    }

    /// Documents selected by `query`, ordered by key.
    pub fn documents(&self, query: &DocumentQuery) -> Vec<Arc<DocumentEntry>> {
        self.documents.list(query)
    }

    /// The terms of `query` in their order, each with its weight and its matches in `passage` of the document `entry`.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn terms(
        &self,
        query: &str,
        passage: &Passage,
        entry: &DocumentEntry,
    ) -> Result<Vec<TermMatch>, StoreError> {
        let Some(view) = &self.lexical else {
            return Ok(Vec::new());
        };
        view.guard(|view| view.terms(query, passage, entry))
    }

    /// A highlighter for the terms of `question`, with the analyzers of the lexical index. Highlights nothing without an index.
    pub fn highlighter(&self, question: &str) -> Highlighter {
        self.lexical
            .as_ref()
            .map_or_else(Highlighter::default, |view| view.highlighter(question))
    }
}
