//! One request over HTTP.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, SystemTime};

use ureq::Agent;
use ureq::http::header::{AUTHORIZATION, HeaderValue, LOCATION, RETRY_AFTER};
use ureq::http::{HeaderMap, StatusCode, Uri};

use super::answer;
use super::options::{RemoteOptions, invalid};
use super::retry::retry_after;
use crate::error::EmbedError;
use crate::http::{bearer, client_for};

/// Bytes of an answer that are read for each text: a vector of 8192 numbers, written at length.
const BYTES_A_TEXT: u64 = 256 << 10;
/// Bytes of an answer that are read in any case.
const BYTES_IN_ANY_CASE: u64 = 1 << 20;
/// How often whoever waits for an answer looks whether it is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A request that brought no vectors.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// Another attempt may succeed.
    Temporary { reason: String, wish: Option<Duration> },
    /// The provider does not want this request.
    Refused { status: u16, message: String },
    /// What came is not what was asked for.
    BadAnswer(String),
    /// No one waits for it any more.
    Interrupted,
}

impl Failure {
    pub(super) fn temporary(reason: impl Into<String>) -> Failure {
        Failure::Temporary {
            reason: reason.into(),
            wish: None,
        }
    }
}

/// Where requests go. Cheap to clone; clones share connections.
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
            // The key and the texts go where the settings say, and nowhere that the environment says.
            .proxy(None)
            .max_idle_connections_per_host(options.concurrency.saturating_add(1));
        let authorization = options.key.as_ref().map(|key| bearer(key.secret()));
        let unsendable = |_| {
            let message = "the key has characters that cannot be sent";
            invalid("model.key_env", message.to_owned())
        };
        Ok(Endpoint {
            agent: config.build().new_agent(),
            uri,
            authorization: authorization.transpose().map_err(unsendable)?,
        })
    }

    /// Sends a request of `texts` texts and waits for the body of its answer, until `timeout` at most.
    ///
    /// What a provider says of a failure comes as it is; it may repeat texts.
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
        let mut response = request.send(body).map_err(|error| unsent(&error, timeout))?;
        let limit = BYTES_IN_ANY_CASE + BYTES_A_TEXT.saturating_mul(texts as u64);
        let read = response.body_mut().with_config().limit(limit).read_to_vec();
        let status = response.status();
        if status == StatusCode::OK {
            return read.map_err(|error| unsent(&error, timeout));
        }
        Err(refusal(status, response.headers(), &read.unwrap_or_default()))
    }

    /// The same, given up as soon as it is not `is_wanted` any more: the answer then goes nowhere.
    pub(super) fn post_while(
        &self,
        body: Vec<u8>,
        texts: usize,
        timeout: Duration,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<Vec<u8>, Failure> {
        let (sender, answer) = channel();
        let endpoint = self.clone();
        let spawned = std::thread::Builder::new()
            .name("embedding request".to_owned())
            .spawn(move || {
                // The receiver is gone where the answer is no longer wanted.
                let _ = sender.send(endpoint.post(&body, texts, timeout));
            });
        if let Err(error) = spawned {
            return Err(Failure::temporary(format!(
                "no thread could be started for a request: {error}"
            )));
        }
        loop {
            match answer.recv_timeout(LOOK_EVERY) {
                Ok(answered) => return answered,
                Err(RecvTimeoutError::Timeout) if is_wanted() => {}
                Err(RecvTimeoutError::Timeout) => return Err(Failure::Interrupted),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::temporary("the request was dropped"));
                }
            }
        }
    }
}

fn unsent(error: &ureq::Error, timeout: Duration) -> Failure {
    match error {
        ureq::Error::Timeout(_) => {
            Failure::temporary(format!("no answer within {:.1} s", timeout.as_secs_f64()))
        }
        ureq::Error::BodyExceedsLimit(limit) => {
            Failure::BadAnswer(format!("the answer is longer than {limit} bytes"))
        }
        ureq::Error::HostNotFound => Failure::temporary("the host name is not known"),
        other => Failure::temporary(other.to_string()),
    }
}

fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    let header = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let code = status.as_u16();
    if status.is_redirection() {
        let to = header(LOCATION).and_then(|to| to.parse::<Uri>().ok());
        let host = to.as_ref().and_then(Uri::host).unwrap_or("another path");
        let message =
            format!("it redirects to {host}, which is not followed; set model.base_url to the address meant");
        return Failure::Refused {
            status: code,
            message,
        };
    }
    let message = answer::message(body);
    let is_temporary = status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        );
    if is_temporary {
        return Failure::Temporary {
            reason: format!("it answers {code}: {message}"),
            wish: header(RETRY_AFTER).and_then(|value| retry_after(value, SystemTime::now())),
        };
    }
    Failure::Refused {
        status: code,
        message,
    }
}
