//! What a remote model is asked with.

use std::fmt;
use std::time::Duration;

use ureq::http::Uri;
use ureq::http::header::HeaderValue;

use crate::error::EmbedError;

/// Most texts that any known provider takes in a request.
const MOST_TEXTS: usize = 2048;
/// Fewest tokens that a model may read: passages of a few words are of no use.
const FEWEST_TOKENS: usize = 66;
/// Longest time an answer may be waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// A model behind HTTP, asked as OpenAI's `POST /embeddings` is, which most servers of models understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteOptions {
    /// Where `/embeddings` is, such as `http://127.0.0.1:11434/v1`.
    pub base_url: String,
    /// The model's name, as the provider has it.
    pub name: String,
    /// Length of the vectors. Asked for from providers that can shorten theirs; from others, it is what they are held to.
    pub dimensions: Option<usize>,
    /// Length that vectors of this model are known to have had, for when the provider cannot be asked; see
    /// [`RemoteOptions::recognise`].
    pub known_dimensions: Option<usize>,
    /// What the model was trained to see before a question.
    pub query_prefix: String,
    /// What the model was trained to see before a passage.
    pub passage_prefix: String,
    /// Tokens that the model reads of a text.
    pub max_tokens: usize,
    /// Most tokens in a request, unless a single text has more.
    pub batch_tokens: usize,
    /// Most texts in a request.
    pub batch_texts: usize,
    /// Most requests for passages at once. A query never waits for one of them.
    pub concurrency: usize,
    /// Longest wait for vectors of passages, a single try.
    pub timeout: Duration,
    /// Longest wait for the vector of a query, all tries.
    pub query_timeout: Duration,
    /// Sent as `Authorization: Bearer`.
    pub key: Option<Key>,
}

impl RemoteOptions {
    /// The usual settings, for a model of this name there.
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

    /// What of a vector's origin can be known from here: the name, the length asked for and the prefixes. Not the address, since
    /// a model that moves to another machine stays the same one; and a provider that puts other weights behind an old name
    /// does not say so.
    pub fn version(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let dimensions = self
            .dimensions
            .map_or_else(String::new, |length| length.to_string());
        for part in [&self.name, &dimensions, &self.query_prefix, &self.passage_prefix] {
            // The length before each, so that no two lists of parts read alike.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..12].to_owned()
    }

    /// Takes the length of vectors from an index that was made with a model of this id and version, if it is this one.
    pub fn recognise(&mut self, id: &str, version: &str, dimensions: usize) {
        if id == self.name && version == self.version() {
            self.known_dimensions = Some(dimensions);
        }
    }

    /// Checks every value by itself.
    ///
    /// # Errors
    /// `Setting`, naming the one that cannot be used.
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
                "is empty; give the model's name at the provider".to_owned(),
            ));
        }
        if self.batch_texts > MOST_TEXTS {
            let message = format!("{} is over {MOST_TEXTS}", self.batch_texts);
            return Err(invalid("model.batch_texts", message));
        }
        if self.max_tokens < FEWEST_TOKENS {
            let message = format!("{} is less than {FEWEST_TOKENS}", self.max_tokens);
            return Err(invalid("model.max_tokens", message));
        }
        for (setting, wait) in [
            ("model.timeout_secs", self.timeout),
            ("model.query_timeout_ms", self.query_timeout),
        ] {
            if wait.is_zero() || wait > LONGEST_WAIT {
                return Err(invalid(
                    setting,
                    "is outside the time above nothing up to an hour".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// The address that is asked.
    ///
    /// # Errors
    /// `Setting` where `base_url` cannot be one.
    pub(super) fn endpoint(&self) -> Result<Uri, EmbedError> {
        let wrong = |message: &str| invalid("model.base_url", message.to_owned());
        let base = self.base_url.trim_end_matches('/');
        let uri: Uri = base
            .parse()
            .map_err(|_| wrong("is not an address; it looks like http://127.0.0.1:11434/v1"))?;
        // The value may hold a secret where it should not, so no message repeats it.
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong("must begin with http:// or https://"));
        }
        if uri
            .authority()
            .is_none_or(|authority| authority.as_str().contains('@'))
        {
            return Err(wrong(
                "must not have a user name or password; the key has a variable of its own (model.key_env)",
            ));
        }
        if base.contains(['?', '#']) {
            return Err(wrong("must not have a query or fragment"));
        }
        if uri.path().ends_with("/embeddings") {
            return Err(wrong("must end before /embeddings, which is added to it"));
        }
        format!("{base}/embeddings")
            .parse()
            .map_err(|_| wrong("is not an address"))
    }
}

/// What a provider knows its customer by. Shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Takes a key.
    ///
    /// # Errors
    /// `Setting` where it has a character that no HTTP header takes; the message does not repeat it.
    pub fn new(key: &str) -> Result<Key, EmbedError> {
        let key = key.trim();
        match HeaderValue::from_str(key) {
            Ok(_) if key.is_ascii() => Ok(Key(key.to_owned())),
            _ => Err(invalid(
                "model.key_env",
                "the key has characters that cannot be sent".to_owned(),
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

    fn refused(change: impl FnOnce(&mut RemoteOptions)) -> String {
        let mut options = RemoteOptions::new("http://localhost:1/v1/", "m");
        options.validate().unwrap();
        change(&mut options);
        options.validate().unwrap_err().to_string()
    }

    #[test]
    fn addresses_are_checked_and_never_repeated() {
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
            let said = refused(|options| options.base_url = bad.to_owned());
            assert!(
                said.starts_with("model.base_url: ") && !said.contains("secret"),
                "{bad}: {said}"
            );
        }
    }

    #[test]
    fn each_value_is_checked_and_named() {
        assert!(refused(|o| o.name = " ".into()).starts_with("model.name: "));
        assert!(refused(|o| o.batch_texts = 0).starts_with("model.batch_texts: "));
        assert!(refused(|o| o.batch_texts = 4000).starts_with("model.batch_texts: "));
        assert!(refused(|o| o.batch_tokens = 0).starts_with("model.batch_tokens: "));
        assert!(refused(|o| o.concurrency = 0).starts_with("model.concurrency: "));
        assert!(refused(|o| o.dimensions = Some(0)).starts_with("model.dimensions: "));
        assert!(refused(|o| o.max_tokens = 3).starts_with("model.max_tokens: "));
        assert!(refused(|o| o.timeout = Duration::ZERO).starts_with("model.timeout_secs: "));
        assert!(
            refused(|o| o.query_timeout = Duration::from_secs(9999)).starts_with("model.query_timeout_ms: ")
        );
    }

    #[test]
    fn the_version_is_of_what_vectors_depend_on() {
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
        let mut asked = one.clone();
        asked.recognise("m", &prefixed.version(), 8);
        assert_eq!(asked.known_dimensions, None);
        asked.recognise("m", &one.version(), 8);
        assert_eq!(asked.known_dimensions, Some(8));
    }

    #[test]
    fn a_key_is_not_shown() {
        let options = RemoteOptions {
            key: Some(Key::new("sk-very-secret").unwrap()),
            ..RemoteOptions::new("http://h", "m")
        };
        assert!(!format!("{options:?}").contains("secret"));
        let said = Key::new("sk-\nsecret").unwrap_err().to_string();
        assert!(
            said.starts_with("model.key_env: ") && !said.contains("secret"),
            "{said}"
        );
    }
}
