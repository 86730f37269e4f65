//! From a request to its answer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use autorag_embedder::Embedder;
use autorag_store::{
    DocumentEntry, DocumentKey, DocumentQuery, DocumentSet, ErrorChain, Highlighter, Passage, PassageId,
    Snapshot, Store, StoreError,
};

use crate::boost::boosted;
use crate::context::expand;
use crate::degradation::degraded;
use crate::explanation::explained;
use crate::relevance::above;
use crate::retrieval::{Retrieved, micros, retrieve, timed};
use crate::selection::{Selected, select};
use crate::{
    Activity, Answer, Degraded, DocumentText, Duplicate, Freshness, FusedCandidate, Hit, IndexState,
    LineRange, Mode, Part, QueryError, Request, Reranker, StageTimes, freshness, read, snippet,
};

/// Fewest candidates each retriever gives to fusion: enough that a passage both know meets itself.
const MIN_CANDIDATES: usize = 200;
/// How often a search starts again when the writer pruned a passage from under it.
const ATTEMPTS: usize = 3;

/// Answers searches and reads over one store. Cheap to share; readers never wait for the writer.
pub struct Engine {
    store: Arc<Store>,
    embedder: Arc<Embedder>,
    reranker: Option<Reranker>,
    /// Models that the store's vectors may come from besides.
    others: Vec<Arc<Embedder>>,
}

impl Engine {
    /// An engine over `store`. Where its vectors come from another model than that of `embedder`, answers are by words alone and
    /// say so.
    pub fn new(store: Arc<Store>, embedder: Arc<Embedder>) -> Engine {
        Engine {
            store,
            embedder,
            others: Vec::new(),
            reranker: None,
        }
    }

    /// The same with a reranker for requests that want one.
    #[must_use]
    pub fn with_reranker(self, reranker: Reranker) -> Engine {
        Engine {
            reranker: Some(reranker),
            ..self
        }
    }

    /// The same with other models that the store's vectors may come from, now or after a change of models.
    #[must_use]
    pub fn with_others(self, others: Vec<Arc<Embedder>>) -> Engine {
        Engine { others, ..self }
    }

    /// The model that makes the vectors of a snapshot, where it is one of those that this engine has.
    pub fn embedder_of(&self, snapshot: &Snapshot) -> Option<&Arc<Embedder>> {
        let model = snapshot.model();
        std::iter::once(&self.embedder)
            .chain(&self.others)
            .find(|embedder| {
                let own = embedder.model();
                model.matches(&own.id, &own.version, own.dimensions)
            })
    }

    /// The store it reads.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The model it embeds queries with.
    pub fn embedder(&self) -> &Arc<Embedder> {
        &self.embedder
    }

    /// How much of the corpus a search would see now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn index_state(&self, activity: &Activity) -> Result<IndexState, QueryError> {
        Ok(IndexState::new(self.store.snapshot()?.counts(), activity))
    }

    /// Searches. Every way in (command line, HTTP, MCP) ends here.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] for a request that breaks a limit; otherwise when the store or model fails.
    pub fn search(&self, request: &Request, activity: &Activity) -> Result<Answer, QueryError> {
        request.validate()?;
        self.reranker(request)?;
        let mut attempt = 1;
        loop {
            let snapshot = self.store.snapshot()?;
            match self.search_in(&snapshot, request, activity) {
                // The next snapshot is without it, or has one that was made anew.
                Err(QueryError::Store(error)) if error.is_lexical_damage() && attempt < ATTEMPTS => {
                    tracing::warn!("a search met damage: {}", ErrorChain(&error));
                    self.store.report_lexical_damage(&snapshot);
                    attempt += 1;
                }
                // The next snapshot is of the new catalog.
                Err(QueryError::Store(StoreError::Replaced { .. })) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
                Ok(Some(answer)) => return Ok(answer),
                // A passage was replaced and pruned while it was being read: the next snapshot knows better.
                Ok(None) if attempt < ATTEMPTS => attempt += 1,
                Ok(None) => {
                    let mut answer = self.search_partly(request, activity)?;
                    answer.degraded.push(Degraded {
                        part: Part::Index,
                        reason:
                            "some hits are missing: their documents were replaced faster than they could be read, or their texts \
                             in the index are damaged, of which the log tells"
                                .into(),
                    });
                    return Ok(answer);
                }
            }
        }
    }

    /// The reranker, if the request wants one.
    fn reranker(&self, request: &Request) -> Result<Option<&Reranker>, QueryError> {
        match (request.rerank, &self.reranker) {
            (false, _) => Ok(None),
            (true, Some(reranker)) => Ok(Some(reranker)),
            (true, None) => Err(QueryError::Invalid {
                field: "rerank",
                message: "is asked for, but no reranker is set; name one with the setting rerank.url or rerank.model".into(),
            }),
        }
    }

    fn search_in(
        &self,
        snapshot: &Snapshot,
        request: &Request,
        activity: &Activity,
    ) -> Result<Option<Answer>, QueryError> {
        let (answer, whole) = self.answer_from(snapshot, request, activity)?;
        Ok(whole.then_some(answer))
    }

    fn search_partly(&self, request: &Request, activity: &Activity) -> Result<Answer, QueryError> {
        let snapshot = self.store.snapshot()?;
        Ok(self.answer_from(&snapshot, request, activity)?.0)
    }

    /// The answer from one snapshot, and whether every hit could be loaded.
    fn answer_from(
        &self,
        snapshot: &Snapshot,
        request: &Request,
        activity: &Activity,
    ) -> Result<(Answer, bool), QueryError> {
        let started = Instant::now();
        let mut took = StageTimes::default();
        let within = match &request.filter {
            Some(filter) => Some(timed(&mut took.filter, || snapshot.select(filter))),
            None => None,
        };
        let wanted = request.offset + request.limit;
        let depth = MIN_CANDIDATES.max(wanted * 3);

        let mut retrieved = self.retrieve(snapshot, request, within.as_ref(), depth)?;
        (took.lexical, took.embed, took.dense) =
            (retrieved.lexical_us, retrieved.embed_us, retrieved.dense_us);
        let fused = timed(&mut took.fuse, || retrieved.fused(request));
        let (mut relevant, below_threshold) = above(fused, request.score_threshold);
        let before = relevant.clone();
        let strengths = timed(&mut took.fuse, || boosted(snapshot, request, &mut relevant))?;
        let (reranked, rerank_degraded) = match self.reranker(request)? {
            Some(reranker) => timed(&mut took.rerank, || {
                reranker.reorder(snapshot, &request.query, &mut relevant, request.rerank_budget)
            })?,
            None => Default::default(),
        };
        let read = std::mem::take(&mut retrieved.read);
        let (mut hits, whole) = timed(&mut took.load, || {
            self.load(snapshot, request, &relevant, within.as_ref(), read)
        })?;
        for hit in &mut hits {
            hit.reranked = reranked.get(&hit.passage.id).copied();
        }
        if request.explain {
            let scales = retrieved.scales();
            for hit in &mut hits {
                hit.explanation = Some(explained(snapshot, request, hit, &scales)?);
            }
        }
        if let Some(mut strengths) = strengths {
            let places: HashMap<PassageId, u32> = before
                .iter()
                .map(|candidate| candidate.passage)
                .zip(1..)
                .collect();
            for hit in &mut hits {
                let place = places.get(&hit.passage.id).copied();
                hit.boosted = place.zip(strengths.remove(&hit.passage.id));
            }
        }
        let counts = snapshot.counts();
        let dense_failure = retrieved.dense_failure.take();
        let outage = self
            .embedder_of(snapshot)
            .and_then(|embedder| embedder.outage())
            .map(|outage| outage.reason);
        let mut degraded = degraded(
            request,
            counts,
            activity,
            retrieved.lexical_failure.take(),
            dense_failure,
            outage,
            retrieved.truncated,
        );
        degraded.extend(rerank_degraded);
        took.total = micros(started);
        let answer = Answer {
            query: request.query.clone(),
            mode: request.mode,
            hits,
            below_threshold,
            fusion: (request.mode == Mode::Hybrid).then_some((request.fusion, retrieved.signals)),
            degraded,
            index_state: IndexState::new(counts, activity),
            took,
        };
        Ok((answer, whole))
    }

    /// Asks both retrievers. That one cannot be asked is an error only for who wants no other, or where the other has nothing.
    fn retrieve(
        &self,
        snapshot: &Snapshot,
        request: &Request,
        within: Option<&DocumentSet>,
        depth: usize,
    ) -> Result<Retrieved, QueryError> {
        let embedder = self.embedder_of(snapshot);
        let mut retrieved = retrieve(embedder, snapshot, request, within, depth)?;
        retrieved.lexical_failure = self.lexical_failure(snapshot);
        if let Some(reason) = retrieved.lexical_failure.clone()
            && request.mode.wants_lexical()
            && retrieved.dense.is_empty()
        {
            return Err(QueryError::LexicalUnavailable { reason });
        }
        if request.mode == Mode::Dense {
            let nothing_yet = || {
                let outage = embedder
                    .and_then(|embedder| embedder.outage())
                    .filter(|_| snapshot.counts().embedded == 0)?;
                Some(format!(
                    "no passage has a vector yet, and the embedding provider is not available: {}",
                    outage.reason
                ))
            };
            if let Some(reason) = retrieved.dense_failure.clone().or_else(nothing_yet) {
                return Err(QueryError::DenseUnavailable { reason });
            }
        }
        Ok(retrieved)
    }

    /// Why words cannot be searched in a snapshot, and what happens.
    fn lexical_failure(&self, snapshot: &Snapshot) -> Option<String> {
        let reason = match self.store.is_writer() {
            true => "the lexical index is damaged, and is being made anew from the catalog",
            false => {
                "the lexical index is damaged; the process that keeps it makes it anew when it meets the damage, and \
                 `autorag doctor --repair` does while none keeps it"
            }
        };
        snapshot.is_lexical_damaged().then(|| reason.to_owned())
    }

    /// Documents in the order of their best passage, with its score: the ranking that [`Engine::search`] shows a page of,
    /// taken from the `depth` best of each retriever.
    ///
    /// # Errors
    /// Those of [`Engine::search`], and [`QueryError::DenseUnavailable`] for hybrid searches too: a ranking by words alone would be
    /// measured as something else.
    pub fn rank(&self, request: &Request, depth: usize) -> Result<Vec<(DocumentKey, f32)>, QueryError> {
        request.validate()?;
        let snapshot = self.store.snapshot()?;
        let within = request.filter.as_ref().map(|filter| snapshot.select(filter));
        let retrieved = self.retrieve(&snapshot, request, within.as_ref(), depth)?;
        if let Some(reason) = retrieved.dense_failure {
            return Err(QueryError::DenseUnavailable { reason });
        }
        if let (Some(reason), true) = (&retrieved.lexical_failure, request.mode.wants_lexical()) {
            let reason = reason.clone();
            return Err(QueryError::LexicalUnavailable { reason });
        }
        let fused = retrieved.fused(request);
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

    /// Turns candidates into hits, and says whether the catalog still had every passage.
    fn load(
        &self,
        snapshot: &Snapshot,
        request: &Request,
        candidates: &[FusedCandidate],
        within: Option<&DocumentSet>,
        read: HashMap<PassageId, Passage>,
    ) -> Result<(Vec<Hit>, bool), QueryError> {
        let selection = select(snapshot, request, candidates, within, read)?;
        let mut whole = selection.whole;
        let mut highlighter = snapshot.highlighter(&request.query);
        let selected = selection.page.into_iter();
        let hits = selected.filter_map(|selected| {
            let document = snapshot.document_by_id(selected.passage.document)?;
            Some(self.hit(snapshot, &mut highlighter, selected, document))
        });
        let mut hits: Vec<Hit> = hits.collect();
        if request.context_expansion > 0 {
            whole &= expand(snapshot, &mut hits, request.context_expansion)?;
        }
        Ok((hits, whole))
    }

    fn hit(
        &self,
        snapshot: &Snapshot,
        highlighter: &mut Highlighter,
        selected: Selected,
        document: Arc<DocumentEntry>,
    ) -> Hit {
        let Selected {
            candidate,
            rank,
            passage,
            duplicates,
            ..
        } = selected;
        let matches = highlighter.ranges(&passage.text);
        let duplicate = |passage: Passage| {
            let key = snapshot.document_by_id(passage.document)?.key.clone();
            Some(Duplicate {
                key,
                span: passage.span,
            })
        };
        Hit {
            rank,
            score: candidate.relevance,
            fused: candidate.score,
            snippet: snippet::cut(&passage.text, &matches),
            freshness: self.freshness(&document),
            passage,
            context: None,
            reranked: None,
            boosted: None,
            explanation: None,
            document,
            duplicates: duplicates.into_iter().filter_map(duplicate).collect(),
            lexical: candidate.lexical,
            dense: candidate.dense,
        }
    }

    /// Whether a document's file is as it was indexed.
    pub fn freshness(&self, entry: &DocumentEntry) -> Freshness {
        match self.store.resolve(&entry.key) {
            Some((root, path)) => freshness::check(root, &path, entry),
            None => Freshness::Stale,
        }
    }

    /// Some lines of a document's text.
    ///
    /// # Errors
    /// [`QueryError::NoSuchDocument`], [`QueryError::NotIndexedYet`] and [`QueryError::NoText`] as they say; otherwise when
    /// the store fails.
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
            // None: the document was replaced and pruned meanwhile, and the next snapshot has its successor.
            let Some(text) = snapshot.document_text(key)? else {
                continue;
            };
            let (slice, start_line, end_line, total_lines) = read::lines(&text, range);
            return Ok(DocumentText {
                text: slice.to_owned(),
                start_line,
                end_line,
                total_lines,
                freshness: self.freshness(&entry),
                document: entry,
            });
        }
        let key = key.to_owned();
        Err(match activity.phase.may_miss_documents() {
            true => QueryError::NotIndexedYet { key },
            false => QueryError::NoSuchDocument { key },
        })
    }

    /// Documents in the order of their keys.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn documents(&self, query: &DocumentQuery) -> Result<Vec<Arc<DocumentEntry>>, QueryError> {
        Ok(self.store.snapshot()?.documents(query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Phase;
    use autorag_store::{ModelIdentity, StoreOptions};

    #[test]
    fn an_unknown_document_is_told_from_one_not_indexed_yet() {
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
