//! What rerankers are asked and how they answer.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

/// A protocol of rerankers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RerankApi {
    /// `/rerank` of Text Embeddings Inference.
    #[default]
    Tei,
    /// `/v1/rerank` of Cohere, which Jina, vLLM and others speak too.
    Cohere,
}

/// A score of one passage, by its place in the request.
#[derive(Deserialize)]
struct Scored {
    index: usize,
    #[serde(alias = "relevance_score")]
    score: f32,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<Scored>,
}

impl RerankApi {
    /// Whose protocol it is.
    fn vendor(self) -> &'static str {
        match self {
            RerankApi::Tei => "Text Embeddings Inference",
            RerankApi::Cohere => "Cohere",
        }
    }

    /// The body of a request.
    pub(super) fn request(self, model: Option<&str>, query: &str, passages: &[&str]) -> Vec<u8> {
        let body = match (self, model) {
            (RerankApi::Tei, _) => json!({"query": query, "texts": passages, "truncate": true}),
            (RerankApi::Cohere, None) => {
                json!({"query": query, "documents": passages, "top_n": passages.len()})
            }
            (RerankApi::Cohere, Some(model)) => {
                json!({"model": model, "query": query, "documents": passages, "top_n": passages.len()})
            }
        };
        body.to_string().into_bytes()
    }

    /// The scores of `count` passages, in their order and from 0 to 1; else what is wrong with the answer.
    pub(super) fn scores(self, answer: &[u8], count: usize) -> Result<Vec<f32>, String> {
        let parsed = match self {
            RerankApi::Tei => serde_json::from_slice::<Vec<Scored>>(answer),
            RerankApi::Cohere => serde_json::from_slice::<Results>(answer).map(|found| found.results),
        };
        // What exactly is wrong stays unsaid, since it may quote a passage.
        let parsed =
            parsed.map_err(|_| format!("the answer does not follow the protocol of {}", self.vendor()))?;
        let by_index: HashMap<usize, f32> =
            parsed.iter().map(|scored| (scored.index, scored.score)).collect();
        let scores: Option<Vec<f32>> = (0..count).map(|index| by_index.get(&index).copied()).collect();
        let scores =
            scores.filter(|scores| scores.len() == parsed.len() && scores.iter().all(|s| s.is_finite()));
        let scores = scores.ok_or("the answer does not have one score for each passage")?;
        // Some servers give log-odds.
        Ok(match scores.iter().all(|score| (0.0..=1.0).contains(score)) {
            true => scores,
            false => scores
                .into_iter()
                .map(|score| 1.0 / (1.0 + (-score).exp()))
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn both_protocols_are_spoken() {
        let asked = |api: RerankApi, model| -> Value {
            serde_json::from_slice(&api.request(model, "q", &["a", "b"])).unwrap()
        };
        assert_eq!(
            asked(RerankApi::Tei, None),
            json!({"query": "q", "texts": ["a", "b"], "truncate": true})
        );
        assert_eq!(
            asked(RerankApi::Cohere, Some("m")),
            json!({"model": "m", "query": "q", "documents": ["a", "b"], "top_n": 2})
        );
        let tei = br#"[{"index": 1, "score": 0.9, "text": null}, {"index": 0, "score": 0.25}]"#;
        assert_eq!(RerankApi::Tei.scores(tei, 2).unwrap(), [0.25, 0.9]);
        let cohere = br#"{"id": "x", "results": [{"index": 0, "relevance_score": 0.5}], "meta": {}}"#;
        assert_eq!(RerankApi::Cohere.scores(cohere, 1).unwrap(), [0.5]);
    }

    #[test]
    fn log_odds_become_shares() {
        let answer = br#"[{"index": 0, "score": 0.0}, {"index": 1, "score": -4.0}]"#;
        let scores = RerankApi::Tei.scores(answer, 2).unwrap();
        assert_eq!(scores[0], 0.5);
        assert!(scores[1] < 0.02);
    }

    #[test]
    fn answers_that_do_not_fit_are_refused() {
        let refused = |answer: &str, count| RerankApi::Tei.scores(answer.as_bytes(), count).unwrap_err();
        assert!(refused("<html>", 1).contains("protocol of Text Embeddings Inference"));
        assert!(refused(r#"{"results": []}"#, 1).contains("protocol of Text Embeddings Inference"));
        for answer in [
            r#"[{"index": 0, "score": 0.5}]"#,
            r#"[{"index": 0, "score": 0.5}, {"index": 0, "score": 0.5}]"#,
            r#"[{"index": 0, "score": 0.5}, {"index": 2, "score": 0.5}]"#,
            r#"[{"index": 0, "score": 0.5}, {"index": 1, "score": 0.5}, {"index": 2, "score": 0.5}]"#,
        ] {
            assert!(
                refused(answer, 2).contains("one score for each passage"),
                "{answer}"
            );
        }
    }
}
