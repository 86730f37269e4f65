//! The instance as async callers meet it: perhaps still opening, asked through a bounded blocking pool.

use std::sync::Arc;
use std::time::Duration;

use autorag_query::QueryError;
use tokio::sync::{Semaphore, watch};

use crate::error_kind::ErrorKind;
use crate::hint::{Interface, with_hint};
use crate::instance::Instance;

/// How long a request waits for an index that is still opening. Opening takes milliseconds, but after a crash the
/// lexical index or the vectors may have to be rebuilt.
const OPENING_PATIENCE: Duration = Duration::from_secs(5);

/// Where the opening of the index stands.
#[derive(Clone)]
pub enum InstanceState {
    /// Under way.
    Opening,
    /// Done.
    Open(Arc<Instance>),
    /// Given up, with the reason.
    Failed(Arc<str>),
}

/// A request that got no answer.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
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

impl InstanceError {
    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            InstanceError::Query(QueryError::Invalid { .. }) => ErrorKind::InvalidRequest,
            InstanceError::Query(QueryError::NoSuchDocument { .. }) => ErrorKind::NotFound,
            InstanceError::Query(QueryError::NotIndexedYet { .. }) => ErrorKind::NotIndexedYet,
            InstanceError::Query(QueryError::NoText { .. }) => ErrorKind::NoText,
            InstanceError::Query(QueryError::DenseUnavailable { .. }) => ErrorKind::DenseUnavailable,
            InstanceError::Query(QueryError::LexicalUnavailable { .. }) => ErrorKind::LexicalUnavailable,
            InstanceError::Query(_) | InstanceError::Panicked => ErrorKind::Internal,
            InstanceError::Opening => ErrorKind::Opening,
            InstanceError::Unavailable(_) => ErrorKind::Unavailable,
            InstanceError::Overloaded { .. } => ErrorKind::Overloaded,
            InstanceError::Timeout { .. } => ErrorKind::Timeout,
        }
    }

    /// The field of the request that is to blame.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            InstanceError::Query(QueryError::Invalid { field, .. }) => Some(field),
            _ => None,
        }
    }

    /// The error with its causes and a hint for readers of `interface`.
    pub fn message(&self, interface: Interface) -> String {
        if let InstanceError::Query(QueryError::Invalid { field, message }) = self {
            // Display puts a colon between the two; here they form a sentence.
            format!("{field} {message}")
        } else {
            with_hint(self, interface)
        }
    }
}

/// Asks a instance. Cheap to clone; clones share the limit.
#[derive(Clone)]
pub struct InstanceHandle {
    opening: watch::Receiver<InstanceState>,
    permits: Arc<Semaphore>,
    limit: usize,
    timeout: Duration,
}

impl InstanceHandle {
    /// At most `limit` requests at once, each for at most `timeout`.
    pub fn new(opening: watch::Receiver<InstanceState>, limit: usize, timeout: Duration) -> InstanceHandle {
        InstanceHandle {
            opening,
            permits: Arc::new(Semaphore::new(limit)),
            limit,
            timeout,
        }
    }

    /// The instance, if it is open at this moment.
    pub fn current(&self) -> Result<Arc<Instance>, InstanceError> {
        match &*self.opening.borrow() {
            InstanceState::Opening => Err(InstanceError::Opening),
            InstanceState::Open(instance) => Ok(Arc::clone(instance)),
            InstanceState::Failed(reason) => Err(InstanceError::Unavailable(Arc::clone(reason))),
        }
    }

    /// Runs `work` on the blocking pool. The permit goes with the work, so that work whose asker has given up still
    /// counts until it ends.
    ///
    /// # Errors
    /// As `work` says, or when the index is not open, too much is going on or the time is up.
    pub async fn run<T, W>(&self, work: W) -> Result<T, InstanceError>
    where
        T: Send + 'static,
        W: FnOnce(&Instance) -> Result<T, QueryError> + Send + 'static,
    {
        let overloaded = |_| InstanceError::Overloaded { limit: self.limit };
        let permit = Arc::clone(&self.permits)
            .try_acquire_owned()
            .map_err(overloaded)?;
        let answer = async {
            let instance = self.open().await?;
            let task = tokio::task::spawn_blocking(move || {
                let _held = permit;
                work(&instance)
            });
            task.await
                .map_err(|_| InstanceError::Panicked)?
                .map_err(InstanceError::from)
        };
        tokio::time::timeout(self.timeout, answer)
            .await
            .unwrap_or(Err(InstanceError::Timeout { limit: self.timeout }))
    }

    async fn open(&self) -> Result<Arc<Instance>, InstanceError> {
        let mut opening = self.opening.clone();
        let opened = opening.wait_for(|state| !matches!(state, InstanceState::Opening));
        // Either way the state itself says what to answer.
        let _ = tokio::time::timeout(OPENING_PATIENCE, opened).await;
        self.current()
    }
}
