//! Sentence embeddings: on the CPU with the model all-MiniLM-L6-v2, built in, or any other BERT-shaped encoder, and its tokenizer;
//! or by another process, over HTTP.
//!
//! ```
//! let embedder = autorag_embedder::Embedder::built_in()?;
//! let vectors = embedder.embed(&["The cat sits outside.", "A feline rests in the garden."])?;
//! let cosine: f32 = vectors[0].iter().zip(&vectors[1]).map(|(a, b)| a * b).sum();
//! assert!(cosine > 0.5);
//! # Ok::<(), autorag_embedder::EmbedError>(())
//! ```
//!
//! # How it is built
//! - [`Tokenizer`]: text to tokens.
//! - `format`, `weights`: the packed int8 weights and the view of them that the encoder uses in place.
//! - `forward`: the encoder as the papers have it, over the `Arithmetic` of one of the `kernels`.
//! - `hub`: a model's files, downloaded when someone names one.
//! - `directory`: a published model's files, read, checked and packed.
//! - `pack`: weights of 32 or 16 bits to packed ones. `pack-model` (feature `pack`) makes those of the built-in model with it.
//! - `fastembed`: graphs in ONNX Runtime, by way of the crate of that name (feature `fastembed`).
//! - `remote`: requests to a provider in the form of OpenAI, in batches, again where that helps, and not while it is down.
//!
//! # Invariants
//! - A text's vector depends on the text and the kernel alone, never on what is embedded with it: activations are
//!   quantised per token and every sum is made in one order.
//! - Kernels differ in rounding, not in method: an index may be built with one and asked with another.

mod directory;
mod embedder;
#[cfg(feature = "pack")]
pub mod encoder;
#[cfg(not(feature = "pack"))]
mod encoder;
mod error;
mod fastembed;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod golden;
pub mod http;
mod hub;
mod model;
#[cfg(feature = "pack")]
pub mod pack;
#[cfg(not(feature = "pack"))]
mod pack;
mod remote;
#[cfg(all(test, feature = "fastembed"))]
#[allow(clippy::unwrap_used)]
#[path = "golden/tiny_graph.rs"]
mod tiny_graph;
#[cfg(test)]
#[path = "golden/tiny_model.rs"]
mod tiny_model;
#[cfg(test)]
#[path = "golden/tiny_tests.rs"]
mod tiny_tests;
mod tokenizer;

pub use directory::DirectoryOptions;
pub use embedder::{Batching, Embedder, Patience, QueryEmbedding};
pub use encoder::kernels::Kernel;
pub use error::EmbedError;
pub use fastembed::{CrossEncoder, CrossEncoderOptions, FastembedModel, FastembedOptions};
pub use golden::{ReferenceVector, reference_vectors};
pub use hub::{HUB_ENDPOINT, HubAccess, HubModel};
pub use model::{ModelInfo, ModelSource, Pooling};
pub use remote::{Key, Outage, RemoteOptions};
pub use tokenizer::Tokenizer;
