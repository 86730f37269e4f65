//! Which model embeds, and for a remote one how it is asked.

use std::time::Duration;

use autorag_embedder::{EmbedError, Key, ModelSource, RemoteOptions};
use serde::Deserialize;

use super::ConfigError;

/// Name of the model that is part of the program.
const BUILT_IN: &str = "all-MiniLM-L6-v2";
/// The variable that has the key, unless `model.key_env` names another.
pub(super) const KEY_VARIABLE: &str = "AUTORAG_EMBEDDING_KEY";

/// What concerns the embedding model. All but its name is for remote models.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSettings {
    /// How another process is asked for vectors; the built-in model where not set.
    pub provider: Option<Provider>,
    /// The model's name, as the provider has it.
    pub name: Option<String>,
    /// Where the provider's `/embeddings` is.
    pub base_url: Option<String>,
    /// Length of the vectors, where it is to be shortened or known before the provider answers.
    pub dimensions: Option<usize>,
    /// What the model was trained to see before a question.
    pub query_prefix: Option<String>,
    /// What the model was trained to see before a passage.
    pub passage_prefix: Option<String>,
    /// Tokens that the model reads of a text.
    pub max_tokens: Option<usize>,
    /// Most tokens in a request.
    pub batch_tokens: Option<usize>,
    /// Most texts in a request.
    pub batch_texts: Option<usize>,
    /// Most requests for passages at once.
    pub concurrency: Option<usize>,
    /// Longest wait for vectors of passages, seconds.
    pub timeout_secs: Option<u64>,
    /// Longest wait for the vector of a query, milliseconds.
    pub query_timeout_ms: Option<u64>,
    /// The variable that has the key.
    pub key_env: Option<String>,
    /// The key, from that variable and from nowhere else.
    #[serde(skip)]
    key: Option<Key>,
}

/// A way of asking for vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// `POST /embeddings`, as OpenAI has it and most servers of models do.
    #[serde(rename = "openai")]
    OpenAi,
}

impl ModelSettings {
    /// Looks for the key where the settings say, if the model is one that may need it.
    ///
    /// # Errors
    /// Where a variable is named that is not there, or holds what cannot be sent.
    pub(super) fn take_key(&mut self, variable: impl Fn(&str) -> Option<String>) -> Result<(), ConfigError> {
        if self.provider.is_none() {
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

    /// The model.
    ///
    /// # Errors
    /// Where settings are missing, contradict each other or cannot be used; the error names one.
    pub fn source(&self) -> Result<ModelSource, ConfigError> {
        match self.provider {
            None => self.built_in(),
            Some(Provider::OpenAi) => self.remote(),
        }
    }

    fn built_in(&self) -> Result<ModelSource, ConfigError> {
        if let Some(name) = self.name.as_ref().filter(|name| *name != BUILT_IN) {
            let message = format!(
                "{name:?} is not built in, only {BUILT_IN} is; for a model of a server set model.provider and model.base_url"
            );
            return Err(invalid("model.name", message));
        }
        let of_remote = [
            ("model.base_url", self.base_url.is_some()),
            ("model.dimensions", self.dimensions.is_some()),
            ("model.query_prefix", self.query_prefix.is_some()),
            ("model.passage_prefix", self.passage_prefix.is_some()),
            ("model.max_tokens", self.max_tokens.is_some()),
            ("model.batch_tokens", self.batch_tokens.is_some()),
            ("model.batch_texts", self.batch_texts.is_some()),
            ("model.concurrency", self.concurrency.is_some()),
            ("model.timeout_secs", self.timeout_secs.is_some()),
            ("model.query_timeout_ms", self.query_timeout_ms.is_some()),
            ("model.key_env", self.key_env.is_some()),
        ];
        if let Some((setting, _)) = of_remote.iter().find(|(_, is_set)| *is_set) {
            let message = "is for models of a server; set model.provider = \"openai\" too, or leave it out";
            return Err(invalid(setting, message.to_owned()));
        }
        Ok(ModelSource::BuiltIn)
    }

    fn remote(&self) -> Result<ModelSource, ConfigError> {
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
