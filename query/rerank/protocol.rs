//! Requests and responses of reranking servers.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

/// Protocol of a reranking server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RerankApi {
    /// Text Embeddings Inference, `/rerank`.
    #[default]
    Tei,
    /// Cohere, `/v1/rerank`. Jina, vLLM and others use it too.
    Cohere,
}

/// Score of one passage.
#[derive(Deserialize)]
struct ScoreItem {
    /// Index of the passage in the request.
    index: usize,
    #[serde(alias = "relevance_score")]
    score: f32,
}

#[derive(Deserialize)]
struct CohereResponse {
    results: Vec<ScoreItem>,
}

impl RerankApi {
    fn vendor(self) -> &'static str {
        match self {
            RerankApi::Tei => "Text Embeddings Inference",
            RerankApi::Cohere => "Cohere",
        }
    }

    /// The JSON body of a request.
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

    /// Parses a response into the scores of `count` passages, in their order and from 0 to 1. The error is human-readable.
    pub(super) fn scores(self, response: &[u8], count: usize) -> Result<Vec<f32>, String> {
        let parsed = match self {
            RerankApi::Tei => serde_json::from_slice::<Vec<ScoreItem>>(response),
            RerankApi::Cohere => {
                serde_json::from_slice::<CohereResponse>(response).map(|response| response.results)
            }
        };
        // The parser's message is dropped, because it may quote a passage.
        let parsed =
            parsed.map_err(|_| format!("the response does not follow the protocol of {}", self.vendor()))?;
        let by_index: HashMap<usize, f32> = parsed.iter().map(|item| (item.index, item.score)).collect();
        let scores: Option<Vec<f32>> = (0..count).map(|index| by_index.get(&index).copied()).collect();
        let scores =
            scores.filter(|scores| scores.len() == parsed.len() && scores.iter().all(|s| s.is_finite()));
        let scores = scores.ok_or("the response does not have one score for each passage")?;
        let are_probabilities = scores.iter().all(|score| (0.0..=1.0).contains(score));
        Ok(if are_probabilities {
            scores
        } else {
            // Some servers return log-odds.
            let probability = |log_odds: f32| 1.0 / (1.0 + (-log_odds).exp());
            scores.into_iter().map(probability).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn both_protocols_are_supported() {
        let request = |api: RerankApi, model| -> Value {
            serde_json::from_slice(&api.request(model, "q", &["a", "b"])).unwrap()
        };
        assert_eq!(
            request(RerankApi::Tei, None),
            json!({"query": "q", "texts": ["a", "b"], "truncate": true})
        );
        assert_eq!(
            request(RerankApi::Cohere, Some("m")),
            json!({"model": "m", "query": "q", "documents": ["a", "b"], "top_n": 2})
        );
        let tei = br#"[{"index": 1, "score": 0.9, "text": null}, {"index": 0, "score": 0.25}]"#;
        assert_eq!(RerankApi::Tei.scores(tei, 2).unwrap(), [0.25, 0.9]);
        let cohere = br#"{"id": "x", "results": [{"index": 0, "relevance_score": 0.5}], "meta": {}}"#;
        assert_eq!(RerankApi::Cohere.scores(cohere, 1).unwrap(), [0.5]);
    }

    #[test]
    fn log_odds_become_probabilities() {
        let response = br#"[{"index": 0, "score": 0.0}, {"index": 1, "score": -4.0}]"#;
        let scores = RerankApi::Tei.scores(response, 2).unwrap();
        assert_eq!(scores[0], 0.5);
        assert!(scores[1] < 0.02);
    }

    #[test]
    fn responses_that_break_the_protocol_are_rejected() {
        let error = |response: &str, count| RerankApi::Tei.scores(response.as_bytes(), count).unwrap_err();
        assert!(error("<html>", 1).contains("protocol of Text Embeddings Inference"));
        assert!(error(r#"{"results": []}"#, 1).contains("protocol of Text Embeddings Inference"));
        for response in [
            r#"[{"index": 0, "score": 0.5}]"#,
            r#"[{"index": 0, "score": 0.5}, {"index": 0, "score": 0.5}]"#,
            r#"[{"index": 0, "score": 0.5}, {"index": 2, "score": 0.5}]"#,
            r#"[{"index": 0, "score": 0.5}, {"index": 1, "score": 0.5}, {"index": 2, "score": 0.5}]"#,
        ] {
            assert!(
                error(response, 2).contains("one score for each passage"),
                "{response}"
            );
        }
    }
}
