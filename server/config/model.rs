//! Turns the section `[model]` into a [`ModelSource`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use autorag_embedder::{
    DirectoryOptions, EmbedError, FastembedModel, FastembedOptions, HUB_ENDPOINT, HubAccess, HubModel, Key,
    ModelSource, RemoteOptions,
};

use super::{ConfigError, Environment, ModelSettings, Provider};

/// Prefix of the name of a model on the Hugging Face hub.
pub const HUB: &str = "hub:";
/// Prefix of the name of a model in the catalogue of fastembed.
pub const FASTEMBED: &str = "fastembed:";
/// Variable that holds the path of ONNX Runtime's shared library; the crate ort reads the same one.
pub(super) const RUNTIME_VARIABLE: &str = "ORT_DYLIB_PATH";
/// Variable that holds the embedding server's key, unless `model.key_env` names another.
pub(super) const KEY_VARIABLE: &str = "AUTORAG_EMBEDDING_KEY";

impl ModelSettings {
    /// Where the model comes from. Quantized weights are cached in `packed`; the key and the hub's address come from
    /// `environment`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] if settings are missing, contradict each other or cannot be used; the error names one.
    pub fn source(
        &self,
        packed: Option<&Path>,
        environment: &Environment,
    ) -> Result<ModelSource, ConfigError> {
        if self.provider == Some(Provider::OpenAi) {
            return self.remote(environment);
        }
        self.refuse_server_settings()?;
        if self.provider == Some(Provider::Fastembed) {
            return self.onnx_folder(environment);
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
                "is set, and so is model.name; set one of them".into(),
            )),
            (None, Some(path)) => Ok(ModelSource::Directory {
                path: path.clone(),
                options,
            }),
            (None | Some(ModelSource::BUILT_IN), None) => self.built_in(),
            (Some(name), None) if name.starts_with(FASTEMBED) => {
                let name = name[FASTEMBED.len()..].to_owned();
                let access = HubAccess {
                    cache: cache_folder("fastembed", environment)?,
                    ..hub_access(environment)?
                };
                Ok(self.fastembed(FastembedModel::Catalogue { name, access }, environment))
            }
            (Some(name), None) => {
                let Some(hub) = name.strip_prefix(HUB) else {
                    let message = format!(
                        "{name:?} is not a known model; use {:?} (built in), \"hub:OWNER/NAME\" or \"fastembed:NAME\"; for a \
                         model in a folder set model.path, for a model on a server set model.provider and model.base_url",
                        ModelSource::BUILT_IN
                    );
                    return Err(invalid("model.name", message));
                };
                let model = hub.parse::<HubModel>().map_err(setting_error)?;
                let access = hub_access(environment)?;
                Ok(ModelSource::Hub {
                    model,
                    access,
                    options,
                })
            }
        }
    }

    /// An ONNX model in a folder.
    fn onnx_folder(&self, environment: &Environment) -> Result<ModelSource, ConfigError> {
        if self.name.is_some() {
            let message = "cannot be combined with model.provider = \"fastembed\", which takes model.path; for a model of the catalogue \
                           unset model.provider and set model.name = \"fastembed:NAME\"";
            return Err(invalid("model.name", message.to_owned()));
        }
        let path = self.path.clone().ok_or_else(|| {
            let message = "is missing; model.provider = \"fastembed\" needs the folder that holds model.onnx";
            invalid("model.path", message.to_owned())
        })?;
        Ok(self.fastembed(FastembedModel::Folder(path), environment))
    }

    fn fastembed(&self, model: FastembedModel, environment: &Environment) -> ModelSource {
        ModelSource::Fastembed(FastembedOptions {
            model,
            runtime: environment.get(RUNTIME_VARIABLE).map(PathBuf::from),
            query_prefix: self.query_prefix.clone(),
            passage_prefix: self.passage_prefix.clone(),
            max_tokens: self.max_tokens,
        })
    }

    /// The built-in model, whose prefixes and input length are fixed.
    fn built_in(&self) -> Result<ModelSource, ConfigError> {
        let unusable = [
            ("model.query_prefix", self.query_prefix.is_some()),
            ("model.passage_prefix", self.passage_prefix.is_some()),
            ("model.max_tokens", self.max_tokens.is_some()),
        ];
        match unusable.iter().find(|(_, is_set)| *is_set) {
            Some((setting, _)) => {
                let message = "cannot be combined with the built-in model; unset it, or choose another model with model.name, model.path or model.provider";
                Err(invalid(setting, message.to_owned()))
            }
            None => Ok(ModelSource::BuiltIn),
        }
    }

    /// Refuses settings that only a server's model has.
    fn refuse_server_settings(&self) -> Result<(), ConfigError> {
        let of_server = [
            ("model.base_url", self.base_url.is_some()),
            ("model.dimensions", self.dimensions.is_some()),
            ("model.batch_tokens", self.batch_tokens.is_some()),
            ("model.batch_texts", self.batch_texts.is_some()),
            ("model.concurrency", self.concurrency.is_some()),
            ("model.timeout_secs", self.timeout_secs.is_some()),
            ("model.query_timeout_ms", self.query_timeout_ms.is_some()),
            ("model.key_env", self.key_env.is_some()),
        ];
        match of_server.iter().find(|(_, is_set)| *is_set) {
            Some((setting, _)) => {
                let message = "is only for a server's model; unset it, or set model.provider = \"openai\"";
                Err(invalid(setting, message.to_owned()))
            }
            None => Ok(()),
        }
    }

    /// The same settings with an absolute path, as they are stored.
    ///
    /// # Errors
    /// If the current directory no longer exists.
    pub fn absolute(mut self) -> std::io::Result<ModelSettings> {
        if let Some(path) = &self.path {
            self.path = Some(std::path::absolute(path)?);
        }
        Ok(self)
    }

    fn remote(&self, environment: &Environment) -> Result<ModelSource, ConfigError> {
        if self.path.is_some() {
            let message = "cannot be combined with model.provider = \"openai\"; unset one of them";
            return Err(invalid("model.path", message.to_owned()));
        }
        let missing =
            |setting, example: &str| invalid(setting, format!("is missing; an example is {example}"));
        let base_url = self.base_url.as_ref();
        let base_url = base_url.ok_or_else(|| missing("model.base_url", "http://127.0.0.1:11434/v1"))?;
        let name = self.name.as_ref();
        let name = name.ok_or_else(|| missing("model.name", "nomic-embed-text, the server's name for it"))?;
        let defaults = RemoteOptions::new(base_url, name);
        let options = RemoteOptions {
            dimensions: self.dimensions,
            query_prefix: self.query_prefix.clone().unwrap_or_default(),
            passage_prefix: self.passage_prefix.clone().unwrap_or_default(),
            max_tokens: self.max_tokens.unwrap_or(defaults.max_tokens),
            batch_tokens: self.batch_tokens.unwrap_or(defaults.batch_tokens),
            batch_texts: self.batch_texts.unwrap_or(defaults.batch_texts),
            concurrency: self.concurrency.unwrap_or(defaults.concurrency),
            timeout: self.timeout_secs.map_or(defaults.timeout, Duration::from_secs),
            query_timeout: self
                .query_timeout_ms
                .map_or(defaults.query_timeout, Duration::from_millis),
            key: self.key(environment)?,
            ..defaults
        };
        options.validate().map_err(setting_error)?;
        Ok(ModelSource::Remote(options))
    }

    /// The server's key.
    fn key(&self, environment: &Environment) -> Result<Option<Key>, ConfigError> {
        let name = self.key_env.as_deref().unwrap_or(KEY_VARIABLE);
        match environment.get(name) {
            Some(value) => Key::new(value).map(Some).map_err(setting_error),
            None if self.key_env.is_some() => Err(invalid(
                "model.key_env",
                format!("the variable {name} is not set"),
            )),
            None => Ok(None),
        }
    }
}

/// Folder that caches models of the hub.
///
/// # Errors
/// If the environment names no cache folder.
pub fn hub_cache(environment: &Environment) -> Result<PathBuf, ConfigError> {
    cache_folder("hub", environment)
}

/// autorag's folder `name` under the XDG cache folder.
pub(super) fn cache_folder(name: &str, environment: &Environment) -> Result<PathBuf, ConfigError> {
    let cache = environment.absolute_path("XDG_CACHE_HOME");
    cache
        .or_else(|| Some(environment.absolute_path("HOME")?.join(".cache")))
        .map(|cache| cache.join("autorag").join(name))
        .ok_or_else(|| {
            let message = "a downloaded model needs a cache folder; set XDG_CACHE_HOME or HOME";
            invalid("model.name", message.to_owned())
        })
}

/// How to reach the hub. `HF_ENDPOINT` and `HF_TOKEN` are the variables that its own tools read.
pub(super) fn hub_access(environment: &Environment) -> Result<HubAccess, ConfigError> {
    Ok(HubAccess {
        endpoint: environment.get("HF_ENDPOINT").unwrap_or(HUB_ENDPOINT).to_owned(),
        token: environment.get("HF_TOKEN").map(str::to_owned),
        cache: hub_cache(environment)?,
    })
}

fn invalid(setting: &'static str, message: String) -> ConfigError {
    ConfigError::Invalid { setting, message }
}

/// Keeps the setting's name: errors of the embedder use the names of our settings.
fn setting_error(error: EmbedError) -> ConfigError {
    match error {
        EmbedError::Setting { setting, message } => invalid(setting, message),
        other => invalid("model", other.to_string()),
    }
}
