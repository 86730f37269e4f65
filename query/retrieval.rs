//! Asking both retrievers, side by side.

use std::time::Instant;

use autorag_embedder::Embedder;
use autorag_store::{Candidate, DocumentSet, Snapshot};

use crate::fusion::{only_dense, only_lexical};
use crate::{FusedCandidate, Mode, QueryError, Request, reciprocal_rank_fusion};

/// What the retrievers propose.
#[derive(Default)]
pub(crate) struct Retrieved {
    /// By BM25, best first; empty where it was not asked.
    pub lexical: Vec<Candidate>,
    /// By cosine, best first; empty where it was not asked.
    pub dense: Vec<Candidate>,
    /// The query was longer than the model reads.
    pub truncated: bool,
    /// Microseconds each part took.
    pub lexical_us: u64,
    pub embed_us: u64,
    pub dense_us: u64,
}

impl Retrieved {
    /// One list of both.
    pub(crate) fn fused(&self, mode: Mode) -> Vec<FusedCandidate> {
        match mode {
            Mode::Hybrid => reciprocal_rank_fusion(&self.lexical, &self.dense),
            Mode::Lexical => only_lexical(&self.lexical),
            Mode::Dense => only_dense(&self.dense),
        }
    }
}

/// Takes the `depth` best of each retriever that the request wants, of documents `within`.
pub(crate) fn retrieve(
    embedder: &Embedder,
    snapshot: &Snapshot,
    request: &Request,
    within: Option<&DocumentSet>,
    depth: usize,
) -> Result<Retrieved, QueryError> {
    let mut retrieved = Retrieved::default();
    let lexical = || -> Result<(Vec<Candidate>, u64), QueryError> {
        let mut took = 0;
        let found = timed(&mut took, || snapshot.lexical(&request.query, within, depth))?;
        Ok((found, took))
    };
    // The lexical index waits for memory and the model for the processor: together they take little longer than one.
    std::thread::scope(|scope| {
        let beside = request.mode == Mode::Hybrid;
        let running = beside.then(|| scope.spawn(lexical));
        if request.mode.wants_dense() && snapshot.counts().embedded > 0 {
            let query = timed(&mut retrieved.embed_us, || embedder.embed_query(&request.query))?;
            retrieved.truncated = query.truncated;
            retrieved.dense = timed(&mut retrieved.dense_us, || {
                snapshot.nearest(&query.vector, within, depth)
            });
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
            (retrieved.lexical, retrieved.lexical_us) = found?;
        }
        Ok(retrieved)
    })
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
