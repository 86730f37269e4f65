//! The corpus as async callers meet it: perhaps still opening, asked through a bounded blocking pool.

use std::sync::Arc;
use std::time::Duration;

use autorag_query::QueryError;
use tokio::sync::{Semaphore, watch};

use crate::corpus::Corpus;

/// How long a request waits for an index that is still opening. Opening takes milliseconds, but after a crash the
/// lexical index or the vectors may have to be rebuilt.
const OPENING_PATIENCE: Duration = Duration::from_secs(5);

/// Where the opening of the index stands.
#[derive(Clone)]
pub enum Opening {
    /// Under way.
    Pending,
    /// Done.
    Open(Arc<Corpus>),
    /// Given up, with the reason.
    Failed(Arc<str>),
}

/// A request that got no answer.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The query layer refused it or failed.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The index is not open yet.
    #[error("the index is still being opened; ask again in a second")]
    Opening,
    /// The index could not be opened.
    #[error("the index could not be opened: {0}")]
    Unavailable(Arc<str>),
    /// As many requests as are allowed are being worked on.
    #[error(
        "{limit} requests are being worked on already; ask again shortly (server.max_concurrent sets how many)"
    )]
    Overloaded {
        /// How many are allowed.
        limit: usize,
    },
    /// It took too long.
    #[error("no answer within {} ms (server.timeout_ms sets the limit)", .limit.as_millis())]
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// The work panicked.
    #[error("this request met a bug; the log has the details")]
    Panicked,
}

impl ServiceError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            ServiceError::Query(QueryError::Invalid { .. }) => "invalid_request",
            ServiceError::Query(QueryError::NoSuchDocument { .. }) => "not_found",
            ServiceError::Query(QueryError::NotIndexedYet { .. }) => "not_indexed_yet",
            ServiceError::Query(QueryError::NoText { .. }) => "no_text",
            ServiceError::Query(QueryError::DenseUnavailable { .. }) => "dense_unavailable",
            ServiceError::Query(QueryError::LexicalUnavailable { .. }) => "lexical_unavailable",
            ServiceError::Query(_) | ServiceError::Panicked => "internal",
            ServiceError::Opening => "opening",
            ServiceError::Unavailable(_) => "unavailable",
            ServiceError::Overloaded { .. } => "overloaded",
            ServiceError::Timeout { .. } => "timeout",
        }
    }

    /// The field of the request that is to blame.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            ServiceError::Query(QueryError::Invalid { field, .. }) => Some(field),
            _ => None,
        }
    }

    /// What to say, without the field's name, which travels beside it.
    pub fn message(&self) -> String {
        match self {
            ServiceError::Query(QueryError::Invalid { field, message }) => format!("{field} {message}"),
            other => other.to_string(),
        }
    }
}

/// Asks a corpus. Cheap to clone; clones share the limit.
#[derive(Clone)]
pub struct Service {
    opening: watch::Receiver<Opening>,
    permits: Arc<Semaphore>,
    limit: usize,
    timeout: Duration,
}

impl Service {
    /// At most `limit` requests at once, each for at most `timeout`.
    pub fn new(opening: watch::Receiver<Opening>, limit: usize, timeout: Duration) -> Service {
        Service {
            opening,
            permits: Arc::new(Semaphore::new(limit)),
            limit,
            timeout,
        }
    }

    /// The corpus, if it is open at this moment.
    pub fn corpus_now(&self) -> Result<Arc<Corpus>, ServiceError> {
        match &*self.opening.borrow() {
            Opening::Pending => Err(ServiceError::Opening),
            Opening::Open(corpus) => Ok(Arc::clone(corpus)),
            Opening::Failed(reason) => Err(ServiceError::Unavailable(Arc::clone(reason))),
        }
    }

    /// Runs `work` on the blocking pool. The permit goes with the work, so that work whose asker has given up still
    /// counts until it ends.
    ///
    /// # Errors
    /// As `work` says, or when the index is not open, too much is going on or the time is up.
    pub async fn ask<T, W>(&self, work: W) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        W: FnOnce(&Corpus) -> Result<T, QueryError> + Send + 'static,
    {
        let overloaded = |_| ServiceError::Overloaded { limit: self.limit };
        let permit = Arc::clone(&self.permits)
            .try_acquire_owned()
            .map_err(overloaded)?;
        let answer = async {
            let corpus = self.corpus().await?;
            let task = tokio::task::spawn_blocking(move || {
                let _held = permit;
                work(&corpus)
            });
            task.await
                .map_err(|_| ServiceError::Panicked)?
                .map_err(ServiceError::from)
        };
        tokio::time::timeout(self.timeout, answer)
            .await
            .unwrap_or(Err(ServiceError::Timeout { limit: self.timeout }))
    }

    async fn corpus(&self) -> Result<Arc<Corpus>, ServiceError> {
        let mut opening = self.opening.clone();
        let opened = opening.wait_for(|state| !matches!(state, Opening::Pending));
        // Either way the state itself says what to answer.
        let _ = tokio::time::timeout(OPENING_PATIENCE, opened).await;
        self.corpus_now()
    }
}
