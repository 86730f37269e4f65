//! What can go wrong when embedding.

use crate::encoder::kernels::Kernel;

/// An error of the embedder.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmbedError {
    /// A text is longer than the model reads. Nothing is cut in silence: the caller divides the text first.
    #[error(
        "text {index} has {tokens} tokens and the model reads {limit}: divide it into shorter passages first"
    )]
    TextTooLong {
        /// Place of the text in the slice given to [`Embedder::embed`](crate::Embedder::embed).
        index: usize,
        /// Tokens of the text, with the two special ones.
        tokens: usize,
        /// Tokens the model reads, with the two special ones.
        limit: usize,
    },

    /// The kernel asked for needs instructions that this processor lacks.
    #[error(
        "this processor cannot run the {kernel} kernel: choose another one, {} always works",
        Kernel::Portable
    )]
    KernelUnavailable {
        /// The kernel asked for.
        kernel: Kernel,
    },

    /// The packed weights or the vocabulary do not have the form this program reads.
    #[error("the built-in model cannot be read ({reason}): pack it again with pack-model and rebuild")]
    MalformedModel {
        /// What was found wrong.
        reason: &'static str,
    },
}
