//! The async handle of an instance. Requests use the instance through it, whether or not the instance is open yet.

use std::sync::Arc;
use std::time::Duration;

use autorag_query::{QueryError, QueryErrorKind};
use tokio::sync::{Semaphore, watch};

use crate::error_kind::ErrorKind;
use crate::hint::{Interface, hint, with_hint};
use crate::instance::Instance;

/// How long a request waits for an index that is being opened. That takes milliseconds, unless the lexical index or the vectors
/// have to be rebuilt after a crash.
const OPENING_TIMEOUT: Duration = Duration::from_secs(5);

/// The state of an instance.
#[derive(Clone)]
pub enum InstanceState {
    /// The index is being opened.
    Opening,
    /// The index is open.
    Open(Arc<Instance>),
    /// The index could not be opened, with the reason.
    Failed(Arc<str>),
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// The request is invalid, or the engine failed.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The index is being opened.
    #[error("the index is being opened; try again in a second")]
    Opening,
    /// The index could not be opened.
    #[error("the index could not be opened: {0}")]
    Unavailable(Arc<str>),
    /// The limit of concurrent requests is reached.
    #[error("{limit} requests are in progress, the limit server.max_concurrent; try again shortly")]
    Overloaded {
        /// Maximum number of concurrent requests.
        limit: usize,
    },
    /// The request exceeded its time limit.
    #[error("no response within {} ms, the limit server.timeout_ms", .limit.as_millis())]
    Timeout {
        /// The time limit.
        limit: Duration,
    },
    /// The work panicked.
    #[error("internal error: a panic; see the log of the server")]
    Panicked,
}

impl InstanceError {
    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            InstanceError::Query(error) => kind_of_query(error.kind()),
            InstanceError::Panicked => ErrorKind::Internal,
            InstanceError::Opening => ErrorKind::Opening,
            InstanceError::Unavailable(_) => ErrorKind::Unavailable,
            InstanceError::Overloaded { .. } => ErrorKind::Overloaded,
            InstanceError::Timeout { .. } => ErrorKind::Timeout,
        }
    }

    /// The invalid field of the request.
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
            match hint(self, interface) {
                Some(hint) => format!("{field} {message}; {hint}"),
                None => format!("{field} {message}"),
            }
        } else {
            with_hint(self, interface)
        }
    }
}

fn kind_of_query(kind: QueryErrorKind) -> ErrorKind {
    match kind {
        QueryErrorKind::InvalidRequest => ErrorKind::InvalidRequest,
        QueryErrorKind::NoSuchDocument => ErrorKind::NotFound,
        QueryErrorKind::NotIndexedYet => ErrorKind::NotIndexedYet,
        QueryErrorKind::NoText => ErrorKind::NoText,
        QueryErrorKind::DenseUnavailable => ErrorKind::DenseUnavailable,
        QueryErrorKind::LexicalRebuilding | QueryErrorKind::LexicalDamaged => ErrorKind::LexicalUnavailable,
        QueryErrorKind::InvalidCollection
        | QueryErrorKind::InvalidReranker
        | QueryErrorKind::Store(_)
        | QueryErrorKind::Embed => ErrorKind::Internal,
    }
}

/// Runs requests on an instance. Clones are cheap and share the limit of concurrent requests.
#[derive(Clone)]
pub struct InstanceHandle {
    state: watch::Receiver<InstanceState>,
    permits: Arc<Semaphore>,
    limit: usize,
    timeout: Duration,
}

impl InstanceHandle {
    /// A handle with a maximum of `limit` concurrent requests, each limited to `timeout`.
    pub fn new(state: watch::Receiver<InstanceState>, limit: usize, timeout: Duration) -> InstanceHandle {
        InstanceHandle {
            state,
            permits: Arc::new(Semaphore::new(limit)),
            limit,
            timeout,
        }
    }

    /// The instance, if it is open now.
    ///
    /// # Errors
    /// When the index is being opened, or could not be opened.
    pub fn current(&self) -> Result<Arc<Instance>, InstanceError> {
        match &*self.state.borrow() {
            InstanceState::Opening => Err(InstanceError::Opening),
            InstanceState::Open(instance) => Ok(Arc::clone(instance)),
            InstanceState::Failed(reason) => Err(InstanceError::Unavailable(Arc::clone(reason))),
        }
    }

    /// Runs `work` on the blocking pool.
    ///
    /// The work keeps its permit until it ends, even if the caller has gone: it still uses a thread.
    ///
    /// # Errors
    /// When the work fails, the index is not open, the limit of concurrent requests is reached, or the time limit is exceeded.
    pub async fn run<T, W>(&self, work: W) -> Result<T, InstanceError>
    where
        T: Send + 'static,
        W: FnOnce(&Instance) -> Result<T, QueryError> + Send + 'static,
    {
        let overloaded = |_| InstanceError::Overloaded { limit: self.limit };
        let permit = Arc::clone(&self.permits)
            .try_acquire_owned()
            .map_err(overloaded)?;
        let result = async {
            let instance = self.wait_until_open().await?;
            let task = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                work(&instance)
            });
            task.await
                .map_err(|_| InstanceError::Panicked)?
                .map_err(InstanceError::from)
        };
        tokio::time::timeout(self.timeout, result)
            .await
            .unwrap_or(Err(InstanceError::Timeout { limit: self.timeout }))
    }

    async fn wait_until_open(&self) -> Result<Arc<Instance>, InstanceError> {
        let mut state = self.state.clone();
        let opened = state.wait_for(|state| !matches!(state, InstanceState::Opening));
        // After a timeout, or if the indexer thread is gone, the state itself is the result.
        let _ = tokio::time::timeout(OPENING_TIMEOUT, opened).await;
        self.current()
    }
}
