//! BERT encoders in int8 on the CPU: token ids in, vectors out.

pub mod aligned;
pub mod format;
mod forward;
pub(crate) mod kernels;
pub mod shape;
pub(crate) mod weights;

use std::sync::{Mutex, PoisonError};

use self::forward::Workspace;
use self::kernels::{DetectedKernel, Kernel, for_kernel};
use self::weights::OwnedWeights;
use crate::engine::{Batching, Deliver, EmbeddingEngine, Input, Patience};
use crate::error::EmbedError;
use crate::model::Pooling;

/// Texts per call. Few, because a caller can stop only between two calls.
const CALL_TEXTS: usize = 16;

/// Tokens that pass through the model together. Enough to read the weights from memory once for several short texts;
/// more would push the activations of one text out of the cache.
const BATCH_TOKENS: usize = 512;

/// A model in memory, with the kernel that runs it.
pub(crate) struct Encoder {
    weights: OwnedWeights,
    pooling: Pooling,
    kernel: DetectedKernel,
    /// Workspaces that no call uses now. There are at most as many as calls ever ran at once.
    idle: Mutex<Vec<Workspace>>,
}

impl Encoder {
    pub(crate) fn new(weights: OwnedWeights, pooling: Pooling, kernel: DetectedKernel) -> Self {
        Self {
            weights,
            pooling,
            kernel,
            idle: Mutex::default(),
        }
    }

    /// Runs the model over the texts in batches of whole texts.
    pub(crate) fn encode(&self, texts: &[Vec<u32>]) -> Vec<Vec<f32>> {
        let weights = self.weights.get();
        // If a thread panicked with the lock, the list still holds usable workspaces.
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut space = idle()
            .pop()
            .unwrap_or_else(|| Workspace::new(weights.header.shape));
        let mut vectors = Vec::with_capacity(texts.len());
        let mut remaining = texts;
        while !remaining.is_empty() {
            let (batch, after) = remaining.split_at(batch_length(remaining));
            vectors.extend(for_kernel!(&self.kernel, kernel => {
                forward::encode(kernel, weights, self.pooling, batch, &mut space)
            }));
            remaining = after;
        }
        idle().push(space);
        vectors
    }
}

impl EmbeddingEngine for Encoder {
    fn batching(&self) -> Batching {
        Batching {
            texts: CALL_TEXTS,
            calls: None,
        }
    }

    fn embed_passages(
        &self,
        inputs: Vec<Input<'_>>,
        _: &dyn Fn() -> Patience,
        deliver: &mut Deliver<'_>,
    ) -> Result<(), EmbedError> {
        let ids: Vec<Vec<u32>> = inputs.into_iter().map(|input| input.ids).collect();
        for (index, vector) in self.encode(&ids).into_iter().enumerate() {
            deliver(index, Ok(vector));
        }
        Ok(())
    }

    fn embed_query(&self, input: Input<'_>) -> Result<Vec<f32>, EmbedError> {
        Ok(self.encode(&[input.ids]).swap_remove(0))
    }

    fn kernel(&self) -> Option<Kernel> {
        Some(self.kernel.kernel())
    }
}

/// Number of leading texts in the next batch: as many as fit into `BATCH_TOKENS`, but at least one.
fn batch_length(texts: &[Vec<u32>]) -> usize {
    let mut tokens = 0;
    let fitting = texts.iter().take_while(|ids| {
        tokens += ids.len();
        tokens <= BATCH_TOKENS
    });
    fitting.count().max(1)
}
