//! One state of the corpus, as a query sees it from its beginning to its end.

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

/// Documents, lexical index and vectors of one publication. Cheap to keep; the writer never waits for it.
pub struct Snapshot {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) documents: Arc<Documents>,
    pub(crate) lexical: Option<LexicalView>,
    /// There is a lexical index, and it is damaged.
    pub(crate) lexical_damaged: bool,
    pub(crate) vectors: Arc<Vectors>,
    pub(crate) accelerator: Arc<BackgroundGraph>,
    pub(crate) model: Arc<ModelIdentity>,
    pub(crate) embedded: u64,
}

impl Snapshot {
    /// What it holds.
    pub fn counts(&self) -> Counts {
        Counts {
            embedded: self.embedded,
            ..self.documents.counts
        }
    }

    /// The same without the lexical index, which was found damaged.
    pub(crate) fn without_lexical(&self) -> Snapshot {
        Snapshot {
            catalog: Arc::clone(&self.catalog),
            documents: Arc::clone(&self.documents),
            lexical: None,
            lexical_damaged: true,
            vectors: Arc::clone(&self.vectors),
            accelerator: Arc::clone(&self.accelerator),
            model: Arc::clone(&self.model),
            embedded: self.embedded,
        }
    }

    /// Whether words cannot be searched because their index is damaged. What asks for words finds nothing then.
    pub fn is_lexical_damaged(&self) -> bool {
        self.lexical_damaged
    }

    /// The model that its vectors come from.
    pub fn model(&self) -> &ModelIdentity {
        &self.model
    }

    /// The documents that meet `filter`.
    pub fn select(&self, filter: &Filter) -> DocumentSet {
        self.documents.select(filter)
    }

    /// The best `limit` passages for the words of `text` by BM25, of documents `within`, or of all. Any text may be asked:
    /// words, `"phrases that must occur"`, `-words` that must not, and both in the title, a heading or the path of the document
    /// (`title:word`, `heading:"two words"`, `-path:old`).
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
        Ok(self.ordered(found, limit))
    }

    /// The documents `within`, or of all, that `text` asks for by their fields (`title:`, `heading:`, `path:`, `kind:`), and the
    /// rest of the text. None where it says nothing of fields.
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
            .restricted(within.unwrap_or(&self.documents.searchable), &restriction);
        Ok(Some((set, restriction.plain)))
    }

    /// The BM25 score that a passage with all words of `text`, each very often, would have: what makes scores of different
    /// queries comparable.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn lexical_ceiling(&self, text: &str) -> Result<f32, StoreError> {
        let view = self.lexical.as_ref();
        view.map_or(Ok(0.0), |view| view.guard(|view| view.max_score(text)))
    }

    /// The `limit` nearest passages to `query`, a vector of length 1, by cosine, of documents `within`, or of all.
    pub fn nearest(&self, query: &[f32], within: Option<&DocumentSet>, limit: usize) -> Vec<Candidate> {
        // Vectors may run ahead of the documents or behind them: only what the documents have counts.
        let live = &self.documents.searchable;
        let by_graph = || {
            let graph = self.accelerator.graph(&self.vectors)?;
            vectors::nearest_by_graph(&self.vectors, &graph, query, live, limit)
        };
        let found = match within {
            Some(within) => vectors::nearest(&self.vectors, query, within, limit),
            None => by_graph().unwrap_or_else(|| vectors::nearest(&self.vectors, query, live, limit)),
        };
        self.ordered(found, limit)
    }

    /// Best first; equal scores by key and place, so that the order does not hang on how the index came about.
    fn ordered(&self, mut found: Vec<(Candidate, DocumentId)>, limit: usize) -> Vec<Candidate> {
        found.retain(|(_, document)| self.documents.by_id(*document).is_some());
        found.sort_by(|(one, of_one), (other, of_other)| {
            let key = |id: &DocumentId| self.documents.by_id(*id).map(|entry| entry.key.as_str());
            other
                .score
                .partial_cmp(&one.score)
                .unwrap_or(Ordering::Equal)
                .then_with(|| key(of_one).cmp(&key(of_other)))
                .then_with(|| one.passage.cmp(&other.passage))
        });
        found.truncate(limit);
        found.into_iter().map(|(candidate, _)| candidate).collect()
    }

    /// The passages of `ids` with their texts, in that order. One that was replaced and pruned since the snapshot was taken is
    /// left out.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn passages(&self, ids: &[PassageId]) -> Result<Vec<Passage>, StoreError> {
        self.catalog.read(|connection| catalog::passages(connection, ids))
    }

    /// The documents of passages. One that was replaced and pruned since the snapshot was taken is left out.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn documents_of(&self, ids: &[PassageId]) -> Result<HashMap<PassageId, DocumentId>, StoreError> {
        self.catalog
            .read(|connection| catalog::documents_of(connection, ids))
    }

    /// The text of `document` from the beginning of its passage `first` to the end of its passage `last`, counted from 0, with
    /// its place. None where they were replaced and pruned since the snapshot was taken.
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

    /// The document of a number.
    pub fn document_by_id(&self, id: DocumentId) -> Option<Arc<DocumentEntry>> {
        self.documents.by_id(id).cloned()
    }

    /// The document called `key`.
    pub fn document(&self, key: &str) -> Option<Arc<DocumentEntry>> {
        self.documents.by_key(key).cloned()
    }

    /// The extracted text of the document called `key`.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn document_text(&self, key: &str) -> Result<Option<String>, StoreError> {
        let Some(entry) = self.documents.by_key(key) else {
            return Ok(None);
        };
        self.catalog
            .read(|connection| catalog::text_of(connection, entry.id))
    }

    /// Documents in the order of their keys.
    pub fn documents(&self, query: &DocumentQuery) -> Vec<Arc<DocumentEntry>> {
        self.documents.list(query)
    }

    /// The words of the question `query`, in their order, with what each is worth and where `passage` of `entry` has it.
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

    /// What marks the words of a question in texts, by the rules of the lexical index; nothing where there is none.
    pub fn highlighter(&self, question: &str) -> Highlighter {
        self.lexical
            .as_ref()
            .map_or_else(Highlighter::default, |view| view.highlighter(question))
    }
}
