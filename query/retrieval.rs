//! Asking both retrievers, side by side.

use std::sync::Arc;
use std::time::Instant;

use autorag_embedder::Embedder;
use autorag_store::{Candidate, DocumentSet, PassageId, Snapshot};

use crate::fusion::{Scales, code_share, only_dense, only_lexical};
use crate::relevance::{self, Heard};
use crate::{FusedCandidate, Mode, QueryError, Request, Signals, fuse};

/// Of so many passages that the dense retriever finds first, it is looked whether they are code.
const LOOKED_AT: usize = 10;

/// What the retrievers propose.
#[derive(Default)]
pub(crate) struct Retrieved {
    /// By BM25, best first; empty where it was not asked.
    pub lexical: Vec<Candidate>,
    /// By cosine, best first; empty where it was not asked.
    pub dense: Vec<Candidate>,
    /// What the question and the lists tell of either retriever.
    pub signals: Signals,
    /// Why the lexical retriever could not be asked.
    pub lexical_failure: Option<String>,
    /// Why the dense retriever could not be asked, though it was wanted.
    pub dense_failure: Option<String>,
    /// The query was longer than the model reads.
    pub truncated: bool,
    /// Microseconds each part took.
    pub lexical_us: u64,
    pub embed_us: u64,
    pub dense_us: u64,
}

impl Retrieved {
    /// The scales that fusion by weights compares scores on.
    pub(crate) fn scales(&self) -> Scales {
        Scales::new(&self.lexical, &self.dense, self.signals.lexical_ceiling)
    }

    /// One list of both, each candidate with its relevance.
    pub(crate) fn fused(&self, request: &Request) -> Vec<FusedCandidate> {
        let mut candidates = match request.mode {
            Mode::Hybrid => fuse(request.fusion, &self.lexical, &self.dense, &self.signals),
            Mode::Lexical => only_lexical(&self.lexical),
            Mode::Dense => only_dense(&self.dense),
        };
        let heard = Heard {
            lexical: request.mode.wants_lexical() && self.lexical_failure.is_none(),
            dense: !self.dense.is_empty(),
        };
        relevance::judge(&mut candidates, heard, &self.signals);
        candidates
    }
}

/// Takes the `depth` best of each retriever that the request wants, of documents `within`. `embedder` is the model of the vectors,
/// where it can be asked.
///
/// A hybrid search goes on by words where the query cannot be embedded.
pub(crate) fn retrieve(
    embedder: Option<&Arc<Embedder>>,
    snapshot: &Snapshot,
    request: &Request,
    within: Option<&DocumentSet>,
    depth: usize,
) -> Result<Retrieved, QueryError> {
    let mut retrieved = Retrieved::default();
    // What a question says of fields holds for both; the model reads the rest.
    let restriction = snapshot.restriction(&request.query, within)?;
    let within = restriction.as_ref().map(|(set, _)| set).or(within);
    let plain = match &restriction {
        Some((_, plain)) if !plain.trim().is_empty() => plain,
        _ => &request.query,
    };
    let lexical = || -> Result<_, QueryError> {
        let mut took = 0;
        let found = timed(&mut took, || {
            snapshot.lexical(&request.query, request.matching, within, depth)
        })?;
        Ok((found, snapshot.lexical_ceiling(&request.query)?, took))
    };
    // The lexical index waits for memory and the model for the processor: together they take little longer than one.
    std::thread::scope(|scope| {
        let beside = request.mode == Mode::Hybrid;
        let mut ceiling = 0.0;
        let running = beside.then(|| scope.spawn(lexical));
        if request.mode.wants_dense() && snapshot.counts().embedded > 0 {
            let query = timed(&mut retrieved.embed_us, || match embedder {
                Some(embedder) => match embedder.embed_query(plain) {
                    Err(error) if error.is_of_provider() => Ok(Err(error.to_string())),
                    embedded => embedded.map(Ok),
                },
                None => Ok(Err(format!(
                    "the vectors are of the model {}, which cannot be opened here",
                    snapshot.model().id
                ))),
            })?;
            match query {
                Ok(query) => {
                    retrieved.truncated = query.truncated;
                    retrieved.dense = timed(&mut retrieved.dense_us, || {
                        snapshot.nearest(&query.vector, within, depth)
                    });
                }
                Err(reason) => retrieved.dense_failure = Some(reason),
            }
        }
        let found = match running {
            Some(running) => Some(
                running
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            ),
            None => request.mode.wants_lexical().then(lexical),
        };
        if let Some(found) = found {
            (retrieved.lexical, ceiling, retrieved.lexical_us) = found?;
        }
        // What another model's tokenizer makes of a language says nothing of whether this model knows it.
        let own = embedder.filter(|embedder| !embedder.estimates_tokens());
        let tokens = own.map_or(0, |embedder| embedder.tokenizer().count(plain));
        let near_code = match beside {
            true => near_code(snapshot, &retrieved.dense)?,
            false => 0.0,
        };
        retrieved.signals = Signals::new(plain, tokens, &retrieved.lexical, ceiling, near_code);
        Ok(retrieved)
    })
}

/// How much of the nearest passages is code, on average.
fn near_code(snapshot: &Snapshot, dense: &[Candidate]) -> Result<f32, QueryError> {
    let ids: Vec<PassageId> = dense
        .iter()
        .take(LOOKED_AT)
        .map(|candidate| candidate.passage)
        .collect();
    let passages = snapshot.passages(&ids)?;
    let shares: f32 = passages.iter().map(|passage| code_share(&passage.text)).sum();
    Ok(shares / passages.len().max(1) as f32)
}

/// Does `work`, and adds the microseconds it took.
pub(crate) fn timed<T>(into: &mut u64, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = work();
    *into += micros(started);
    result
}

/// Microseconds since `started`.
pub(crate) fn micros(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)
}
