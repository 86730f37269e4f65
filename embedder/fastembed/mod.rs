//! Embedding models and cross-encoders in ONNX Runtime, through the crate fastembed. The runtime's shared library is loaded at run time.
//!
//! Without the feature `fastembed`, opening a model is an error that says so. Files of fastembed's catalogue are downloaded by our own
//! hub client, so that fastembed does not bring a second one.

#[cfg(feature = "fastembed")]
mod catalogue;
mod cross_encoder;
#[cfg(feature = "fastembed")]
mod engine;
#[cfg(feature = "fastembed")]
mod graph;
mod options;
#[cfg(feature = "fastembed")]
mod runtime;

#[cfg(all(test, feature = "fastembed"))]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]
mod tests;

pub use cross_encoder::{CrossEncoder, CrossEncoderOptions};
#[cfg(feature = "fastembed")]
pub(crate) use engine::open;
pub use options::{FastembedModel, FastembedOptions};

/// The feature's name, for errors in builds without it.
#[cfg(not(feature = "fastembed"))]
const FEATURE: &str = "fastembed";

#[cfg(not(feature = "fastembed"))]
pub(crate) fn open(options: &FastembedOptions) -> Result<crate::Embedder, crate::EmbedError> {
    Err(crate::EmbedError::MissingFeature {
        setting: match options.model {
            FastembedModel::Catalogue { .. } => "model.name",
            FastembedModel::Folder(_) => "model.provider",
        },
        feature: FEATURE,
    })
}
