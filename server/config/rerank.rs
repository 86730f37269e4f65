//! Where a reranker is, and how it is asked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use autorag_embedder::{CrossEncoderOptions, FastembedModel, HubAccess};
use autorag_query::{RerankApi, RerankerOptions, RerankerSource};
use serde::Deserialize;

use super::ConfigError;
use super::model::{FASTEMBED, RUNTIME_VARIABLE, cache, hub_access};

/// Where a reranker is, for searches that want one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RerankSettings {
    /// Its whole address, where it is a server.
    pub url: String,
    /// What it speaks: `tei` or `cohere`.
    pub api: String,
    /// Name of the model, where the server has several; `fastembed:NAME`, or `fastembed:` and a folder, where it is none. No
    /// reranker where address and model are empty.
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
    /// [`ConfigError::Invalid`] where the protocol is not known, or two rerankers are named.
    pub fn options(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<RerankerOptions>, ConfigError> {
        let source = match (self.url.as_str(), self.model.strip_prefix(FASTEMBED)) {
            ("", None) => return Ok(None),
            ("", Some(name)) => RerankerSource::CrossEncoder(CrossEncoderOptions {
                model: cross_encoder(name)?,
                runtime: variable(RUNTIME_VARIABLE)
                    .filter(|path| !path.is_empty())
                    .map(PathBuf::from),
            }),
            (_, Some(_)) => {
                return Err(ConfigError::Invalid {
                    setting: "rerank.model",
                    message: "names a model for this process beside the server of rerank.url; leave one of them out".into(),
                });
            }
            (url, None) => RerankerSource::Server {
                url: url.to_owned(),
                api: self.api()?,
                model: Some(self.model.clone()).filter(|model| !model.is_empty()),
                key: variable(&self.key_env).filter(|key| !key.is_empty()),
            },
        };
        Ok(Some(RerankerOptions {
            source,
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

/// A folder where it is written as a path, else a model of the catalogue.
fn cross_encoder(name: &str) -> Result<FastembedModel, ConfigError> {
    if name.starts_with(['.', '/']) || Path::new(name).is_absolute() {
        return Ok(FastembedModel::Folder(name.into()));
    }
    Ok(FastembedModel::Catalogue {
        name: name.to_owned(),
        access: HubAccess {
            cache: cache("fastembed")?,
            ..hub_access()?
        },
    })
}
