//! Retrieval of candidates by the lexical and the dense retriever.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use autorag_embedder::Embedder;
use autorag_store::{Candidate, DocumentSet, Passage, PassageId, Snapshot};

use crate::degradation::RetrieverFailures;
use crate::fusion::{FusedCandidate, Scales, code_share, dense_only, fuse, lexical_only};
use crate::relevance::{ActiveRetrievers, set_relevance};
use crate::{Mode, QueryError, Request, Signals};

/// Number of first dense candidates whose texts are checked for code.
const CODE_CHECKED: usize = 10;
/// Number of first lexical candidates whose texts a hybrid search loads while the dense retriever is still busy. Most of them will
/// be shown.
const PREFETCHED: usize = 12;

/// The candidates of a search.
pub(crate) struct Retrieval {
    /// Lexical candidates, best first. Empty in a dense search.
    pub lexical: Vec<Candidate>,
    /// Dense candidates, best first. Empty in a lexical search.
    pub dense: Vec<Candidate>,
    pub signals: Signals,
    /// Texts that were loaded during retrieval.
    pub passages: HashMap<PassageId, Passage>,
    pub failures: RetrieverFailures,
    pub times: RetrievalTimes,
}

/// Time of each step of a retrieval, in microseconds.
#[derive(Default)]
pub(crate) struct RetrievalTimes {
    pub lexical: u64,
    pub embed: u64,
    pub dense: u64,
}

impl Retrieval {
    /// The scales that weighted fusion normalizes scores by.
    pub(crate) fn scales(&self) -> Scales {
        Scales::new(&self.lexical, &self.dense, self.signals.lexical_ceiling)
    }

    /// All candidates in one list, best first and with their relevance.
    pub(crate) fn fused(&self, request: &Request) -> Vec<FusedCandidate> {
        let mut candidates = match request.mode {
            Mode::Hybrid => fuse(request.fusion, &self.lexical, &self.dense, &self.signals),
            Mode::Lexical => lexical_only(&self.lexical),
            Mode::Dense => dense_only(&self.dense),
        };
        let active = ActiveRetrievers {
            lexical: request.mode.uses_lexical() && self.failures.lexical.is_none(),
            dense: !self.dense.is_empty(),
        };
        set_relevance(&mut candidates, active, &self.signals);
        candidates
    }
}

/// Retrieves the `depth` best candidates of each retriever that the request uses.
///
/// `embedder` is the model of the snapshot's vectors, if available. `within` restricts the search to some documents. If the query
/// cannot be embedded, a hybrid search continues with lexical candidates only.
pub(crate) fn retrieve(
    embedder: Option<&Arc<Embedder>>,
    snapshot: &Snapshot,
    request: &Request,
    within: Option<&DocumentSet>,
    depth: usize,
) -> Result<Retrieval, QueryError> {
    // Restrictions such as `kind:code` apply to both retrievers. The model embeds the remaining text.
    let restriction = snapshot.restriction(&request.query, within)?;
    let (within, text) = match &restriction {
        Some((documents, text)) if !text.trim().is_empty() => (Some(documents), text.as_str()),
        Some((documents, _)) => (Some(documents), request.query.as_str()),
        None => (within, request.query.as_str()),
    };
    let search = CandidateSearch {
        embedder,
        snapshot,
        request,
        within,
        text,
        depth,
    };
    let (lexical, dense) = search.run()?;
    search.combine(lexical, dense)
}

/// Input of both retrievers.
struct CandidateSearch<'a> {
    embedder: Option<&'a Arc<Embedder>>,
    snapshot: &'a Snapshot,
    request: &'a Request,
    within: Option<&'a DocumentSet>,
    /// The query without restrictions by field.
    text: &'a str,
    depth: usize,
}

/// Output of the lexical retriever.
#[derive(Default)]
struct LexicalCandidates {
    candidates: Vec<Candidate>,
    /// Upper bound of the BM25 score for the query.
    ceiling: f32,
    passages: HashMap<PassageId, Passage>,
    micros: u64,
}

/// Output of the dense retriever.
#[derive(Default)]
struct DenseCandidates {
    candidates: Vec<Candidate>,
    /// Why the query could not be embedded or compared.
    failure: Option<String>,
    query_truncated: bool,
    embed_micros: u64,
    micros: u64,
}

impl CandidateSearch<'_> {
    /// Runs the retrievers that the request uses.
    ///
    /// A hybrid search runs both in parallel. The lexical retriever is bound by memory, the embedding model by the processor.
    /// Together they take little longer than the slower one.
    fn run(&self) -> Result<(LexicalCandidates, DenseCandidates), QueryError> {
        match self.request.mode {
            Mode::Lexical => Ok((self.lexical()?, DenseCandidates::default())),
            Mode::Dense => Ok((LexicalCandidates::default(), self.dense()?)),
            Mode::Hybrid => thread::scope(|scope| {
                let lexical = scope.spawn(|| self.lexical());
                let dense = self.dense()?;
                let lexical = lexical.join().unwrap_or_else(|panic| resume_unwind(panic))?;
                Ok((lexical, dense))
            }),
        }
    }

    fn lexical(&self) -> Result<LexicalCandidates, QueryError> {
        let (snapshot, query) = (self.snapshot, &self.request.query);
        let mut lexical = LexicalCandidates::default();
        lexical.candidates = timed(&mut lexical.micros, || {
            snapshot.lexical(query, self.request.matching, self.within, self.depth)
        })?;
        lexical.ceiling = snapshot.lexical_ceiling(query)?;
        if self.request.mode == Mode::Hybrid {
            let first = lexical.candidates.iter().take(PREFETCHED);
            load_passages(
                snapshot,
                first.map(|candidate| candidate.passage),
                &mut lexical.passages,
            )?;
        }
        Ok(lexical)
    }

    fn dense(&self) -> Result<DenseCandidates, QueryError> {
        let mut dense = DenseCandidates::default();
        if self.snapshot.counts().embedded == 0 {
            return Ok(dense);
        }
        let Some(embedder) = self.embedder else {
            let model = &self.snapshot.model().id;
            dense.failure = Some(format!(
                "the passages are embedded with the model {model}, which is not available"
            ));
            return Ok(dense);
        };
        match timed(&mut dense.embed_micros, || embedder.embed_query(self.text)) {
            Ok(query) => {
                dense.query_truncated = query.truncated;
                dense.candidates = timed(&mut dense.micros, || {
                    self.snapshot.nearest(&query.vector, self.within, self.depth)
                });
            }
            Err(error) if error.is_provider_failure() => dense.failure = Some(error.to_string()),
            Err(error) => return Err(error.into()),
        }
        Ok(dense)
    }

    fn combine(&self, lexical: LexicalCandidates, dense: DenseCandidates) -> Result<Retrieval, QueryError> {
        let mut passages = lexical.passages;
        let near_code = if self.request.mode == Mode::Hybrid {
            near_code(self.snapshot, &dense.candidates, &mut passages)?
        } else {
            0.0
        };
        // Another model's tokenizer says nothing about the languages that this model knows.
        let tokens = match self.embedder {
            Some(embedder) if !embedder.estimates_tokens() => embedder.tokenizer().count(self.text),
            _ => 0,
        };
        let counts = self.snapshot.counts();
        let embedded = counts.embedded as f32 / counts.passages.max(1) as f32;
        let signals = Signals {
            missing: (1.0 - embedded).clamp(0.0, 1.0),
            ..Signals::new(self.text, tokens, &lexical.candidates, lexical.ceiling, near_code)
        };
        Ok(Retrieval {
            lexical: lexical.candidates,
            dense: dense.candidates,
            signals,
            passages,
            failures: RetrieverFailures {
                dense: dense.failure,
                query_truncated: dense.query_truncated,
                ..RetrieverFailures::default()
            },
            times: RetrievalTimes {
                lexical: lexical.micros,
                embed: dense.embed_micros,
                dense: dense.micros,
            },
        })
    }
}

/// Mean share of code punctuation in the first dense candidates.
fn near_code(
    snapshot: &Snapshot,
    dense: &[Candidate],
    passages: &mut HashMap<PassageId, Passage>,
) -> Result<f32, QueryError> {
    let nearest = || dense.iter().take(CODE_CHECKED).map(|candidate| candidate.passage);
    load_passages(snapshot, nearest(), passages)?;
    let texts = nearest().filter_map(|passage| passages.get(&passage));
    let (count, sum) = texts.fold((0u16, 0.0), |(count, sum), passage| {
        (count + 1, sum + code_share(&passage.text))
    });
    Ok(sum / f32::from(count.max(1)))
}

/// Loads the passages `ids` into `loaded`, except those already there. Pruned passages stay absent.
pub(crate) fn load_passages(
    snapshot: &Snapshot,
    ids: impl Iterator<Item = PassageId>,
    loaded: &mut HashMap<PassageId, Passage>,
) -> Result<(), QueryError> {
    let missing: Vec<PassageId> = ids.filter(|id| !loaded.contains_key(id)).collect();
    let passages = snapshot.passages(&missing)?.into_iter();
    loaded.extend(passages.map(|passage| (passage.id, passage)));
    Ok(())
}

/// Runs `work` and adds its duration in microseconds to `micros`.
pub(crate) fn timed<T>(micros: &mut u64, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    *micros += micros_since(started);
    result
}

/// Microseconds since `started`.
pub(crate) fn micros_since(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}
