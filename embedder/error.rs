//! What can go wrong when embedding.

use std::path::{Path, PathBuf};

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

    /// A model's file that is missing, damaged, or of a kind that this program does not run.
    #[error("{} {reason}", .path.display())]
    UnusableModel {
        /// The file or folder that is to blame.
        path: PathBuf,
        /// What is wrong with it and what to do.
        reason: String,
    },

    /// A model of the hub that cannot be had.
    #[error("the model {model}: {reason}")]
    Hub {
        /// Its name.
        model: String,
        /// What is wrong and what to do.
        reason: String,
    },

    /// The packed weights or the vocabulary do not have the form this program reads.
    #[error("the built-in model cannot be read ({reason}): pack it again with pack-model and rebuild")]
    MalformedModel {
        /// What was found wrong.
        reason: &'static str,
    },

    /// A setting of a model that cannot be used.
    #[error("{setting}: {message}")]
    Setting {
        /// Its name, such as `model.base_url`.
        setting: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },

    /// The provider of a remote model cannot be reached, or not in time, or is overloaded. Later it may answer.
    #[error("the embedding provider at {provider} is not available: {reason}")]
    Unavailable {
        /// Its address.
        provider: String,
        /// What went wrong.
        reason: String,
    },

    /// The provider of a remote model refuses what it is asked: a wrong key, an unknown model.
    #[error("the embedding provider at {provider} answers {status}: {message}")]
    Refused {
        /// Its address.
        provider: String,
        /// Status of HTTP.
        status: u16,
        /// What it says, without anything of the texts or the key.
        message: String,
    },

    /// The provider of a remote model answers with something else than the vectors asked for.
    #[error("the embedding provider at {provider} gives no usable vectors: {reason}")]
    BadAnswer {
        /// Its address.
        provider: String,
        /// What is wrong with them.
        reason: String,
    },

    /// The provider of a remote model takes other texts, but not this one.
    #[error("the embedding provider at {provider} does not take a text: {reason}")]
    TextRefused {
        /// Its address.
        provider: String,
        /// What it says, without anything of the text.
        reason: String,
    },

    /// The caller did not want to wait any longer.
    #[error("embedding was interrupted")]
    Interrupted,
}

impl EmbedError {
    /// Whether it is a remote model's provider that failed: nothing is wrong here, and later it may work.
    pub fn is_of_provider(&self) -> bool {
        use EmbedError::{BadAnswer, Refused, TextRefused, Unavailable};
        matches!(
            self,
            Unavailable { .. } | Refused { .. } | BadAnswer { .. } | TextRefused { .. }
        )
    }

    /// What is wrong, without the address.
    pub(crate) fn reason(&self) -> String {
        match self {
            EmbedError::Unavailable { reason, .. }
            | EmbedError::BadAnswer { reason, .. }
            | EmbedError::TextRefused { reason, .. } => reason.clone(),
            EmbedError::Refused { status, message, .. } => format!("it answers {status}: {message}"),
            other => other.to_string(),
        }
    }
}

impl EmbedError {
    /// `UnusableModel`, for what is wrong with `path`.
    pub(crate) fn unusable(path: &Path, reason: impl Into<String>) -> Self {
        Self::UnusableModel {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
