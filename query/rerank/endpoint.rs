//! HTTP requests to a reranking server.

use std::time::Duration;

use autorag_embedder::http::{bearer, client_for};
use ureq::Agent;
use ureq::http::header::{AUTHORIZATION, HeaderValue};
use ureq::http::{StatusCode, Uri};

use crate::QueryError;

/// Maximum size of a response in bytes. Scores are short, but some servers return the passages too.
const MAX_RESPONSE_BYTES: u64 = 8 << 20;

/// URL and credentials of a reranking server.
pub(super) struct Endpoint {
    agent: Agent,
    uri: Uri,
    authorization: Option<HeaderValue>,
}

impl Endpoint {
    pub(super) fn new(url: &str, key: Option<&str>) -> Result<Endpoint, QueryError> {
        let invalid = |message: String| QueryError::Reranker { message };
        let uri: Uri = url.parse().map_err(|_| {
            invalid(format!(
                "{url:?} is not a URL such as http://127.0.0.1:8080/rerank"
            ))
        })?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_http || uri.host().is_none() {
            return Err(invalid(format!(
                "{url:?} must start with http:// or https:// and a host"
            )));
        }
        let client = client_for(&uri).map_err(|error| invalid(error.to_string()))?;
        // Ignore proxies from the environment: passages and the key must reach only the configured server.
        let config = client.proxy(None);
        let authorization = key.map(bearer).transpose();
        let invalid_key =
            |_| invalid("the key contains characters that an HTTP header cannot contain".into());
        Ok(Endpoint {
            agent: config.build().new_agent(),
            uri,
            authorization: authorization.map_err(invalid_key)?,
        })
    }

    /// Sends a request and returns the body of the response. The error is a human-readable reason. An error response
    /// contributes only its status, because its body may quote passages.
    pub(super) fn post(&self, body: &[u8], timeout: Duration) -> Result<Vec<u8>, String> {
        let mut request = self
            .agent
            .post(&self.uri)
            .config()
            .timeout_global(Some(timeout))
            .build()
            .content_type("application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let mut response = request.send(body).map_err(|error| describe(&error))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(format!("the reranker responded with status {}", status.as_u16()));
        }
        let read = response
            .body_mut()
            .with_config()
            .limit(MAX_RESPONSE_BYTES)
            .read_to_vec();
        read.map_err(|error| describe(&error))
    }
}

fn describe(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "timed out".to_owned(),
        ureq::Error::HostNotFound => "the reranker's host name could not be resolved".to_owned(),
        ureq::Error::BodyExceedsLimit(limit) => format!("the response exceeds {limit} bytes"),
        other => format!("the reranker is unreachable: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_keys_are_validated() {
        assert!(Endpoint::new("http://127.0.0.1:1/rerank", Some("key")).is_ok());
        for invalid in [
            "",
            "127.0.0.1/rerank",
            "ftp://host/rerank",
            "/rerank",
            "http://a b/",
        ] {
            assert!(Endpoint::new(invalid, None).is_err(), "{invalid}");
        }
        assert!(Endpoint::new("http://host/rerank", Some("a\nb")).is_err());
    }

    #[test]
    fn a_refused_connection_is_reported() {
        let nowhere = Endpoint::new("http://127.0.0.1:1/rerank", None).unwrap();
        let error = nowhere.post(b"{}", Duration::from_secs(5)).unwrap_err();
        assert!(error.contains("unreachable"), "{error}");
    }
}
