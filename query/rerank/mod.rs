//! Reranking: a cross-encoder scores query and passage together, within a time limit.

mod endpoint;
mod protocol;
mod scorer;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use autorag_store::{Passage, PassageId, Snapshot};

use crate::fusion::FusedCandidate;
use crate::{Degradation, DegradationKind, QueryError};
use scorer::Scorer;

pub use protocol::RerankApi;
pub use scorer::RerankerSource;

/// Options of a [`Reranker`].
#[derive(Debug, Clone)]
pub struct RerankerOptions {
    /// Server or model.
    pub source: RerankerSource,
    /// Number of best candidates to rerank.
    pub candidates: usize,
    /// Time limit of one search's reranking, unless the request sets another.
    pub budget: Duration,
}

/// Reranks candidates for requests that ask for it.
pub struct Reranker {
    scorer: Scorer,
    candidates: usize,
    budget: Duration,
}

/// Effect of reranking on a hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RerankScore {
    /// Rank before reranking, from 1, among all candidates above the score threshold.
    pub rank_before: u32,
    /// The reranker's score, from 0 to 1.
    pub score: f32,
}

/// Result of reranking.
#[derive(Default)]
pub(crate) struct Reranking {
    /// Scores of the candidates that were reranked.
    pub scores: HashMap<PassageId, RerankScore>,
    /// Set if some candidates were not reranked.
    pub degradation: Option<Degradation>,
}

impl Reranker {
    /// A reranker with these options. It opens the model, or sends the first request, only for the first search.
    ///
    /// # Errors
    /// [`QueryError::Reranker`] if the URL, the key or the model is invalid.
    pub fn new(options: RerankerOptions) -> Result<Reranker, QueryError> {
        Ok(Reranker {
            scorer: Scorer::new(options.source)?,
            candidates: options.candidates,
            budget: options.budget,
        })
    }

    /// Sorts the best of `candidates` by their reranker scores. Candidates without a score follow in their previous order.
    ///
    /// A failure or an exceeded time limit is no error: the scores received so far count, and the result reports the failure.
    pub(crate) fn reorder(
        &self,
        snapshot: &Snapshot,
        query: &str,
        candidates: &mut [FusedCandidate],
        budget: Option<Duration>,
    ) -> Result<Reranking, QueryError> {
        let budget = budget.unwrap_or(self.budget);
        let deadline = Instant::now() + budget;
        let best = &candidates[..candidates.len().min(self.candidates)];
        let ids: Vec<PassageId> = best.iter().map(|candidate| candidate.passage).collect();
        let ranks: HashMap<PassageId, u32> = ids.iter().copied().zip(1..).collect();
        let passages = snapshot.passages(&ids)?;
        let (total, mut scores) = (passages.len(), HashMap::new());
        let outcome = self.score(query, passages, deadline, |id, score| {
            let rank_before = ranks.get(&id).copied().unwrap_or_default();
            scores.insert(id, RerankScore { rank_before, score });
        });
        let score = |candidate: &FusedCandidate| scores.get(&candidate.passage).map(|rerank| rerank.score);
        candidates.sort_by(|one, other| match (score(one), score(other)) {
            (Some(one), Some(other)) => other.total_cmp(&one),
            (one, other) => other.is_some().cmp(&one.is_some()),
        });
        let degradation = outcome.err().map(|failure| {
            let (count, limit) = (scores.len(), budget.as_millis());
            let reason = format!("{count} of {total} passages were reranked within {limit} ms: {failure}");
            Degradation::new(DegradationKind::RerankIncomplete, reason)
        });
        Ok(Reranking { scores, degradation })
    }

    /// Scores passages in batches until `deadline`. The error is the reason why the remaining ones have no score.
    fn score(
        &self,
        query: &str,
        passages: Vec<Passage>,
        deadline: Instant,
        mut add: impl FnMut(PassageId, f32),
    ) -> Result<(), String> {
        let texts: Vec<(PassageId, String)> = passages
            .into_iter()
            .map(|passage| (passage.id, text_with_headings(passage)))
            .collect();
        for batch in texts.chunks(self.scorer.batch_size()) {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Err("timed out".to_owned());
            }
            let passages: Vec<&str> = batch.iter().map(|(_, text)| text.as_str()).collect();
            let scores = self.scorer.scores(query, &passages, remaining)?;
            batch
                .iter()
                .zip(scores)
                .for_each(|((id, _), score)| add(*id, score));
        }
        Ok(())
    }
}

fn text_with_headings(passage: Passage) -> String {
    if passage.heading_path.is_empty() {
        passage.text
    } else {
        format!("{}\n\n{}", passage.heading_path.join(" › "), passage.text)
    }
}
