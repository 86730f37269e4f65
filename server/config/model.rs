//! Which model embeds: the built-in one, one in a folder, one of the hub, one that ONNX Runtime computes, or one that another process
//! does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use autorag_embedder::{
    DirectoryOptions, EmbedError, FastembedModel, FastembedOptions, HUB_ENDPOINT, HubAccess, HubModel, Key,
    ModelSource, RemoteOptions,
};
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Before the name of a model of the hub.
pub const HUB: &str = "hub:";
/// Before the name of a model of the catalogue of fastembed.
pub const FASTEMBED: &str = "fastembed:";
/// The variable that has the shared library of ONNX Runtime; the crate ort and others read it too.
pub(super) const RUNTIME_VARIABLE: &str = "ORT_DYLIB_PATH";
/// The variable that has the key, unless `model.key_env` names another.
pub(super) const KEY_VARIABLE: &str = "AUTORAG_EMBEDDING_KEY";

/// What concerns the embedding model: the section `[model]`. Written down with what an index was made with, without the key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSettings {
    /// How another process is asked for vectors; the built-in model where not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// `all-MiniLM-L6-v2`, which is built in; `hub:OWNER/NAME`, with or without `@REVISION`; `fastembed:NAME`; or as the provider has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A folder that holds a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Where the provider's `/embeddings` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Length of the vectors, where it is to be shortened or known before the provider answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
    /// What the model was trained to see before a question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_prefix: Option<String>,
    /// What the model was trained to see before a passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passage_prefix: Option<String>,
    /// Tokens that the model reads of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// Most tokens in a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_tokens: Option<usize>,
    /// Most texts in a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_texts: Option<usize>,
    /// Most requests for passages at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<usize>,
    /// Longest wait for vectors of passages, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<u64>,
    /// Longest wait for the vector of a query, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_timeout_ms: Option<u64>,
    /// The variable that has the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    /// The key, from that variable and from nowhere else.
    #[serde(skip)]
    pub(crate) key: Option<Key>,
}

/// A way of asking for vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// `POST /embeddings`, as OpenAI has it and most servers of models do.
    #[serde(rename = "openai")]
    OpenAi,
    /// ONNX Runtime in this process, for a graph in the folder `path`.
    Fastembed,
}

impl ModelSettings {
    /// Looks for the key where the settings say, if the model is one that may need it.
    ///
    /// # Errors
    /// Where a variable is named that is not there, or holds what cannot be sent.
    pub fn take_key(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        if self.provider != Some(Provider::OpenAi) {
            return Ok(());
        }
        let name = self.key_env.as_deref().unwrap_or(KEY_VARIABLE);
        let value = variable(name).filter(|value| !value.trim().is_empty());
        if value.is_none() && self.key_env.is_some() {
            return Err(invalid(
                "model.key_env",
                format!("the variable {name} is not set"),
            ));
        }
        self.key = value
            .map(|value| Key::new(&value))
            .transpose()
            .map_err(of_embedder)?;
        Ok(())
    }

    /// Where the model comes from; packed weights are kept in `packed`.
    ///
    /// # Errors
    /// Where settings are missing, contradict each other or cannot be used; the error names one.
    pub fn source(&self, packed: Option<&Path>) -> Result<ModelSource, ConfigError> {
        if self.provider == Some(Provider::OpenAi) {
            return self.remote();
        }
        self.refuse_remote_settings()?;
        if self.provider == Some(Provider::Fastembed) {
            return self.graph();
        }
        let options = DirectoryOptions {
            query_prefix: self.query_prefix.clone(),
            passage_prefix: self.passage_prefix.clone(),
            max_tokens: self.max_tokens,
            cache: packed.map(Path::to_owned),
            name: None,
        };
        match (self.name.as_deref(), &self.path) {
            (Some(_), Some(_)) => Err(invalid(
                "model.path",
                "is set beside model.name; set one of them".into(),
            )),
            (None, Some(path)) => Ok(ModelSource::Directory {
                path: path.clone(),
                options,
            }),
            (None | Some(ModelSource::BUILT_IN), None) => self.built_in(),
            (Some(name), None) if name.starts_with(FASTEMBED) => {
                let name = name[FASTEMBED.len()..].to_owned();
                let access = HubAccess {
                    cache: cache("fastembed")?,
                    ..hub_access()?
                };
                Ok(self.fastembed(FastembedModel::Catalogue { name, access }))
            }
            (Some(name), None) => {
                let Some(hub) = name.strip_prefix(HUB) else {
                    let message = format!(
                        "{name:?} is not built in, only {} is; a model of the hub is named \"hub:OWNER/NAME\", one of \
                         fastembed \"fastembed:NAME\", a folder that holds one goes in model.path, and for a model of a server set model.provider and model.base_url",
                        ModelSource::BUILT_IN
                    );
                    return Err(invalid("model.name", message));
                };
                let model = hub.parse::<HubModel>().map_err(of_embedder)?;
                let access = hub_access()?;
                Ok(ModelSource::Hub {
                    model,
                    access,
                    options,
                })
            }
        }
    }

    /// A graph in a folder.
    fn graph(&self) -> Result<ModelSource, ConfigError> {
        if self.name.is_some() {
            let message = "is not for model.provider = \"fastembed\", which takes a folder; leave model.provider out for a model of its \
                           catalogue, \"fastembed:NAME\"";
            return Err(invalid("model.name", message.to_owned()));
        }
        let path = self.path.clone().ok_or_else(|| {
            let message = "is missing; model.provider = \"fastembed\" needs the folder that holds model.onnx";
            invalid("model.path", message.to_owned())
        })?;
        Ok(self.fastembed(FastembedModel::Folder(path)))
    }

    fn fastembed(&self, model: FastembedModel) -> ModelSource {
        let runtime = std::env::var_os(RUNTIME_VARIABLE).filter(|path| !path.is_empty());
        ModelSource::Fastembed(FastembedOptions {
            model,
            runtime: runtime.map(PathBuf::from),
            query_prefix: self.query_prefix.clone(),
            passage_prefix: self.passage_prefix.clone(),
            max_tokens: self.max_tokens,
        })
    }

    /// The built-in model is what it is.
    fn built_in(&self) -> Result<ModelSource, ConfigError> {
        let of_others = [
            ("model.query_prefix", self.query_prefix.is_some()),
            ("model.passage_prefix", self.passage_prefix.is_some()),
            ("model.max_tokens", self.max_tokens.is_some()),
        ];
        match of_others.iter().find(|(_, is_set)| *is_set) {
            Some((setting, _)) => {
                let message = "is not for the built-in model; name another with model.path, or set model.provider, or leave it out";
                Err(invalid(setting, message.to_owned()))
            }
            None => Ok(ModelSource::BuiltIn),
        }
    }

    /// What only a model of a server has.
    fn refuse_remote_settings(&self) -> Result<(), ConfigError> {
        let of_remote = [
            ("model.base_url", self.base_url.is_some()),
            ("model.dimensions", self.dimensions.is_some()),
            ("model.batch_tokens", self.batch_tokens.is_some()),
            ("model.batch_texts", self.batch_texts.is_some()),
            ("model.concurrency", self.concurrency.is_some()),
            ("model.timeout_secs", self.timeout_secs.is_some()),
            ("model.query_timeout_ms", self.query_timeout_ms.is_some()),
            ("model.key_env", self.key_env.is_some()),
        ];
        match of_remote.iter().find(|(_, is_set)| *is_set) {
            Some((setting, _)) => {
                let message =
                    "is for models of a server; set model.provider = \"openai\" too, or leave it out";
                Err(invalid(setting, message.to_owned()))
            }
            None => Ok(()),
        }
    }

    /// The same with the path from the root, so that it can be written down.
    ///
    /// # Errors
    /// Where the folder that the program runs in is gone.
    pub fn absolute(mut self) -> std::io::Result<ModelSettings> {
        if let Some(path) = &self.path {
            self.path = Some(std::path::absolute(path)?);
        }
        Ok(self)
    }

    fn remote(&self) -> Result<ModelSource, ConfigError> {
        if self.path.is_some() {
            let message = "is for models that are here; leave it or model.provider out";
            return Err(invalid("model.path", message.to_owned()));
        }
        let missing =
            |setting, example: &str| invalid(setting, format!("is missing; it looks like {example}"));
        let base_url = self.base_url.as_ref();
        let base_url = base_url.ok_or_else(|| missing("model.base_url", "http://127.0.0.1:11434/v1"))?;
        let name = self.name.as_ref();
        let name = name.ok_or_else(|| missing("model.name", "nomic-embed-text, as the provider has it"))?;
        let usual = RemoteOptions::new(base_url, name);
        let options = RemoteOptions {
            dimensions: self.dimensions,
            query_prefix: self.query_prefix.clone().unwrap_or_default(),
            passage_prefix: self.passage_prefix.clone().unwrap_or_default(),
            max_tokens: self.max_tokens.unwrap_or(usual.max_tokens),
            batch_tokens: self.batch_tokens.unwrap_or(usual.batch_tokens),
            batch_texts: self.batch_texts.unwrap_or(usual.batch_texts),
            concurrency: self.concurrency.unwrap_or(usual.concurrency),
            timeout: self.timeout_secs.map_or(usual.timeout, Duration::from_secs),
            query_timeout: self
                .query_timeout_ms
                .map_or(usual.query_timeout, Duration::from_millis),
            key: self.key.clone(),
            ..usual
        };
        options.validate().map_err(of_embedder)?;
        Ok(ModelSource::Remote(options))
    }
}

/// The folder that models of the hub are kept in.
///
/// # Errors
/// When the environment does not say where.
pub fn hub_cache() -> Result<PathBuf, ConfigError> {
    cache("hub")
}

pub(super) fn cache(folder: &str) -> Result<PathBuf, ConfigError> {
    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    variable("XDG_CACHE_HOME")
        .or_else(|| Some(variable("HOME")?.join(".cache")))
        .map(|cache| cache.join("autorag").join(folder))
        .ok_or_else(|| {
            let message = "neither XDG_CACHE_HOME nor HOME is set, and a model of the hub has no place";
            invalid("model.name", message.to_owned())
        })
}

/// How the hub is reached: `HF_ENDPOINT` and `HF_TOKEN` are the hub's own variables.
pub(super) fn hub_access() -> Result<HubAccess, ConfigError> {
    let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
    Ok(HubAccess {
        endpoint: variable("HF_ENDPOINT").unwrap_or_else(|| HUB_ENDPOINT.to_owned()),
        token: variable("HF_TOKEN"),
        cache: hub_cache()?,
    })
}

fn invalid(setting: &'static str, message: String) -> ConfigError {
    ConfigError::Invalid { setting, message }
}

/// The embedder names settings as they are named here.
fn of_embedder(error: EmbedError) -> ConfigError {
    match error {
        EmbedError::Setting { setting, message } => invalid(setting, message),
        other => invalid("model", other.to_string()),
    }
}
