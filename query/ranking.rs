//! The final order of the candidates: fusion, score threshold, boosts, reranking.

use std::collections::HashMap;

use autorag_store::{PassageId, Snapshot};

use crate::boost::apply_boosts;
use crate::fusion::FusedCandidate;
use crate::relevance::apply_threshold;
use crate::rerank::Reranking;
use crate::retrieval::{Retrieval, timed};
use crate::{AppliedBoosts, BelowThreshold, QueryError, Request, Reranker, StageTimes};

/// Ordered candidates, with what each step did to them.
pub(crate) struct Ranking {
    /// Best first.
    pub candidates: Vec<FusedCandidate>,
    /// `None` without a score threshold.
    pub below_threshold: Option<BelowThreshold>,
    /// Empty without boosts.
    pub boosts: HashMap<PassageId, AppliedBoosts>,
    pub reranking: Reranking,
}

/// Orders the candidates of a retrieval. `reranker` is `None` if the request wants none.
pub(crate) fn rank(
    snapshot: &Snapshot,
    request: &Request,
    retrieval: &Retrieval,
    reranker: Option<&Reranker>,
    took: &mut StageTimes,
) -> Result<Ranking, QueryError> {
    let mut candidates = timed(&mut took.fuse, || retrieval.fused(request));
    let below_threshold = request
        .score_threshold
        .map(|threshold| apply_threshold(&mut candidates, threshold));
    let boosts = timed(&mut took.fuse, || {
        apply_boosts(snapshot, request, &mut candidates)
    })?;
    let reranking = match reranker {
        Some(reranker) => timed(&mut took.rerank, || {
            reranker.reorder(snapshot, &request.query, &mut candidates, request.rerank_budget)
        })?,
        None => Reranking::default(),
    };
    Ok(Ranking {
        candidates,
        below_threshold,
        boosts,
        reranking,
    })
}
