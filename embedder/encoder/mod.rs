//! BERT encoders on the CPU, in eight bits: token ids in, vectors out.

pub mod aligned;
pub mod format;
mod forward;
pub(crate) mod kernels;
pub mod shape;
pub(crate) mod weights;

use std::sync::{Mutex, PoisonError};

use self::forward::Workspace;
use self::kernels::{Kernel, Selected, for_kernel};
use self::weights::OwnedWeights;
use crate::error::EmbedError;
use crate::model::Pooling;

/// Tokens that go through the model together. Enough to read the weights from memory once for several short texts;
/// more would push the activations of one text out of the cache.
const BATCH_TOKENS: usize = 512;

/// A model in memory, with the kernel that computes it.
pub(crate) struct Encoder {
    weights: OwnedWeights,
    pooling: Pooling,
    kernel: Selected,
    /// Workspaces that no call is using, at most as many as calls ever ran at once.
    idle: Mutex<Vec<Workspace>>,
}

impl Encoder {
    /// An encoder with the fastest kernel of this processor.
    pub(crate) fn new(weights: OwnedWeights, pooling: Pooling) -> Self {
        Self {
            weights,
            pooling,
            kernel: Selected::fastest(),
            idle: Mutex::default(),
        }
    }

    pub(crate) fn kernel(&self) -> Kernel {
        self.kernel.kernel()
    }

    pub(crate) fn with_kernel(self, kernel: Kernel) -> Result<Self, EmbedError> {
        Ok(Self {
            kernel: kernel.select()?,
            ..self
        })
    }

    /// Runs the model over the texts in batches of whole texts.
    pub(crate) fn encode(&self, texts: &[Vec<u32>]) -> Vec<Vec<f32>> {
        let weights = self.weights.get();
        // A lock that a panicking thread left behind still holds a list of usable workspaces.
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut space = idle()
            .pop()
            .unwrap_or_else(|| Workspace::new(weights.header.shape));
        let mut vectors = Vec::with_capacity(texts.len());
        let mut rest = texts;
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch_length(rest));
            vectors.extend(for_kernel!(&self.kernel, kernel => {
                forward::encode(kernel, weights, self.pooling, batch, &mut space)
            }));
            rest = after;
        }
        idle().push(space);
        vectors
    }
}

/// How many of the first texts go together: at least one, and no more than `BATCH_TOKENS` tokens.
fn batch_length(texts: &[Vec<u32>]) -> usize {
    let mut tokens = 0;
    let fitting = texts.iter().take_while(|ids| {
        tokens += ids.len();
        tokens <= BATCH_TOKENS
    });
    fitting.count().max(1)
}
