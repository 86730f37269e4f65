//! The engine: from a request to its answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use autorag_embedder::Embedder;
use autorag_store::{
    DocumentEntry, DocumentKey, DocumentQuery, DocumentSet, ErrorChain, PassageId, Snapshot, Store,
    StoreError,
};

use crate::degradation::{LexicalFailure, degradations};
use crate::hits::{Page, build_hits};
use crate::ranking::rank;
use crate::retrieval::{Retrieval, micros_since, retrieve, timed};
use crate::selection::select;
use crate::{
    Activity, Answer, Degradation, DegradationKind, DocumentText, Freshness, IndexState, LineRange, Mode,
    QueryError, Request, Reranker, StageTimes, freshness, read,
};

/// Minimum number of candidates from each retriever. Fusion works best if a relevant passage is in both lists.
const MIN_CANDIDATES: usize = 200;
/// Candidates from each retriever per requested hit. Duplicates and the limit per document use up some of them.
const CANDIDATES_PER_HIT: usize = 3;
/// Maximum number of snapshots that one search or read tries. The writer may prune a passage that an older snapshot refers to.
const ATTEMPTS: usize = 3;

/// Searches and reads the documents of one store.
///
/// An engine never blocks the writer of the store and is never blocked by it.
///
/// ```
/// use std::sync::Arc;
///
/// use autorag_embedder::Embedder;
/// use autorag_query::{Activity, Engine, Phase, Request};
/// use autorag_store::{ModelIdentity, Store, StoreOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let embedder = Arc::new(Embedder::built_in()?);
/// let model = ModelIdentity {
///     id: embedder.model().id.clone(),
///     version: embedder.model().version.clone(),
///     dimensions: embedder.model().dimensions,
///     ..ModelIdentity::default()
/// };
/// let store = Store::open(folder.path(), StoreOptions { model, sources: Vec::new() })?;
/// let engine = Engine::new(Arc::new(store), embedder);
///
/// let activity = Activity { phase: Phase::Ready, files_seen: 0, last_run: None, failure: None };
/// let request = Request { limit: 3, ..Request::new("how do I install it?") };
/// let answer = engine.search(&request, &activity)?;
/// for hit in &answer.hits {
///     println!("{:.2} {}:{}", hit.score, hit.document.key, hit.passage.span.start_line);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Engine {
    store: Arc<Store>,
    embedder: Arc<Embedder>,
    /// Other models that the store's vectors may come from.
    other_embedders: Vec<Arc<Embedder>>,
    reranker: Option<Reranker>,
}

impl Engine {
    /// An engine over `store` that embeds queries with `embedder`.
    ///
    /// If the store's vectors come from another model, searches use keywords only, and each answer reports a [`Degradation`].
    pub fn new(store: Arc<Store>, embedder: Arc<Embedder>) -> Engine {
        Engine {
            store,
            embedder,
            other_embedders: Vec::new(),
            reranker: None,
        }
    }

    /// Sets the reranker for requests that ask for one.
    #[must_use]
    pub fn with_reranker(self, reranker: Reranker) -> Engine {
        Engine {
            reranker: Some(reranker),
            ..self
        }
    }

    /// Adds models that the store's vectors may come from. After a change of models, the old vectors serve until all passages are
    /// re-embedded.
    #[must_use]
    pub fn with_other_embedders(self, embedders: Vec<Arc<Embedder>>) -> Engine {
        Engine {
            other_embedders: embedders,
            ..self
        }
    }

    /// The model of a snapshot's vectors, if the engine has it.
    pub fn embedder_of(&self, snapshot: &Snapshot) -> Option<&Arc<Embedder>> {
        let model = snapshot.model();
        std::iter::once(&self.embedder)
            .chain(&self.other_embedders)
            .find(|embedder| {
                let own = embedder.model();
                model.matches(&own.id, &own.version, own.dimensions)
            })
    }

    /// The store that the engine searches.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The model that queries are embedded with, unless the store's vectors come from another one.
    pub fn embedder(&self) -> &Arc<Embedder> {
        &self.embedder
    }

    /// How much of the corpus is searchable now.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn index_state(&self, activity: &Activity) -> Result<IndexState, QueryError> {
        Ok(IndexState::new(self.store.snapshot()?.counts(), activity))
    }

    /// Answers a request from the current snapshot. Tries a newer snapshot if the first one cannot be read completely.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] for an invalid request. [`QueryError::DenseUnavailable`] or [`QueryError::LexicalUnavailable`] if a
    /// retriever failed and the other one cannot replace it. Any other error means that the store or the model failed.
    pub fn search(&self, request: &Request, activity: &Activity) -> Result<Answer, QueryError> {
        request.validate()?;
        for _ in 1..ATTEMPTS {
            let snapshot = self.store.snapshot()?;
            match self.answer_from(&snapshot, request, activity) {
                Ok((answer, true)) => return Ok(answer),
                // A passage was replaced and pruned during the search. The next snapshot has its successor.
                Ok((_, false)) => {}
                // The next snapshot either excludes the lexical index or has a rebuilt one.
                Err(QueryError::Store(error)) if error.is_lexical_damage() => {
                    tracing::warn!("a search found damage: {}", ErrorChain(&error));
                    self.store.report_lexical_damage(&snapshot);
                }
                // The next snapshot reads the new catalog.
                Err(QueryError::Store(StoreError::Replaced { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        let (mut answer, is_complete) = self.answer_from(&*self.store.snapshot()?, request, activity)?;
        if !is_complete {
            answer.degraded.push(Degradation::new(
                DegradationKind::HitsMissing,
                "some hits are missing: their documents changed during the search, or their stored text is damaged (see the log)",
            ));
        }
        Ok(answer)
    }

    /// The reranker, if the request asks for one.
    fn reranker(&self, request: &Request) -> Result<Option<&Reranker>, QueryError> {
        if !request.rerank {
            return Ok(None);
        }
        match &self.reranker {
            Some(reranker) => Ok(Some(reranker)),
            None => Err(QueryError::Invalid {
                field: "rerank",
                message: "is requested, but no reranker is configured".into(),
            }),
        }
    }

    /// The answer from one snapshot, and whether all its hits could be loaded.
    fn answer_from(
        &self,
        snapshot: &Snapshot,
        request: &Request,
        activity: &Activity,
    ) -> Result<(Answer, bool), QueryError> {
        let started = Instant::now();
        let mut took = StageTimes::default();
        let reranker = self.reranker(request)?;
        let filter = request.filter.as_ref();
        let within = filter.map(|filter| timed(&mut took.filter, || snapshot.select(filter)));
        let depth = MIN_CANDIDATES.max((request.offset + request.limit) * CANDIDATES_PER_HIT);

        let mut retrieval = self.retrieve(snapshot, request, within.as_ref(), depth)?;
        (took.lexical, took.embed, took.dense) = (
            retrieval.times.lexical,
            retrieval.times.embed,
            retrieval.times.dense,
        );
        let ranking = rank(snapshot, request, &retrieval, reranker, &mut took)?;
        let loaded = std::mem::take(&mut retrieval.passages);
        let Page { hits, is_complete } = timed(&mut took.load, || {
            let selection = select(snapshot, request, &ranking.candidates, within.as_ref(), loaded)?;
            build_hits(self, snapshot, request, selection, &ranking, retrieval.scales())
        })?;

        let counts = snapshot.counts();
        let mut degraded = degradations(request, counts, activity, &retrieval.failures);
        degraded.extend(ranking.reranking.degradation);
        took.total = micros_since(started);
        let answer = Answer {
            query: request.query.clone(),
            mode: request.mode,
            hits,
            below_threshold: ranking.below_threshold,
            fusion: (request.mode == Mode::Hybrid).then_some((request.fusion, retrieval.signals)),
            degraded,
            index_state: IndexState::new(counts, activity),
            took,
        };
        Ok((answer, is_complete))
    }

    /// Retrieves candidates. The failure of a retriever is an error only if the other one is not used or found nothing.
    fn retrieve(
        &self,
        snapshot: &Snapshot,
        request: &Request,
        within: Option<&DocumentSet>,
        depth: usize,
    ) -> Result<Retrieval, QueryError> {
        let embedder = self.embedder_of(snapshot);
        let mut retrieval = retrieve(embedder, snapshot, request, within, depth)?;
        let outage = embedder.and_then(|embedder| embedder.outage());
        retrieval.failures.outage = outage.map(|outage| outage.reason);
        retrieval.failures.lexical = self.lexical_failure(snapshot);
        if let Some(failure) = retrieval.failures.lexical
            && request.mode.uses_lexical()
            && retrieval.dense.is_empty()
        {
            return Err(lexical_unavailable(failure));
        }
        if request.mode == Mode::Dense {
            if let Some(reason) = retrieval.failures.dense.clone() {
                return Err(QueryError::DenseUnavailable { reason });
            }
            if let Some(outage) = &retrieval.failures.outage
                && snapshot.counts().embedded == 0
            {
                let reason = format!(
                    "no passage has a vector yet, and the embedding provider is unavailable: {outage}"
                );
                return Err(QueryError::DenseUnavailable { reason });
            }
        }
        Ok(retrieval)
    }

    fn lexical_failure(&self, snapshot: &Snapshot) -> Option<LexicalFailure> {
        if !snapshot.is_lexical_damaged() {
            None
        } else if self.store.is_writer() {
            Some(LexicalFailure::Rebuilding)
        } else {
            Some(LexicalFailure::Damaged)
        }
    }

    /// Ranks documents by their best passage, and returns the score of that passage. Each retriever proposes `depth` candidates.
    ///
    /// The order is that of [`Engine::search`] without threshold, boosts and reranking.
    ///
    /// # Errors
    /// The errors of [`Engine::search`]. Unlike a search, a hybrid ranking fails if either retriever fails, because an evaluation
    /// must not attribute the measures of one retriever to both.
    pub fn rank(&self, request: &Request, depth: usize) -> Result<Vec<(DocumentKey, f32)>, QueryError> {
        request.validate()?;
        let snapshot = self.store.snapshot()?;
        let within = request.filter.as_ref().map(|filter| snapshot.select(filter));
        let retrieval = self.retrieve(&snapshot, request, within.as_ref(), depth)?;
        if let Some(reason) = retrieval.failures.dense {
            return Err(QueryError::DenseUnavailable { reason });
        }
        if let Some(failure) = retrieval.failures.lexical
            && request.mode.uses_lexical()
        {
            return Err(lexical_unavailable(failure));
        }
        let fused = retrieval.fused(request);
        let ids: Vec<PassageId> = fused.iter().map(|candidate| candidate.passage).collect();
        let documents = snapshot.documents_of(&ids)?;
        let mut seen = HashSet::new();
        let ranked = fused.iter().filter_map(|candidate| {
            let entry = snapshot.document_by_id(*documents.get(&candidate.passage)?)?;
            seen.insert(entry.id)
                .then(|| (entry.key.clone(), candidate.score))
        });
        Ok(ranked.collect())
    }

    /// Compares a document's file with the index.
    pub fn freshness(&self, entry: &DocumentEntry) -> Freshness {
        match self.store.resolve(&entry.key) {
            Some((root, path)) => freshness::check(root, &path, entry),
            None => Freshness::Stale,
        }
    }

    /// Reads lines of a document's text.
    ///
    /// # Errors
    /// [`QueryError::NoSuchDocument`], [`QueryError::NotIndexedYet`] or [`QueryError::NoText`]. Any other error means that the
    /// store failed.
    pub fn read(&self, key: &str, range: LineRange, activity: &Activity) -> Result<DocumentText, QueryError> {
        for _ in 0..ATTEMPTS {
            let snapshot = self.store.snapshot()?;
            let Some(entry) = snapshot.document(key) else {
                break;
            };
            if let Some(reason) = &entry.reason {
                return Err(QueryError::NoText {
                    key: key.to_owned(),
                    reason: reason.clone(),
                });
            }
            // The document may have been replaced and pruned meanwhile. The next snapshot has its successor.
            let Some(text) = snapshot.document_text(key)? else {
                continue;
            };
            let lines = read::lines(&text, range);
            return Ok(DocumentText {
                text: lines.text.to_owned(),
                start_line: lines.start,
                end_line: lines.end,
                total_lines: lines.total,
                freshness: self.freshness(&entry),
                document: entry,
            });
        }
        let key = key.to_owned();
        Err(if activity.phase.may_miss_documents() {
            QueryError::NotIndexedYet { key }
        } else {
            QueryError::NoSuchDocument { key }
        })
    }

    /// Lists documents, sorted by key.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn documents(&self, query: &DocumentQuery) -> Result<Vec<Arc<DocumentEntry>>, QueryError> {
        Ok(self.store.snapshot()?.documents(query))
    }
}

fn lexical_unavailable(failure: LexicalFailure) -> QueryError {
    QueryError::LexicalUnavailable {
        reason: failure.reason(),
        is_rebuilding: failure == LexicalFailure::Rebuilding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Phase;
    use autorag_store::{ModelIdentity, StoreOptions};

    #[test]
    fn while_indexing_an_unknown_document_is_not_indexed_yet() {
        let dir = tempfile::tempdir().unwrap();
        let embedder = Arc::new(Embedder::built_in().unwrap());
        let model = embedder.model();
        let options = StoreOptions {
            model: ModelIdentity {
                id: model.id.clone(),
                version: model.version.clone(),
                dimensions: model.dimensions,
                ..ModelIdentity::default()
            },
            sources: Vec::new(),
        };
        let engine = Engine::new(Arc::new(Store::open(dir.path(), options).unwrap()), embedder);
        let read = |phase| {
            let activity = Activity {
                phase,
                files_seen: 0,
                last_run: None,
                failure: None,
            };
            engine.read("a.md", LineRange::default(), &activity).unwrap_err()
        };
        assert!(matches!(read(Phase::Indexing), QueryError::NotIndexedYet { .. }));
        assert!(matches!(read(Phase::Ready), QueryError::NoSuchDocument { .. }));
    }
}
