//! A model behind an OpenAI-compatible API: batches, retries, and a circuit breaker for outages.

mod batch;
mod endpoint;
mod options;
mod outage;
mod redact;
mod response;
mod retry;
mod slots;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use batch::batches;
use endpoint::{Endpoint, Failure};
pub use options::{Key, RemoteOptions};
pub use outage::Outage;
use outage::{CircuitBreaker, RequestKind};
use redact::redact;
use response::EmbeddingsRequest;
use retry::Backoff;
use slots::Slots;

use crate::engine::{Batching, Deliver, EmbeddingEngine, Input, Patience};
use crate::error::EmbedError;

/// Attempts for passages before the provider counts as down.
const PASSAGE_ATTEMPTS: usize = 5;
/// Longest wait before the second attempt for passages.
const PASSAGE_FIRST_WAIT: Duration = Duration::from_millis(500);
/// Longest wait before any later attempt for passages.
const PASSAGE_MAX_WAIT: Duration = Duration::from_secs(20);
/// Attempts for a query, within the query timeout.
const QUERY_ATTEMPTS: usize = 3;
/// Longest wait before the second attempt for a query.
const QUERY_FIRST_WAIT: Duration = Duration::from_millis(100);
/// Interval at which waits check the caller's patience; also the shortest timeout of a query's request.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// A short text that any model accepts. Shows whether the provider works and how long its vectors are.
const PROBE: &str = "how long is a vector";

/// A model that an embedding provider computes.
#[derive(Debug)]
pub(crate) struct Remote {
    options: RemoteOptions,
    endpoint: Endpoint,
    dimensions: Option<usize>,
    breaker: CircuitBreaker,
    slots: Slots,
    /// Texts per request. Falls below the setting once the provider has refused larger requests.
    batch_texts: AtomicUsize,
    /// Whether requests include the field `dimensions`. Providers that cannot shorten vectors reject requests with this field.
    sends_dimensions: AtomicBool,
}

impl Remote {
    /// Validates the options and requests one vector.
    ///
    /// # Errors
    /// `Setting` for invalid options. If the provider fails and neither the options nor an earlier index give the vector length,
    /// the provider's failure.
    pub(crate) fn open(options: RemoteOptions) -> Result<Remote, EmbedError> {
        options.validate()?;
        let mut remote = Remote {
            endpoint: Endpoint::new(&options)?,
            dimensions: None,
            breaker: CircuitBreaker::default(),
            slots: Slots::new(options.concurrency),
            batch_texts: options.batch_texts.into(),
            sends_dimensions: true.into(),
            options,
        };
        let expected = remote.options.dimensions.or(remote.options.known_dimensions);
        let probe = match expected {
            Some(_) => remote.query_vector(PROBE),
            None => remote.passage_vector(PROBE),
        };
        remote.dimensions = Some(match (probe, expected) {
            (Ok(vector), _) => {
                if let Some(wanted) = remote.options.dimensions
                    && wanted != vector.len()
                {
                    let message = format!(
                        "is {wanted}, but the vectors of {:?} have {} numbers; correct it or leave it out",
                        remote.options.name,
                        vector.len()
                    );
                    return Err(options::invalid("model.dimensions", message));
                }
                vector.len()
            }
            (Err(_), Some(expected)) => {
                // The short query timeout may be the cause. Pause passages too, until the provider is worth another attempt.
                remote.extend_outage_to_passages();
                expected
            }
            (Err(error), None) => return Err(error),
        });
        Ok(remote)
    }

    pub(crate) fn options(&self) -> &RemoteOptions {
        &self.options
    }

    /// Length of the vectors.
    pub(crate) fn dimensions(&self) -> usize {
        self.dimensions.unwrap_or_default()
    }

    /// The vector of a query within the query timeout. `text` includes the prefix.
    fn query_vector(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let timeout = self.options.query_timeout;
        let deadline = Instant::now() + timeout;
        self.breaker
            .admit(RequestKind::Query, timeout)
            .map_err(|reason| self.unavailable(reason))?;
        let _slot = self.slots.query();
        let attempts = if self.breaker.is_open() { 1 } else { QUERY_ATTEMPTS };
        let mut backoff = Backoff::new(QUERY_FIRST_WAIT, timeout);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let remaining = deadline.saturating_duration_since(Instant::now());
            let outcome = self.attempt(&[text], |body| {
                self.endpoint.post(&body, 1, remaining.max(POLL_INTERVAL))
            });
            let failure = match outcome {
                Ok(mut vectors) => {
                    self.record_success();
                    return Ok(vectors.swap_remove(0));
                }
                Err(failure) => failure,
            };
            if let Failure::Temporary { retry_after, .. } = &failure {
                let wait = backoff.next_wait(*retry_after);
                if attempt < attempts && Instant::now() + wait < deadline {
                    std::thread::sleep(wait);
                    continue;
                }
            }
            return Err(match failure {
                // The refusal concerns this query only, so the provider does not count as down.
                Failure::Refused {
                    status: status @ (400 | 413 | 422),
                    message,
                } => self.refused(status, message),
                failure => self.record_failure(RequestKind::Query, failure),
            });
        }
    }

    /// Embeds one range of texts with one request. If the provider refuses the request, splits it in halves.
    ///
    /// Returns true if every text has a vector.
    fn embed_range(
        &self,
        texts: &[&str],
        range: Range<usize>,
        patience: &dyn Fn() -> Patience,
        deliver: &mut Deliver<'_>,
    ) -> Result<bool, EmbedError> {
        let (status, message) = match self.embed_with_retries(&texts[range.clone()], patience) {
            Ok(vectors) => {
                for (index, vector) in range.zip(vectors) {
                    deliver(index, Ok(vector));
                }
                return Ok(true);
            }
            Err(Failure::Refused {
                status: status @ (400 | 413 | 422),
                message,
            }) => (status, message),
            Err(failure) => return Err(self.record_failure(RequestKind::Passages, failure)),
        };
        if range.len() > 1 {
            let middle = range.start + range.len() / 2;
            let first = self.embed_range(texts, range.start..middle, patience, deliver)?;
            let second = self.embed_range(texts, middle..range.end, patience, deliver)?;
            if first && second {
                // All texts are acceptable, so the request had too many of them.
                let half = range.len().div_ceil(2);
                self.batch_texts.fetch_min(half, Ordering::Relaxed);
            }
            return Ok(first && second);
        }
        // The probe shows whether the provider refuses this text or every text.
        match self.embed_with_retries(&[PROBE], patience) {
            Ok(_) => {
                let refusal = EmbedError::TextRefused {
                    provider: self.base_url(),
                    reason: format!("it answered {status}: {message}"),
                };
                deliver(range.start, Err(refusal));
                Ok(false)
            }
            Err(failure) => Err(self.record_failure(RequestKind::Passages, failure)),
        }
    }

    fn passage_vector(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let vectors = self.embed_with_retries(&[text], &|| Patience::Full);
        vectors
            .map(|mut vectors| vectors.swap_remove(0))
            .map_err(|failure| self.record_failure(RequestKind::Passages, failure))
    }

    /// Requests vectors until an attempt succeeds or another one is pointless. While the provider counts as down, there is only
    /// one attempt.
    fn embed_with_retries(
        &self,
        texts: &[&str],
        patience: &dyn Fn() -> Patience,
    ) -> Result<Vec<Vec<f32>>, Failure> {
        self.breaker
            .admit(RequestKind::Passages, self.options.timeout)
            .map_err(Failure::temporary)?;
        let attempts = if self.breaker.is_open() {
            1
        } else {
            PASSAGE_ATTEMPTS
        };
        let is_wanted = || match patience() {
            Patience::Full => true,
            // A provider that works will answer soon; one that is down may never do so.
            Patience::FinishRequests => !self.breaker.is_open(),
            Patience::None => false,
        };
        let mut backoff = Backoff::new(PASSAGE_FIRST_WAIT, PASSAGE_MAX_WAIT);
        let mut attempt = 0;
        loop {
            let slot = self.slots.passages(&is_wanted).ok_or(Failure::Interrupted)?;
            let outcome = self.attempt(texts, |body| {
                self.endpoint
                    .post_while(body, texts.len(), self.options.timeout, &is_wanted)
            });
            drop(slot);
            attempt += 1;
            match outcome {
                Ok(vectors) => {
                    self.record_success();
                    return Ok(vectors);
                }
                Err(Failure::Temporary { retry_after, .. }) if attempt < attempts => {
                    wait_while(backoff.next_wait(retry_after), &|| patience() == Patience::Full)?;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Makes one attempt: one request, or two if the provider turns out not to support `dimensions`.
    fn attempt(
        &self,
        texts: &[&str],
        send: impl Fn(Vec<u8>) -> Result<Vec<u8>, Failure>,
    ) -> Result<Vec<Vec<f32>>, Failure> {
        let sends_dimensions = self.sends_dimensions.load(Ordering::Relaxed);
        let request = |dimensions| -> Result<Vec<u8>, Failure> {
            let body = serde_json::to_vec(&EmbeddingsRequest {
                model: &self.options.name,
                input: texts,
                encoding_format: "float",
                dimensions,
            })
            .map_err(|error| {
                Failure::InvalidResponse(format!("the request cannot be serialized: {error}"))
            })?;
            send(body)
        };
        let dimensions = self.options.dimensions.filter(|_| sends_dimensions);
        let response = match request(dimensions) {
            Err(Failure::Refused {
                status: 400 | 422,
                message,
            }) if dimensions.is_some() && message.contains("dimension") => {
                // The vectors may have the right length anyway; `open` checks that.
                self.sends_dimensions.store(false, Ordering::Relaxed);
                request(None)
            }
            response => response,
        };
        let redact = |message: String| redact(&message, texts, self.options.key.as_ref());
        match response {
            Ok(body) => response::parse_vectors(&body, texts.len(), self.dimensions),
            Err(Failure::Temporary { reason, retry_after }) => Err(Failure::Temporary {
                reason: redact(reason),
                retry_after,
            }),
            Err(Failure::Refused { status, message }) => Err(Failure::Refused {
                status,
                message: redact(message),
            }),
            Err(failure) => Err(failure),
        }
    }

    fn base_url(&self) -> String {
        self.options.base_url.clone()
    }

    fn unavailable(&self, reason: String) -> EmbedError {
        EmbedError::Unavailable {
            provider: self.base_url(),
            reason,
        }
    }

    fn refused(&self, status: u16, message: String) -> EmbedError {
        EmbedError::Refused {
            provider: self.base_url(),
            status,
            message,
        }
    }

    /// Opens the circuit breaker, unless the caller interrupted the request, and returns the error.
    fn record_failure(&self, kind: RequestKind, failure: Failure) -> EmbedError {
        let (error, retry_after) = match failure {
            Failure::Interrupted => return EmbedError::Interrupted,
            Failure::Temporary { reason, retry_after } => (self.unavailable(reason), retry_after),
            Failure::Refused { status, message } => (self.refused(status, message), None),
            Failure::InvalidResponse(reason) => (
                EmbedError::InvalidResponse {
                    provider: self.base_url(),
                    reason,
                },
                None,
            ),
        };
        self.open_breaker(kind, &error.reason(), retry_after);
        error
    }

    fn open_breaker(&self, kind: RequestKind, reason: &str, retry_after: Option<Duration>) {
        if self.breaker.record_failure(kind, reason, retry_after) {
            let provider = self.base_url();
            tracing::warn!(provider, "the embedding provider is not available: {reason}");
        }
    }

    fn extend_outage_to_passages(&self) {
        if let Some(outage) = self.breaker.outage() {
            self.open_breaker(RequestKind::Passages, &outage.reason, None);
        }
    }

    fn record_success(&self) {
        if self.breaker.record_success() {
            let provider = self.base_url();
            tracing::info!(provider, "the embedding provider is available again");
        }
    }
}

impl EmbeddingEngine for Remote {
    fn batching(&self) -> Batching {
        Batching {
            texts: self.batch_texts.load(Ordering::Relaxed),
            calls: Some(self.options.concurrency),
        }
    }

    fn embed_passages(
        &self,
        inputs: Vec<Input<'_>>,
        patience: &dyn Fn() -> Patience,
        deliver: &mut Deliver<'_>,
    ) -> Result<(), EmbedError> {
        let texts: Vec<&str> = inputs.iter().map(|input| &*input.text).collect();
        let counts: Vec<usize> = inputs.iter().map(|input| input.ids.len()).collect();
        let batch_texts = self.batch_texts.load(Ordering::Relaxed);
        for range in batches(&counts, batch_texts, self.options.batch_tokens) {
            self.embed_range(&texts, range, patience, deliver)?;
        }
        Ok(())
    }

    fn embed_query(&self, input: Input<'_>) -> Result<Vec<f32>, EmbedError> {
        self.query_vector(&input.text)
    }

    fn provider(&self) -> Option<&str> {
        Some(&self.options.base_url)
    }

    fn outage(&self) -> Option<Outage> {
        self.breaker.outage()
    }
}

/// Sleeps for `wait`, unless `is_worth_it` turns false.
fn wait_while(wait: Duration, is_worth_it: &dyn Fn() -> bool) -> Result<(), Failure> {
    let until = Instant::now() + wait;
    loop {
        let remaining = until.saturating_duration_since(Instant::now());
        if remaining.is_zero() {
            return Ok(());
        }
        if !is_worth_it() {
            return Err(Failure::Interrupted);
        }
        std::thread::sleep(remaining.min(POLL_INTERVAL));
    }
}
