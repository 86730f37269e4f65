//! Options of a remote model, and their validation.

use std::fmt;
use std::time::Duration;

use ureq::http::Uri;
use ureq::http::header::HeaderValue;

use crate::error::EmbedError;

/// Most texts that any known provider accepts in one request.
const MAX_TEXTS: usize = 2048;
/// Least token limit of a model. Passages of a few words would be useless.
const MIN_TOKENS: usize = 66;
/// Longest allowed timeout.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);

/// A model behind `POST /embeddings` of OpenAI's API, which most model servers implement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteOptions {
    /// URL up to, but without, `/embeddings`; for example `http://127.0.0.1:11434/v1`.
    pub base_url: String,
    /// The provider's name for the model.
    pub name: String,
    /// Length of the vectors. Sent to providers that can shorten vectors; vectors of another length are an error.
    pub dimensions: Option<usize>,
    /// Vector length from an earlier index, used while the provider is down; see [`RemoteOptions::recall_dimensions`].
    pub known_dimensions: Option<usize>,
    /// Text that the model expects before a query.
    pub query_prefix: String,
    /// Text that the model expects before a passage.
    pub passage_prefix: String,
    /// Tokens of the longest text that the model reads.
    pub max_tokens: usize,
    /// Most tokens per request, unless a single text has more.
    pub batch_tokens: usize,
    /// Most texts per request.
    pub batch_texts: usize,
    /// Most concurrent requests for passages. Queries do not count and never wait for them.
    pub concurrency: usize,
    /// Timeout of one attempt for passages.
    pub timeout: Duration,
    /// Timeout of a query, all attempts together.
    pub query_timeout: Duration,
    /// Sent as `Authorization: Bearer`.
    pub key: Option<Key>,
}

impl RemoteOptions {
    /// The default options for a model.
    pub fn new(base_url: impl Into<String>, name: impl Into<String>) -> RemoteOptions {
        RemoteOptions {
            base_url: base_url.into(),
            name: name.into(),
            dimensions: None,
            known_dimensions: None,
            query_prefix: String::new(),
            passage_prefix: String::new(),
            max_tokens: 512,
            batch_tokens: 8192,
            batch_texts: 64,
            concurrency: 4,
            timeout: Duration::from_secs(60),
            query_timeout: Duration::from_secs(3),
            key: None,
        }
    }

    /// Fingerprint of everything known to shape vectors: the name, the requested length and the prefixes.
    ///
    /// The URL is left out, because a model that moves to another machine stays the same. If a provider replaces the weights behind
    /// a name, the version does not change, because the API does not reveal that.
    pub fn version(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let dimensions = self
            .dimensions
            .map_or_else(String::new, |length| length.to_string());
        for part in [&self.name, &dimensions, &self.query_prefix, &self.passage_prefix] {
            // Each part is preceded by its length, so that different lists cannot hash the same bytes.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..12].to_owned()
    }

    /// Sets [`RemoteOptions::known_dimensions`] if `id` and `version` of an earlier index's model match these options.
    pub fn recall_dimensions(&mut self, id: &str, version: &str, dimensions: usize) {
        if id == self.name && version == self.version() {
            self.known_dimensions = Some(dimensions);
        }
    }

    /// Checks the range of every option.
    ///
    /// # Errors
    /// `Setting` for the first invalid option.
    pub fn validate(&self) -> Result<(), EmbedError> {
        self.endpoint()?;
        let positive = [
            ("model.batch_texts", self.batch_texts),
            ("model.batch_tokens", self.batch_tokens),
            ("model.concurrency", self.concurrency),
            ("model.dimensions", self.dimensions.unwrap_or(1)),
        ];
        if let Some((setting, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(invalid(setting, "must be at least 1".to_owned()));
        }
        if self.name.trim().is_empty() {
            return Err(invalid(
                "model.name",
                "is empty; set the provider's name for the model".to_owned(),
            ));
        }
        if self.batch_texts > MAX_TEXTS {
            let message = format!("{} is over {MAX_TEXTS}", self.batch_texts);
            return Err(invalid("model.batch_texts", message));
        }
        if self.max_tokens < MIN_TOKENS {
            let message = format!("{} is less than {MIN_TOKENS}", self.max_tokens);
            return Err(invalid("model.max_tokens", message));
        }
        for (setting, timeout) in [
            ("model.timeout_secs", self.timeout),
            ("model.query_timeout_ms", self.query_timeout),
        ] {
            if timeout.is_zero() || timeout > MAX_TIMEOUT {
                return Err(invalid(
                    setting,
                    "must be more than zero and at most one hour".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// The URL of `/embeddings`.
    ///
    /// # Errors
    /// `Setting` if `base_url` is invalid.
    pub(super) fn endpoint(&self) -> Result<Uri, EmbedError> {
        let invalid = |message: &str| invalid("model.base_url", message.to_owned());
        let base = self.base_url.trim_end_matches('/');
        let uri: Uri = base
            .parse()
            .map_err(|_| invalid("is not a URL; expected something like http://127.0.0.1:11434/v1"))?;
        // A URL may contain a secret by mistake, so no message repeats the value.
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(invalid("must begin with http:// or https://"));
        }
        if uri
            .authority()
            .is_none_or(|authority| authority.as_str().contains('@'))
        {
            return Err(invalid(
                "must not have a user name or password; put the key in the variable named by model.key_env",
            ));
        }
        if base.contains(['?', '#']) {
            return Err(invalid("must not have a query or fragment"));
        }
        if uri.path().ends_with("/embeddings") {
            return Err(invalid("must end before /embeddings, which is appended"));
        }
        format!("{base}/embeddings")
            .parse()
            .map_err(|_| invalid("is not a URL"))
    }
}

/// An API key. `Debug` and error messages never show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Trims and checks a key.
    ///
    /// # Errors
    /// `Setting` if the key has a character that an HTTP header cannot carry.
    pub fn new(key: &str) -> Result<Key, EmbedError> {
        let key = key.trim();
        match HeaderValue::from_str(key) {
            Ok(_) if key.is_ascii() => Ok(Key(key.to_owned())),
            _ => Err(invalid(
                "model.key_env",
                "the key has characters that an HTTP header cannot carry".to_owned(),
            )),
        }
    }

    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

pub(super) fn invalid(setting: &'static str, message: String) -> EmbedError {
    EmbedError::Setting { setting, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(change: impl FnOnce(&mut RemoteOptions)) -> String {
        let mut options = RemoteOptions::new("http://localhost:1/v1/", "m");
        options.validate().unwrap();
        change(&mut options);
        options.validate().unwrap_err().to_string()
    }

    #[test]
    fn urls_are_checked_and_errors_do_not_repeat_them() {
        let uri = RemoteOptions::new("https://example.org/v1//", "m")
            .endpoint()
            .unwrap();
        assert_eq!(uri, "https://example.org/v1/embeddings");
        for bad in [
            "",
            "localhost:11434",
            "ftp://host/v1",
            "http://user:secret@host/v1",
            "http://host/v1?key=secret",
            "http://host/v1#secret",
            "http://host/v1/embeddings",
            "http://ho st/secret",
        ] {
            let message = error(|options| options.base_url = bad.to_owned());
            assert!(
                message.starts_with("model.base_url: ") && !message.contains("secret"),
                "{bad}: {message}"
            );
        }
    }

    #[test]
    fn errors_name_the_invalid_option() {
        assert!(error(|o| o.name = " ".into()).starts_with("model.name: "));
        assert!(error(|o| o.batch_texts = 0).starts_with("model.batch_texts: "));
        assert!(error(|o| o.batch_texts = 4000).starts_with("model.batch_texts: "));
        assert!(error(|o| o.batch_tokens = 0).starts_with("model.batch_tokens: "));
        assert!(error(|o| o.concurrency = 0).starts_with("model.concurrency: "));
        assert!(error(|o| o.dimensions = Some(0)).starts_with("model.dimensions: "));
        assert!(error(|o| o.max_tokens = 3).starts_with("model.max_tokens: "));
        assert!(error(|o| o.timeout = Duration::ZERO).starts_with("model.timeout_secs: "));
        assert!(
            error(|o| o.query_timeout = Duration::from_secs(9999)).starts_with("model.query_timeout_ms: ")
        );
    }

    #[test]
    fn the_version_covers_everything_that_shapes_vectors_but_not_the_url() {
        let one = RemoteOptions::new("http://one/v1", "m");
        let moved = RemoteOptions {
            base_url: "http://two/v1".into(),
            timeout: Duration::from_secs(1),
            ..one.clone()
        };
        assert_eq!(one.version(), moved.version());
        let prefixed = RemoteOptions {
            query_prefix: "a".into(),
            ..one.clone()
        };
        let swapped = RemoteOptions {
            passage_prefix: "a".into(),
            ..one.clone()
        };
        let shorter = RemoteOptions {
            dimensions: Some(256),
            ..one.clone()
        };
        let versions = [&one, &prefixed, &swapped, &shorter].map(RemoteOptions::version);
        for (place, version) in versions.iter().enumerate() {
            assert!(!versions[..place].contains(version));
        }
        let mut options = one.clone();
        options.recall_dimensions("m", &prefixed.version(), 8);
        assert_eq!(options.known_dimensions, None);
        options.recall_dimensions("m", &one.version(), 8);
        assert_eq!(options.known_dimensions, Some(8));
    }

    #[test]
    fn debug_output_and_errors_do_not_show_the_key() {
        let options = RemoteOptions {
            key: Some(Key::new("sk-very-secret").unwrap()),
            ..RemoteOptions::new("http://h", "m")
        };
        assert!(!format!("{options:?}").contains("secret"));
        let message = Key::new("sk-\nsecret").unwrap_err().to_string();
        assert!(
            message.starts_with("model.key_env: ") && !message.contains("secret"),
            "{message}"
        );
    }
}
