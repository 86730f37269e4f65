//! Asking both retrievers, side by side.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use autorag_embedder::Embedder;
use autorag_store::{Candidate, DocumentSet, Passage, PassageId, Snapshot};

use crate::fusion::{Scales, code_share, only_dense, only_lexical};
use crate::relevance::{self, Heard};
use crate::{FusedCandidate, Mode, QueryError, Request, Signals, fuse};

/// Of so many passages that the dense retriever finds first, it is looked whether they are code.
const LOOKED_AT: usize = 10;
/// Of so many passages that the lexical retriever finds first, the texts are read while the other still searches.
const READ_AHEAD: usize = 12;

/// What the retrievers propose.
#[derive(Default)]
pub(crate) struct Retrieved {
    /// By BM25, best first; empty where it was not asked.
    pub lexical: Vec<Candidate>,
    /// By cosine, best first; empty where it was not asked.
    pub dense: Vec<Candidate>,
    /// What the question and the lists tell of either retriever.
    pub signals: Signals,
    /// Passages that were read on the way, by number. Most will be shown.
    pub read: HashMap<PassageId, Passage>,
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
    let beside = request.mode == Mode::Hybrid;
    let lexical = || -> Result<_, QueryError> {
        let mut took = 0;
        let found = timed(&mut took, || {
            snapshot.lexical(&request.query, request.matching, within, depth)
        })?;
        let ceiling = snapshot.lexical_ceiling(&request.query)?;
        let mut read = HashMap::new();
        if beside {
            read_passages(
                snapshot,
                found.iter().take(READ_AHEAD).map(|found| found.passage),
                &mut read,
            )?;
        }
        Ok((found, ceiling, took, read))
    };
    // The lexical index waits for memory and the model for the processor: together they take little longer than one.
    std::thread::scope(|scope| {
        let mut ceiling = 0.0;
        let running = beside.then(|| scope.spawn(lexical));
        if request.mode.wants_dense() && snapshot.counts().embedded > 0 {
            let query = timed(&mut retrieved.embed_us, || match embedder {
                Some(embedder) => match embedder.embed_query(plain) {
                    Err(error) if error.is_provider_failure() => Ok(Err(error.to_string())),
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
            (retrieved.lexical, ceiling, retrieved.lexical_us, retrieved.read) = found?;
        }
        // What another model's tokenizer makes of a language says nothing of whether this model knows it.
        let own = embedder.filter(|embedder| !embedder.estimates_tokens());
        let tokens = own.map_or(0, |embedder| embedder.tokenizer().count(plain));
        let near_code = match beside {
            true => near_code(snapshot, &retrieved.dense, &mut retrieved.read)?,
            false => 0.0,
        };
        let counts = snapshot.counts();
        retrieved.signals = Signals {
            missing: (1.0 - counts.embedded as f32 / counts.passages.max(1) as f32).clamp(0.0, 1.0),
            ..Signals::new(plain, tokens, &retrieved.lexical, ceiling, near_code)
        };
        Ok(retrieved)
    })
}

/// How much of the nearest passages is code, on average.
fn near_code(
    snapshot: &Snapshot,
    dense: &[Candidate],
    read: &mut HashMap<PassageId, Passage>,
) -> Result<f32, QueryError> {
    let nearest = || dense.iter().take(LOOKED_AT).map(|candidate| candidate.passage);
    read_passages(snapshot, nearest(), read)?;
    let passages = nearest().filter_map(|passage| read.get(&passage));
    let (count, shares) = passages.fold((0u16, 0.0), |(count, shares), passage| {
        (count + 1, shares + code_share(&passage.text))
    });
    Ok(shares / f32::from(count.max(1)))
}

/// Reads those of `passages` that have not been, so far as they still exist.
pub(crate) fn read_passages(
    snapshot: &Snapshot,
    passages: impl Iterator<Item = PassageId>,
    read: &mut HashMap<PassageId, Passage>,
) -> Result<(), QueryError> {
    let missing: Vec<PassageId> = passages.filter(|passage| !read.contains_key(passage)).collect();
    let found = snapshot.passages(&missing)?.into_iter();
    read.extend(found.map(|passage| (passage.id, passage)));
    Ok(())
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
