//! Reranking: a cross-encoder elsewhere reads question and passage together, within a budget of time.

mod endpoint;
mod shape;

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use autorag_store::{PassageId, Snapshot};

use crate::{Degraded, FusedCandidate, Part, QueryError};
use endpoint::Endpoint;

pub use shape::RerankApi;

/// Passages sent at once: few enough that a small budget brings some scores, many enough that a request is worth its way.
const BATCH: usize = 10;

/// Where a reranker is and how it is spoken to.
#[derive(Clone)]
pub struct RerankerOptions {
    /// The whole address, such as `http://127.0.0.1:8080/rerank`.
    pub url: String,
    /// What it speaks.
    pub api: RerankApi,
    /// Name of the model, where the server has several.
    pub model: Option<String>,
    /// Sent as a bearer token; never said anywhere else.
    pub key: Option<String>,
    /// How many of the best candidates are reranked.
    pub candidates: usize,
    /// How long all of it may take where the request does not say.
    pub budget: Duration,
}

impl fmt::Debug for RerankerOptions {
    /// All but the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RerankerOptions")
            .field("url", &self.url)
            .field("api", &self.api)
            .field("model", &self.model)
            .field("candidates", &self.candidates)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// A reranker that can be asked. It is spoken to only for requests that want it.
pub struct Reranker {
    endpoint: Endpoint,
    api: RerankApi,
    model: Option<String>,
    candidates: usize,
    budget: Duration,
}

/// Place before reranking, from 1, and the reranker's score, from 0 to 1.
pub(crate) type Reranked = HashMap<PassageId, (u32, f32)>;

impl Reranker {
    /// A reranker at the address of `options`. Nothing is sent yet.
    ///
    /// # Errors
    /// [`QueryError::Reranker`] where the address or the key cannot be used.
    pub fn new(options: RerankerOptions) -> Result<Reranker, QueryError> {
        Ok(Reranker {
            endpoint: Endpoint::new(&options.url, options.key.as_deref())?,
            api: options.api,
            model: options.model,
            candidates: options.candidates,
            budget: options.budget,
        })
    }

    /// Puts the best of `candidates` into the reranker's order, those first that it has scored; the others stay as they were.
    /// What did not fit the budget, or failed, is said and is no error.
    pub(crate) fn reorder(
        &self,
        snapshot: &Snapshot,
        query: &str,
        candidates: &mut [FusedCandidate],
        budget: Option<Duration>,
    ) -> Result<(Reranked, Option<Degraded>), QueryError> {
        let budget = budget.unwrap_or(self.budget);
        let deadline = Instant::now() + budget;
        let best = &candidates[..candidates.len().min(self.candidates)];
        let ids: Vec<PassageId> = best.iter().map(|candidate| candidate.passage).collect();
        let ranks: HashMap<PassageId, u32> = ids.iter().copied().zip(1..).collect();
        let texts: Vec<(PassageId, String)> = snapshot
            .passages(&ids)?
            .into_iter()
            .map(|passage| {
                let headings = passage.heading_path.join(" › ");
                let text = match headings.is_empty() {
                    true => passage.text,
                    false => format!("{headings}\n\n{}", passage.text),
                };
                (passage.id, text)
            })
            .collect();
        let mut scored = Reranked::new();
        let mut failure = None;
        for batch in texts.chunks(BATCH) {
            let left = deadline.saturating_duration_since(Instant::now());
            let passages: Vec<&str> = batch.iter().map(|(_, text)| text.as_str()).collect();
            let scores = match left.is_zero() {
                true => Err("the time was up".to_owned()),
                false => self.scores(query, &passages, left),
            };
            match scores {
                Ok(scores) => scored.extend(batch.iter().zip(scores).map(|((id, _), score)| {
                    let rank = ranks.get(id).copied().unwrap_or_default();
                    (*id, (rank, score))
                })),
                Err(reason) => {
                    failure = Some(reason);
                    break;
                }
            }
        }
        let score = |candidate: &FusedCandidate| scored.get(&candidate.passage).map(|(_, score)| *score);
        candidates.sort_by(|one, other| match (score(one), score(other)) {
            (Some(one), Some(other)) => other.total_cmp(&one),
            (one, other) => other.is_some().cmp(&one.is_some()),
        });
        let degraded = failure.map(|reason| Degraded {
            part: Part::Rerank,
            reason: format!(
                "{} of {} passages were reranked within {} ms: {reason}",
                scored.len(),
                texts.len(),
                budget.as_millis()
            ),
        });
        Ok((scored, degraded))
    }

    /// The scores of `passages`, in their order; else why there are none.
    fn scores(&self, query: &str, passages: &[&str], timeout: Duration) -> Result<Vec<f32>, String> {
        let body = self.api.request(self.model.as_deref(), query, passages);
        let answer = self.endpoint.post(&body, timeout)?;
        self.api.scores(&answer, passages.len())
    }
}
