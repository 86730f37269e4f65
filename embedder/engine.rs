//! The trait that separates [`Embedder`](crate::Embedder) from the code that computes vectors.

use std::borrow::Cow;

use crate::encoder::kernels::Kernel;
use crate::error::EmbedError;
use crate::remote::Outage;

/// How long the caller of [`Embedder::embed_each`](crate::Embedder::embed_each) is willing to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Wait and retry as long as it takes.
    Full,
    /// Wait for requests in flight, but do not retry.
    FinishRequests,
    /// Stop now.
    None,
}

/// How many texts and concurrent calls suit a model best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Texts per call.
    pub texts: usize,
    /// Concurrent calls. `None` means one for each CPU core that the caller wants to use.
    pub calls: Option<usize>,
}

/// Receives the index of a text and its vector, or the reason why this text has none.
pub(crate) type Deliver<'a> = dyn FnMut(usize, Result<Vec<f32>, EmbedError>) + 'a;

/// One text with its prefix, in the two forms that engines take. The text fits the model's limit.
pub(crate) struct Input<'a> {
    /// For engines that tokenize on their own.
    pub(crate) text: Cow<'a, str>,
    /// Token ids with the special tokens. For a remote model this is an estimate, of which only the length counts.
    pub(crate) ids: Vec<u32>,
}

/// Computes the vectors of an [`Embedder`](crate::Embedder). All vectors have length one.
pub(crate) trait EmbeddingEngine: Send + Sync {
    /// See [`Embedder::batching`](crate::Embedder::batching).
    fn batching(&self) -> Batching;

    /// Delivers one vector or error for each input. Stops when `patience` ends.
    fn embed_passages(
        &self,
        inputs: Vec<Input<'_>>,
        patience: &dyn Fn() -> Patience,
        deliver: &mut Deliver<'_>,
    ) -> Result<(), EmbedError>;

    /// The vector of one query.
    fn embed_query(&self, input: Input<'_>) -> Result<Vec<f32>, EmbedError>;

    /// The kernel, if this process runs the encoder.
    fn kernel(&self) -> Option<Kernel> {
        None
    }

    /// The base URL of the embedding provider, if there is one.
    fn provider(&self) -> Option<&str> {
        None
    }

    /// The current outage of the embedding provider.
    fn outage(&self) -> Option<Outage> {
        None
    }
}
