//! Reranking: a cross-encoder, elsewhere or in this process, reads question and passage together, within a budget of time.

mod endpoint;
mod judge;
mod shape;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use autorag_store::{PassageId, Snapshot};

use crate::{Degraded, FusedCandidate, Part, QueryError};
use judge::Judge;

pub use judge::RerankerSource;
pub use shape::RerankApi;

/// Where a reranker is and how it is used.
#[derive(Debug, Clone)]
pub struct RerankerOptions {
    /// Where it is.
    pub source: RerankerSource,
    /// How many of the best candidates are reranked.
    pub candidates: usize,
    /// How long all of it may take where the request does not say.
    pub budget: Duration,
}

/// A reranker that can be asked. It judges only for requests that want it.
pub struct Reranker {
    judge: Judge,
    candidates: usize,
    budget: Duration,
}

/// Place before reranking, from 1, and the reranker's score, from 0 to 1.
pub(crate) type Reranked = HashMap<PassageId, (u32, f32)>;

impl Reranker {
    /// The reranker of `options`. Nothing is sent to a server yet, and a model of this process is not opened yet.
    ///
    /// # Errors
    /// [`QueryError::Reranker`] where the address, the key or the model cannot be used.
    pub fn new(options: RerankerOptions) -> Result<Reranker, QueryError> {
        Ok(Reranker {
            judge: Judge::new(options.source)?,
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
        for batch in texts.chunks(self.judge.batch()) {
            let left = deadline.saturating_duration_since(Instant::now());
            let passages: Vec<&str> = batch.iter().map(|(_, text)| text.as_str()).collect();
            let scores = match left.is_zero() {
                true => Err("the time was up".to_owned()),
                false => self.judge.scores(query, &passages, left),
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
}
