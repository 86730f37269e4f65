//! A model behind HTTP: batches, attempts, and what is known of whether it answers.

mod answer;
mod batch;
mod endpoint;
mod options;
mod outage;
mod redact;
mod retry;
mod slots;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use answer::Question;
use batch::batches;
use endpoint::{Endpoint, Failure};
pub use options::{Key, RemoteOptions};
pub use outage::Outage;
use outage::{Asker, Health};
use redact::redacted;
use retry::Backoff;
use slots::Slots;

use crate::embedder::Patience;
use crate::error::EmbedError;

/// Attempts for passages before the provider is taken to be down.
const ATTEMPTS: usize = 5;
/// The wait between the first and the second one, at most, …
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// … and between later ones.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Attempts for a query, within its time.
const ATTEMPTS_FOR_QUERY: usize = 3;
/// The wait between the first two of them, at most.
const FIRST_WAIT_OF_QUERY: Duration = Duration::from_millis(100);
/// How often whoever waits between attempts looks whether it is to go on waiting.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A text that any model can read, to learn whether the provider answers and how long its vectors are.
const PROBE: &str = "how long is a vector";

/// Where a vector goes, or why its text has none: the place of the text, and either.
pub(crate) type Deliver<'a> = dyn FnMut(usize, Result<Vec<f32>, EmbedError>) + 'a;

/// A model that another process computes.
#[derive(Debug)]
pub(crate) struct Remote {
    options: RemoteOptions,
    endpoint: Endpoint,
    dimensions: Option<usize>,
    health: Health,
    slots: Slots,
    /// Texts in a request; less than the setting where the provider has shown to take fewer.
    batch_texts: AtomicUsize,
    /// Whether to send the wish for a length of vectors. Providers that cannot shorten them refuse any wish.
    sends_dimensions: AtomicBool,
}

impl Remote {
    /// Checks the settings and asks the provider for a first vector. Where it does not answer, it is enough to know from the
    /// settings or an earlier index how long its vectors are.
    ///
    /// # Errors
    /// `Setting` for what cannot be used, and, where the length is not known, why the provider does not tell it.
    pub(crate) fn open(options: RemoteOptions) -> Result<Remote, EmbedError> {
        options.validate()?;
        let mut remote = Remote {
            endpoint: Endpoint::new(&options)?,
            dimensions: None,
            health: Health::default(),
            slots: Slots::new(options.concurrency),
            batch_texts: options.batch_texts.into(),
            sends_dimensions: true.into(),
            options,
        };
        let expected = remote.options.dimensions.or(remote.options.known_dimensions);
        let probed = match expected {
            Some(_) => remote.embed_query(PROBE),
            None => remote.embed_passage(PROBE),
        };
        remote.dimensions = Some(match (probed, expected) {
            (Ok(vector), _) => {
                if let Some(wanted) = remote.options.dimensions
                    && wanted != vector.len()
                {
                    let message = format!(
                        "is {wanted}, but the vectors of {:?} have {} numbers; leave it out or correct it",
                        remote.options.name,
                        vector.len()
                    );
                    return Err(options::invalid("model.dimensions", message));
                }
                vector.len()
            }
            (Err(_), Some(expected)) => {
                // A query's time was too short perhaps; either way passages may wait until the provider is worth asking.
                remote.note_down(Asker::Passages, None);
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

    /// Texts in a request.
    pub(crate) fn batch_texts(&self) -> usize {
        self.batch_texts.load(Ordering::Relaxed)
    }

    pub(crate) fn outage(&self) -> Option<Outage> {
        self.health.outage()
    }

    /// The vector of a query, prefix included, within the time for queries.
    pub(crate) fn embed_query(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let time = self.options.query_timeout;
        let deadline = Instant::now() + time;
        self.health
            .admit(Asker::Query, time)
            .map_err(|reason| self.unavailable(reason))?;
        let _slot = self.slots.query();
        let attempts = if self.health.is_down() {
            1
        } else {
            ATTEMPTS_FOR_QUERY
        };
        let mut backoff = Backoff::new(FIRST_WAIT_OF_QUERY, time);
        let mut tried = 0;
        loop {
            tried += 1;
            let left = deadline.saturating_duration_since(Instant::now());
            let outcome = self.attempt(&[text], |body| self.endpoint.post(&body, 1, left.max(LOOK_EVERY)));
            let failure = match outcome {
                Ok(mut vectors) => {
                    self.note_up();
                    return Ok(vectors.swap_remove(0));
                }
                Err(failure) => failure,
            };
            if let Failure::Temporary { wish, .. } = &failure {
                let wait = backoff.wait(*wish);
                if tried < attempts && Instant::now() + wait < deadline {
                    std::thread::sleep(wait);
                    continue;
                }
            }
            return Err(match failure {
                // What a provider says against one question says nothing of the next.
                Failure::Refused {
                    status: status @ (400 | 413 | 422),
                    message,
                } => self.refused(status, message),
                failure => self.given_up(Asker::Query, failure),
            });
        }
    }

    /// The vectors of passages, prefix included, of `counts` tokens each. Vectors are delivered as they come, and so is what the
    /// provider has against single texts.
    ///
    /// # Errors
    /// `Interrupted` where `patience` ends; otherwise what is wrong with the provider. What was delivered stays so.
    pub(crate) fn embed(
        &self,
        texts: &[&str],
        counts: &[usize],
        patience: &dyn Fn() -> Patience,
        deliver: &mut Deliver<'_>,
    ) -> Result<(), EmbedError> {
        for range in batches(counts, self.batch_texts(), self.options.batch_tokens) {
            self.embed_range(texts, range, patience, deliver)?;
        }
        Ok(())
    }

    /// One request, or where the provider does not want it, its halves.
    fn embed_range(
        &self,
        texts: &[&str],
        range: Range<usize>,
        patience: &dyn Fn() -> Patience,
        deliver: &mut Deliver<'_>,
    ) -> Result<bool, EmbedError> {
        let (status, message) = match self.persist(&texts[range.clone()], patience) {
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
            Err(failure) => return Err(self.given_up(Asker::Passages, failure)),
        };
        if range.len() > 1 {
            let middle = range.start + range.len() / 2;
            let first = self.embed_range(texts, range.start..middle, patience, deliver)?;
            let second = self.embed_range(texts, middle..range.end, patience, deliver)?;
            if first && second {
                // Neither half had anything wrong with it, so it was their number.
                let halves = range.len().div_ceil(2);
                self.batch_texts.fetch_min(halves, Ordering::Relaxed);
            }
            return Ok(first && second);
        }
        // Either this text is not wanted, or none is.
        match self.persist(&[PROBE], patience) {
            Ok(_) => {
                let reason = format!("it answers {status}: {message}");
                deliver(
                    range.start,
                    Err(EmbedError::TextRefused {
                        provider: self.provider(),
                        reason,
                    }),
                );
                Ok(false)
            }
            Err(failure) => Err(self.given_up(Asker::Passages, failure)),
        }
    }

    fn embed_passage(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let vectors = self.persist(&[text], &|| Patience::Full);
        vectors
            .map(|mut vectors| vectors.swap_remove(0))
            .map_err(|failure| self.given_up(Asker::Passages, failure))
    }

    /// Attempts until one succeeds or it is no use: several, but a single one where the provider is known to be down.
    fn persist(&self, texts: &[&str], patience: &dyn Fn() -> Patience) -> Result<Vec<Vec<f32>>, Failure> {
        let admitted = self.health.admit(Asker::Passages, self.options.timeout);
        admitted.map_err(Failure::temporary)?;
        let attempts = if self.health.is_down() { 1 } else { ATTEMPTS };
        let is_wanted = || match patience() {
            Patience::Full => true,
            // An answer that will come is worth its wait; one that may not is not.
            Patience::FinishRequests => !self.health.is_down(),
            Patience::None => false,
        };
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut tried = 0;
        loop {
            let slot = self.slots.passages(&is_wanted).ok_or(Failure::Interrupted)?;
            let outcome = self.attempt(texts, |body| {
                self.endpoint
                    .post_while(body, texts.len(), self.options.timeout, &is_wanted)
            });
            drop(slot);
            tried += 1;
            match outcome {
                Ok(vectors) => {
                    self.note_up();
                    return Ok(vectors);
                }
                Err(Failure::Temporary { wish, .. }) if tried < attempts => {
                    wait_while(backoff.wait(wish), &|| patience() == Patience::Full)?;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// One request.
    fn attempt(
        &self,
        texts: &[&str],
        send: impl Fn(Vec<u8>) -> Result<Vec<u8>, Failure>,
    ) -> Result<Vec<Vec<f32>>, Failure> {
        let sends_dimensions = self.sends_dimensions.load(Ordering::Relaxed);
        let question = |dimensions| Question {
            model: &self.options.name,
            input: texts,
            encoding_format: "float",
            dimensions,
        };
        let ask = |dimensions| -> Result<Vec<u8>, Failure> {
            let body = serde_json::to_vec(&question(dimensions))
                .map_err(|error| Failure::BadAnswer(format!("the request cannot be written: {error}")))?;
            send(body)
        };
        let wish = self.options.dimensions.filter(|_| sends_dimensions);
        let answered = match ask(wish) {
            Err(Failure::Refused {
                status: 400 | 422,
                message,
            }) if wish.is_some() && message.contains("dimension") => {
                // The vectors may have that length without being told; `open` holds them to it.
                self.sends_dimensions.store(false, Ordering::Relaxed);
                ask(None)
            }
            answered => answered,
        };
        let clean = |message: String| redacted(&message, texts, self.options.key.as_ref());
        match answered {
            Ok(body) => answer::vectors(&body, texts.len(), self.dimensions),
            Err(Failure::Temporary { reason, wish }) => Err(Failure::Temporary {
                reason: clean(reason),
                wish,
            }),
            Err(Failure::Refused { status, message }) => Err(Failure::Refused {
                status,
                message: clean(message),
            }),
            Err(failure) => Err(failure),
        }
    }

    fn provider(&self) -> String {
        self.options.base_url.clone()
    }

    fn unavailable(&self, reason: String) -> EmbedError {
        EmbedError::Unavailable {
            provider: self.provider(),
            reason,
        }
    }

    fn refused(&self, status: u16, message: String) -> EmbedError {
        EmbedError::Refused {
            provider: self.provider(),
            status,
            message,
        }
    }

    /// The error of a failure, after which the provider is taken to be down.
    fn given_up(&self, asker: Asker, failure: Failure) -> EmbedError {
        let (error, wish) = match failure {
            Failure::Interrupted => return EmbedError::Interrupted,
            Failure::Temporary { reason, wish } => (self.unavailable(reason), wish),
            Failure::Refused { status, message } => (self.refused(status, message), None),
            Failure::BadAnswer(reason) => (
                EmbedError::BadAnswer {
                    provider: self.provider(),
                    reason,
                },
                None,
            ),
        };
        self.note_failure(asker, &error.reason(), wish);
        error
    }

    fn note_failure(&self, asker: Asker, reason: &str, wish: Option<Duration>) {
        if self.health.failed(asker, reason, wish) {
            let provider = self.provider();
            tracing::warn!(
                provider,
                "the embedding provider is not available: {reason}; searching by words alone meanwhile"
            );
        }
    }

    /// Extends a failure of a query to passages.
    fn note_down(&self, asker: Asker, wish: Option<Duration>) {
        if let Some(outage) = self.health.outage() {
            self.note_failure(asker, &outage.reason, wish);
        }
    }

    fn note_up(&self) {
        if self.health.works() {
            let provider = self.provider();
            tracing::info!(provider, "the embedding provider is available again");
        }
    }
}

/// Waits, unless it is not worth it any more.
fn wait_while(wait: Duration, is_worth_it: &dyn Fn() -> bool) -> Result<(), Failure> {
    let until = Instant::now() + wait;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        if !is_worth_it() {
            return Err(Failure::Interrupted);
        }
        std::thread::sleep(left.min(LOOK_EVERY));
    }
}
