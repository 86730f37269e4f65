//! Parts of a search that failed or were incomplete.

use autorag_store::{Counts, string_enum};

use crate::{Activity, Phase, Request};

string_enum! {
    /// A part of the search.
    Part "part" {
        /// The index as a whole: documents or hits are missing.
        Index = "index",
        /// The lexical retriever.
        Lexical = "lexical",
        /// The dense retriever.
        Dense = "dense",
        /// The query itself.
        Query = "query",
        /// The reranker.
        Rerank = "rerank",
    }
}

/// What failed or was incomplete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DegradationKind {
    /// A run is reading files, so documents may be missing.
    FilesPending,
    /// Indexing is paused, so changes to files are not picked up.
    IndexingPaused,
    /// No run has ever finished, so documents may be missing.
    RunUnfinished,
    /// The last run failed, so documents may be missing.
    RunFailed,
    /// Some hits could not be loaded.
    HitsMissing,
    /// The lexical index is corrupt. This process is rebuilding it.
    LexicalRebuilding,
    /// The lexical index is corrupt. Only the writing process or a repair can rebuild it.
    LexicalDamaged,
    /// Some passages are not embedded yet.
    EmbeddingsPending,
    /// The query could not be embedded or compared.
    DenseUnavailable,
    /// The query exceeds the input limit of the model.
    QueryTruncated,
    /// Some candidates were not reranked.
    RerankIncomplete,
}

impl DegradationKind {
    /// The affected part of the search.
    pub fn part(self) -> Part {
        match self {
            DegradationKind::FilesPending
            | DegradationKind::IndexingPaused
            | DegradationKind::RunUnfinished
            | DegradationKind::RunFailed
            | DegradationKind::HitsMissing => Part::Index,
            DegradationKind::LexicalRebuilding | DegradationKind::LexicalDamaged => Part::Lexical,
            DegradationKind::EmbeddingsPending | DegradationKind::DenseUnavailable => Part::Dense,
            DegradationKind::QueryTruncated => Part::Query,
            DegradationKind::RerankIncomplete => Part::Rerank,
        }
    }
}

/// A part of the search that failed or was incomplete, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Degradation {
    /// What failed or was incomplete.
    pub kind: DegradationKind,
    /// Human-readable reason.
    pub reason: String,
}

impl Degradation {
    pub(crate) fn new(kind: DegradationKind, reason: impl Into<String>) -> Degradation {
        Degradation {
            kind,
            reason: reason.into(),
        }
    }
}

/// Why the lexical retriever is not available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LexicalFailure {
    /// This process is the writer and is rebuilding the lexical index.
    Rebuilding,
    /// Another process is the writer, or none is running.
    Damaged,
}

impl LexicalFailure {
    pub(crate) fn kind(self) -> DegradationKind {
        match self {
            LexicalFailure::Rebuilding => DegradationKind::LexicalRebuilding,
            LexicalFailure::Damaged => DegradationKind::LexicalDamaged,
        }
    }

    pub(crate) fn reason(self) -> &'static str {
        match self {
            LexicalFailure::Rebuilding => "the lexical index is damaged and is being rebuilt",
            LexicalFailure::Damaged => {
                "the lexical index is damaged; the process that updates the index rebuilds it once it detects the damage"
            }
        }
    }
}

/// What went wrong in the retrievers of one search.
#[derive(Debug, Clone, Default)]
pub(crate) struct RetrieverFailures {
    /// Why the lexical retriever is not available.
    pub lexical: Option<LexicalFailure>,
    /// Why the query could not be embedded or compared, if the request uses the dense retriever.
    pub dense: Option<String>,
    /// Why the embedding provider is not available. It delays embeddings, even if this query could be embedded.
    pub outage: Option<String>,
    /// The query was truncated to the input limit of the model.
    pub query_truncated: bool,
}

/// Lists everything that limits an answer, except for reranking and missing hits.
pub(crate) fn degradations(
    request: &Request,
    counts: Counts,
    activity: &Activity,
    failures: &RetrieverFailures,
) -> Vec<Degradation> {
    let mut degradations = Vec::new();
    degradations.extend(indexing(activity));
    if let Some(failure) = failures.lexical {
        let mut reason = format!("only semantic search was used: {}", failure.reason());
        if request.query.contains(':') {
            reason += "; title:, heading:, path: and kind: in the query had no effect";
        }
        degradations.push(Degradation::new(failure.kind(), reason));
    }
    let missing = counts.passages.saturating_sub(counts.embedded);
    if request.mode.uses_dense() && missing > 0 {
        let mut reason = format!("{missing} of {} passages have no vector yet", counts.passages);
        if let (Some(outage), None) = (&failures.outage, &failures.dense) {
            reason += &format!("; the embedding provider is unavailable: {outage}");
        }
        degradations.push(Degradation::new(DegradationKind::EmbeddingsPending, reason));
    }
    if let Some(failure) = &failures.dense {
        let reason = format!("only keyword search was used: {failure}");
        degradations.push(Degradation::new(DegradationKind::DenseUnavailable, reason));
    }
    if failures.query_truncated {
        degradations.push(Degradation::new(
            DegradationKind::QueryTruncated,
            "the query exceeds the input limit of the model; only its beginning was embedded",
        ));
    }
    degradations
}

/// What the activity of the indexer means for an answer.
fn indexing(activity: &Activity) -> Option<Degradation> {
    match activity.phase {
        Phase::Opening | Phase::Scanning | Phase::Indexing => Some(Degradation::new(
            DegradationKind::FilesPending,
            "files are still being read",
        )),
        Phase::Paused => Some(Degradation::new(
            DegradationKind::IndexingPaused,
            "indexing is paused",
        )),
        Phase::Incomplete => Some(Degradation::new(
            DegradationKind::RunUnfinished,
            "no indexing run has finished yet",
        )),
        Phase::Failed => {
            let reason = match &activity.failure {
                Some(failure) => format!("the last indexing run failed: {failure}"),
                None => "the last indexing run failed".to_owned(),
            };
            Some(Degradation::new(DegradationKind::RunFailed, reason))
        }
        Phase::Embedding | Phase::Ready => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_mentioned_once() {
        let counts = Counts {
            passages: 9,
            embedded: 2,
            ..Counts::default()
        };
        let activity = Activity {
            phase: Phase::Ready,
            files_seen: 1,
            last_run: None,
            failure: None,
        };
        let found = |failures: &RetrieverFailures| -> Vec<(DegradationKind, bool)> {
            degradations(&Request::new("x"), counts, &activity, failures)
                .into_iter()
                .map(|degradation| (degradation.kind, degradation.reason.contains("timed out")))
                .collect()
        };
        let mut failures = RetrieverFailures {
            outage: Some("timed out".into()),
            ..RetrieverFailures::default()
        };
        assert_eq!(found(&failures), [(DegradationKind::EmbeddingsPending, true)]);
        failures.dense = Some("timed out".into());
        assert_eq!(
            found(&failures),
            [
                (DegradationKind::EmbeddingsPending, false),
                (DegradationKind::DenseUnavailable, true)
            ]
        );
    }
}
