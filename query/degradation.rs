//! What limits an answer.

use autorag_store::Counts;

use crate::{Activity, Degraded, Part, Phase, Request};

/// What an answer must own up to.
pub(crate) fn degraded(
    request: &Request,
    counts: Counts,
    activity: &Activity,
    lexical_failure: Option<String>,
    dense_failure: Option<String>,
    outage: Option<String>,
    truncated: bool,
) -> Vec<Degraded> {
    let mut parts = Vec::new();
    let reason = match activity.phase {
        Phase::Opening | Phase::Scanning | Phase::Indexing => Some("files are still being read".to_owned()),
        Phase::Paused => Some("indexing is paused; `autorag jobs resume` goes on with it".to_owned()),
        Phase::Incomplete => Some("no indexing run has finished yet".to_owned()),
        Phase::Failed => Some(match &activity.failure {
            Some(why) => format!("the last indexing run failed: {why}"),
            None => "the last indexing run failed".to_owned(),
        }),
        Phase::Embedding | Phase::Ready => None,
    };
    parts.extend(reason.map(|reason| Degraded {
        part: Part::Index,
        reason,
    }));
    if let Some(why) = lexical_failure {
        let mut reason = format!("the answer is by meaning alone: {why}");
        if request.query.contains(':') {
            reason += "; title:, heading:, path: and kind: are not looked at meanwhile";
        }
        parts.push(Degraded {
            part: Part::Lexical,
            reason,
        });
    }
    let missing = counts.passages.saturating_sub(counts.embedded);
    if request.mode.wants_dense() && missing > 0 {
        let mut reason = format!("{missing} of {} passages have no vector yet", counts.passages);
        if let Some(why) = outage.filter(|_| dense_failure.is_none()) {
            reason += &format!(", since the embedding provider is not available: {why}");
        }
        parts.push(Degraded {
            part: Part::Dense,
            reason,
        });
    }
    if let Some(why) = dense_failure {
        let reason = format!("the answer is by words alone: {why}");
        parts.push(Degraded {
            part: Part::Dense,
            reason,
        });
    }
    if truncated {
        let reason = "the query is longer than the model reads; its vector is of its beginning".into();
        parts.push(Degraded {
            part: Part::Query,
            reason,
        });
    }
    parts
}
