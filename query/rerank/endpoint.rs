//! One request over HTTP.

use std::time::Duration;

use autorag_embedder::http::{bearer, client_for};
use ureq::Agent;
use ureq::http::header::{AUTHORIZATION, HeaderValue};
use ureq::http::{StatusCode, Uri};

use crate::QueryError;

/// Most bytes of an answer: scores are short, but some servers send the passages back.
const LONGEST_ANSWER: u64 = 8 << 20;

/// Where requests go.
pub(super) struct Endpoint {
    agent: Agent,
    uri: Uri,
    authorization: Option<HeaderValue>,
}

impl Endpoint {
    pub(super) fn new(url: &str, key: Option<&str>) -> Result<Endpoint, QueryError> {
        let refused = |message: String| QueryError::Reranker { message };
        let uri: Uri = url.parse().map_err(|_| {
            refused(format!(
                "{url:?} is not an address, such as http://127.0.0.1:8080/rerank"
            ))
        })?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_http || uri.host().is_none() {
            return Err(refused(format!(
                "{url:?} does not begin with http:// or https:// and a host"
            )));
        }
        let client = client_for(&uri).map_err(|error| refused(error.to_string()))?;
        // Passages and the key go where the settings say, and nowhere that the environment says.
        let config = client.proxy(None);
        let authorization = key.map(bearer).transpose();
        let unsendable = |_| refused("the key has characters that cannot be sent".into());
        Ok(Endpoint {
            agent: config.build().new_agent(),
            uri,
            authorization: authorization.map_err(unsendable)?,
        })
    }

    /// Sends a request and waits for the body of its answer, until `timeout` at most; else why there is none. Of what the server
    /// says only the status is told, since the rest may repeat passages.
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
        let mut response = request.send(body).map_err(|error| unsent(&error))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(format!("the reranker answers {}", status.as_u16()));
        }
        let read = response
            .body_mut()
            .with_config()
            .limit(LONGEST_ANSWER)
            .read_to_vec();
        read.map_err(|error| unsent(&error))
    }
}

fn unsent(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "the time was up".to_owned(),
        ureq::Error::HostNotFound => "the reranker's host is not known".to_owned(),
        ureq::Error::BodyExceedsLimit(limit) => format!("the answer is longer than {limit} bytes"),
        other => format!("the reranker cannot be reached: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked() {
        assert!(Endpoint::new("http://127.0.0.1:1/rerank", Some("key")).is_ok());
        for wrong in [
            "",
            "127.0.0.1/rerank",
            "ftp://host/rerank",
            "/rerank",
            "http://a b/",
        ] {
            assert!(Endpoint::new(wrong, None).is_err(), "{wrong}");
        }
        assert!(Endpoint::new("http://host/rerank", Some("a\nb")).is_err());
    }

    #[test]
    fn no_one_there_is_said() {
        let nowhere = Endpoint::new("http://127.0.0.1:1/rerank", None).unwrap();
        let said = nowhere.post(b"{}", Duration::from_secs(5)).unwrap_err();
        assert!(said.contains("cannot be reached"), "{said}");
    }
}
