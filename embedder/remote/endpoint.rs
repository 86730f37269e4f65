//! Sends one HTTP request and classifies its failure.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, SystemTime};

use ureq::Agent;
use ureq::http::header::{AUTHORIZATION, HeaderValue, LOCATION, RETRY_AFTER};
use ureq::http::{HeaderMap, StatusCode, Uri};

use super::options::{RemoteOptions, invalid};
use super::response::error_message;
use super::retry::parse_retry_after;
use crate::error::EmbedError;
use crate::http::{bearer, client_for};

/// Response size limit for each text, in bytes: enough for a vector of 8192 numbers with all digits.
const BYTES_PER_TEXT: u64 = 256 << 10;
/// Response size limit in addition to the texts, in bytes.
const BASE_BYTES: u64 = 1 << 20;
/// Interval at which a wait for a response checks whether the caller still wants it.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A request that returned no vectors.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// Another attempt may succeed. `retry_after` is the provider's `Retry-After` header.
    Temporary {
        reason: String,
        retry_after: Option<Duration>,
    },
    /// The provider rejected the request.
    Refused { status: u16, message: String },
    /// The response does not hold the requested vectors.
    InvalidResponse(String),
    /// The caller stopped waiting.
    Interrupted,
}

impl Failure {
    pub(super) fn temporary(reason: impl Into<String>) -> Failure {
        Failure::Temporary {
            reason: reason.into(),
            retry_after: None,
        }
    }
}

/// The provider's `/embeddings` URL and an HTTP client. Clones are cheap and share connections.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    agent: Agent,
    uri: Uri,
    authorization: Option<HeaderValue>,
}

impl Endpoint {
    pub(super) fn new(options: &RemoteOptions) -> Result<Endpoint, EmbedError> {
        let uri = options.endpoint()?;
        let client = client_for(&uri).map_err(|error| invalid("model.base_url", error.to_string()))?;
        let config = client
            // Ignore proxy variables of the environment: key and texts must reach only the configured address.
            .proxy(None)
            .max_idle_connections_per_host(options.concurrency.saturating_add(1));
        let authorization = options.key.as_ref().map(|key| bearer(key.secret()));
        let unsendable = |_| {
            let message = "the key has characters that an HTTP header cannot carry";
            invalid("model.key_env", message.to_owned())
        };
        Ok(Endpoint {
            agent: config.build().new_agent(),
            uri,
            authorization: authorization.transpose().map_err(unsendable)?,
        })
    }

    /// Sends a request with `texts` texts and returns the body of the response.
    ///
    /// Failures have the provider's message unredacted, so it may quote the texts.
    pub(super) fn post(&self, body: &[u8], texts: usize, timeout: Duration) -> Result<Vec<u8>, Failure> {
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
        let mut response = request
            .send(body)
            .map_err(|error| transport_failure(&error, timeout))?;
        let limit = BASE_BYTES + BYTES_PER_TEXT.saturating_mul(texts as u64);
        let read = response.body_mut().with_config().limit(limit).read_to_vec();
        let status = response.status();
        if status == StatusCode::OK {
            return read.map_err(|error| transport_failure(&error, timeout));
        }
        Err(status_failure(
            status,
            response.headers(),
            &read.unwrap_or_default(),
        ))
    }

    /// Like [`Endpoint::post`], but returns as soon as `is_wanted` turns false. The request then ends on its own thread, and its
    /// response is discarded.
    pub(super) fn post_while(
        &self,
        body: Vec<u8>,
        texts: usize,
        timeout: Duration,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, Failure> {
        let (sender, response) = channel();
        let endpoint = self.clone();
        let spawned = std::thread::Builder::new()
            .name("embedding request".to_owned())
            .spawn(move || {
                // The send fails if the caller stopped waiting.
                let _ = sender.send(endpoint.post(&body, texts, timeout));
            });
        if let Err(error) = spawned {
            return Err(Failure::temporary(format!(
                "cannot start a thread for the request: {error}"
            )));
        }
        loop {
            match response.recv_timeout(POLL_INTERVAL) {
                Ok(outcome) => return outcome,
                Err(RecvTimeoutError::Timeout) if is_wanted() => {}
                Err(RecvTimeoutError::Timeout) => return Err(Failure::Interrupted),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::temporary("the request thread ended early"));
                }
            }
        }
    }
}

/// A failure to send the request or to receive the response.
fn transport_failure(error: &ureq::Error, timeout: Duration) -> Failure {
    match error {
        ureq::Error::Timeout(_) => {
            Failure::temporary(format!("no answer within {:.1} s", timeout.as_secs_f64()))
        }
        ureq::Error::BodyExceedsLimit(limit) => {
            Failure::InvalidResponse(format!("the response is longer than {limit} bytes"))
        }
        ureq::Error::HostNotFound => Failure::temporary("unknown host name"),
        other => Failure::temporary(other.to_string()),
    }
}

/// The failure that a status other than 200 stands for.
fn status_failure(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let header = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let code = status.as_u16();
    if status.is_redirection() {
        let target = header(LOCATION).and_then(|target| target.parse::<Uri>().ok());
        let host = target.as_ref().and_then(Uri::host).unwrap_or("another path");
        let message = format!("redirects are not followed; set base_url to the final address (at {host})");
        return Failure::Refused {
            status: code,
            message,
        };
    }
    let message = error_message(body);
    let is_temporary = status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        );
    if is_temporary {
        return Failure::Temporary {
            reason: format!("it answered {code}: {message}"),
            retry_after: header(RETRY_AFTER).and_then(|value| parse_retry_after(value, SystemTime::now())),
        };
    }
    Failure::Refused {
        status: code,
        message,
    }
}
