//! Where a reranker is, and how it is asked.

use std::time::Duration;

use autorag_query::{RerankApi, RerankerOptions};
use serde::Deserialize;

use super::ConfigError;

/// Where a reranker is, for searches that want one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RerankSettings {
    /// Its whole address; no reranker where empty.
    pub url: String,
    /// What it speaks: `tei` or `cohere`.
    pub api: String,
    /// Name of the model, where the server has several.
    pub model: String,
    /// Name of the variable that holds the key; none where that is not set.
    pub key_env: String,
    /// How many of the best candidates are reranked.
    pub candidates: usize,
    /// How long reranking may take, milliseconds.
    pub budget_ms: u64,
}

impl Default for RerankSettings {
    fn default() -> Self {
        RerankSettings {
            url: String::new(),
            api: RerankApi::default().as_str().to_owned(),
            model: String::new(),
            key_env: "RERANK_API_KEY".to_owned(),
            candidates: 30,
            budget_ms: 500,
        }
    }
}

impl RerankSettings {
    /// What they come to; the key is asked of `variable`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] where the protocol is not known.
    pub fn options(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<RerankerOptions>, ConfigError> {
        if self.url.is_empty() {
            return Ok(None);
        }
        Ok(Some(RerankerOptions {
            url: self.url.clone(),
            api: self.api()?,
            model: Some(self.model.clone()).filter(|model| !model.is_empty()),
            key: variable(&self.key_env).filter(|key| !key.is_empty()),
            candidates: self.candidates,
            budget: Duration::from_millis(self.budget_ms),
        }))
    }

    /// What it speaks.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] where that is not known.
    pub(super) fn api(&self) -> Result<RerankApi, ConfigError> {
        self.api.parse().map_err(|message| ConfigError::Invalid {
            setting: "rerank.api",
            message,
        })
    }
}
