//! Errors of this crate.

use std::path::{Path, PathBuf};

use crate::encoder::kernels::Kernel;

/// A model could not be opened, or texts could not be embedded.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmbedError {
    /// A text exceeds the model's limit. Passages are never cut silently: the caller splits the text first.
    #[error(
        "text {index} has {tokens} tokens, but the model reads only {limit}: split it into shorter passages"
    )]
    TextTooLong {
        /// Index of the text in the slice given to [`Embedder::embed`](crate::Embedder::embed).
        index: usize,
        /// Tokens of the text, with the special tokens.
        tokens: usize,
        /// The model's limit, with the special tokens.
        limit: usize,
    },

    /// This processor lacks the instructions of the requested kernel.
    #[error(
        "this processor cannot run the {kernel} kernel: choose another one; {} always works",
        Kernel::Portable
    )]
    KernelUnavailable {
        /// The requested kernel.
        kernel: Kernel,
    },

    /// A model file is missing, corrupt, or of an unsupported kind.
    #[error("{} {reason}", .path.display())]
    UnusableModel {
        /// The offending file or folder.
        path: PathBuf,
        /// The problem and what to do. Continues a sentence whose subject is the path.
        reason: String,
    },

    /// The shared library of ONNX Runtime is missing or cannot be loaded.
    #[error("{} {reason}", .library.display())]
    OnnxRuntime {
        /// Path or file name of the library.
        library: PathBuf,
        /// The problem and what to do. Continues a sentence whose subject is the library.
        reason: String,
    },

    /// This build lacks the Cargo feature that a model needs.
    #[error("{setting}: this build does not include the feature `{feature}`")]
    MissingFeature {
        /// The setting that chose the model, such as `model.name`.
        setting: &'static str,
        /// The Cargo feature.
        feature: &'static str,
    },

    /// A model on the hub cannot be used, or its download failed.
    #[error("model {model}: {reason}")]
    Hub {
        /// The model's name on the hub.
        model: String,
        /// The problem and what to do.
        reason: String,
    },

    /// The hub does not show a model to this caller: it does not exist, or needs an access token.
    #[error("model {model}: the hub answered {status}: no such model, or it needs an access token")]
    HubAccessDenied {
        /// The model's name on the hub.
        model: String,
        /// HTTP status, 401 or 403.
        status: u16,
    },

    /// The hub cannot be reached.
    #[error("model {model}: cannot reach the hub ({reason}): go online to download the model")]
    HubUnreachable {
        /// The model's name on the hub.
        model: String,
        /// The network error.
        reason: String,
    },

    /// The packed weights or the vocabulary are not in the format that this program reads.
    #[error("the built-in model cannot be read: {reason}; rebuild the program with matching weights")]
    MalformedModel {
        /// The first mismatch.
        reason: &'static str,
    },

    /// A setting of a model is invalid.
    #[error("{setting}: {message}")]
    Setting {
        /// The setting's name, such as `model.base_url`.
        setting: &'static str,
        /// The problem and what to do.
        message: String,
    },

    /// The embedding provider is unreachable, too slow or overloaded. A later request may succeed.
    #[error("the embedding provider at {provider} is not available: {reason}")]
    Unavailable {
        /// Base URL.
        provider: String,
        /// The failure.
        reason: String,
    },

    /// The embedding provider refuses the request, for example because of a wrong key or an unknown model.
    #[error("the embedding provider at {provider} answered {status}: {message}")]
    Refused {
        /// Base URL.
        provider: String,
        /// HTTP status.
        status: u16,
        /// The provider's message, with texts and key redacted.
        message: String,
    },

    /// The embedding provider's response does not hold the requested vectors.
    #[error("the embedding provider at {provider} returned no usable vectors: {reason}")]
    InvalidResponse {
        /// Base URL.
        provider: String,
        /// The first problem in the response.
        reason: String,
    },

    /// The embedding provider accepts other texts, but refuses this one.
    #[error("the embedding provider at {provider} refused a text: {reason}")]
    TextRefused {
        /// Base URL.
        provider: String,
        /// The provider's message, with the text redacted.
        reason: String,
    },

    /// The caller's [`Patience`](crate::Patience) ended.
    #[error("embedding was interrupted")]
    Interrupted,
}

impl EmbedError {
    /// True if the embedding provider failed: a later attempt may succeed without any change here.
    pub fn is_provider_failure(&self) -> bool {
        use EmbedError::{InvalidResponse, Refused, TextRefused, Unavailable};
        matches!(
            self,
            Unavailable { .. } | Refused { .. } | InvalidResponse { .. } | TextRefused { .. }
        )
    }

    /// The failure without the provider's address.
    pub(crate) fn reason(&self) -> String {
        match self {
            EmbedError::Unavailable { reason, .. }
            | EmbedError::InvalidResponse { reason, .. }
            | EmbedError::TextRefused { reason, .. } => reason.clone(),
            EmbedError::Refused { status, message, .. } => format!("it answered {status}: {message}"),
            other => other.to_string(),
        }
    }

    /// `UnusableModel` with a problem of `path`.
    pub(crate) fn unusable(path: &Path, reason: impl Into<String>) -> Self {
        Self::UnusableModel {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
