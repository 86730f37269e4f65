//! Embedding models that the crate fastembed knows or takes, computed by ONNX Runtime, whose library is loaded when the program runs.
//!
//! Part of the program with the feature `fastembed` only; without it, the options lead to an error that says so. The files of the
//! catalogue are downloaded by our own client of the hub, so that fastembed brings no second one.

#[cfg(feature = "fastembed")]
mod catalogue;
mod cross_encoder;
#[cfg(feature = "fastembed")]
mod engine;
#[cfg(feature = "fastembed")]
mod folder;
mod options;
#[cfg(feature = "fastembed")]
mod runtime;

#[cfg(all(test, feature = "fastembed"))]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]
mod tests;

pub use cross_encoder::{CrossEncoder, CrossEncoderOptions};
#[cfg(feature = "fastembed")]
pub(crate) use engine::{Fastembed, open};
pub use options::{FastembedModel, FastembedOptions};
