//! Turns the section `[rerank]` into [`RerankerOptions`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use autorag_embedder::{CrossEncoderOptions, FastembedModel, HubAccess};
use autorag_query::{RerankerOptions, RerankerSource};

use super::model::{FASTEMBED, RUNTIME_VARIABLE, cache_folder, hub_access};
use super::{ConfigError, Environment, RerankSettings};

impl RerankSettings {
    /// Options of the reranker, or `None` if the settings name none. The server's key comes from `environment`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] if both a server and a model of this process are named, or a model has no cache folder.
    pub fn options(&self, environment: &Environment) -> Result<Option<RerankerOptions>, ConfigError> {
        let in_process = self
            .model
            .as_deref()
            .and_then(|model| model.strip_prefix(FASTEMBED));
        let source = match (&self.url, in_process) {
            (None, None) => return Ok(None),
            (None, Some(name)) => RerankerSource::CrossEncoder(CrossEncoderOptions {
                model: cross_encoder(name, environment)?,
                runtime: environment.get(RUNTIME_VARIABLE).map(PathBuf::from),
            }),
            (Some(_), Some(_)) => {
                return Err(ConfigError::Invalid {
                    setting: "rerank.model",
                    message:
                        "names a model to run in this process, but rerank.url names a server; set one of them"
                            .into(),
                });
            }
            (Some(url), None) => RerankerSource::Server {
                url: url.clone(),
                api: self.api,
                model: self.model.clone(),
                key: environment.get(&self.key_env).map(str::to_owned),
            },
        };
        Ok(Some(RerankerOptions {
            source,
            candidates: self.candidates,
            budget: Duration::from_millis(self.budget_ms),
        }))
    }
}

/// A folder if `name` is written as a path, else a model of the catalogue of fastembed.
fn cross_encoder(name: &str, environment: &Environment) -> Result<FastembedModel, ConfigError> {
    if name.starts_with(['.', '/']) || Path::new(name).is_absolute() {
        return Ok(FastembedModel::Folder(name.into()));
    }
    Ok(FastembedModel::Catalogue {
        name: name.to_owned(),
        access: HubAccess {
            cache: cache_folder("fastembed", environment)?,
            ..hub_access(environment)?
        },
    })
}
