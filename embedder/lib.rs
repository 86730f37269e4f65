//! Sentence embeddings. Vectors are computed on the CPU with the built-in model all-MiniLM-L6-v2 or another BERT-shaped encoder,
//! by ONNX Runtime, or by an embedding provider over HTTP.
//!
//! ```
//! use autorag_embedder::{EmbedError, Embedder};
//!
//! let embedder = Embedder::built_in()?;
//! let passages = embedder.embed(&["Replace the failed disk.", "The cat sleeps in the garden."])?;
//! let query = embedder.embed_query("how do I swap a broken drive")?;
//! assert!(!query.truncated);
//!
//! // All vectors have length one, so the dot product is the cosine.
//! let score = |passage: &[f32]| -> f32 { passage.iter().zip(&query.vector).map(|(a, b)| a * b).sum() };
//! assert!(score(&passages[0]) > score(&passages[1]));
//! # Ok::<(), EmbedError>(())
//! ```
//!
//! # Modules
//! - [`Tokenizer`]: splits text into tokens.
//! - `engine`: the trait behind [`Embedder`], with one implementation for each of the three kinds of models.
//! - `encoder`: the int8 encoder. `format` and `weights` describe the packed weights and read them in place. `forward` runs the
//!   model with the `Arithmetic` of one of the `kernels`.
//! - `hub`: downloads models from the Hugging Face hub.
//! - `directory`: reads, checks and packs a published model.
//! - `pack`: quantizes f32, f16 and bf16 weights. `pack-model` (feature `pack`) uses it to make the weights of the built-in model.
//! - `fastembed`: runs ONNX graphs in ONNX Runtime through the crate of that name (feature `fastembed`).
//! - `remote`: calls a provider's OpenAI-compatible API, with batches, retries and a circuit breaker.
//!
//! # Invariants
//! - A text's vector depends only on the text and the kernel, never on the other texts of the batch: activations are quantized
//!   per token, and every sum has a fixed order.
//! - Kernels share one method and differ only in rounding. An index built with one kernel can be searched with another.

mod directory;
mod embedder;
#[cfg(feature = "pack")]
pub mod encoder;
#[cfg(not(feature = "pack"))]
mod encoder;
mod engine;
mod error;
mod fastembed;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
#[cfg(any(test, feature = "check-kernels"))]
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
mod words;

pub use directory::DirectoryOptions;
pub use embedder::{Embedder, QueryEmbedding};
pub use encoder::kernels::Kernel;
pub use engine::{Batching, Patience};
pub use error::EmbedError;
pub use fastembed::{CrossEncoder, CrossEncoderOptions, FastembedModel, FastembedOptions};
#[cfg(feature = "check-kernels")]
pub use golden::{ReferenceVector, reference_vectors};
pub use hub::{HUB_ENDPOINT, HubAccess, HubModel};
pub use model::{ModelInfo, ModelSource, Pooling};
pub use remote::{Key, Outage, RemoteOptions};
pub use tokenizer::Tokenizer;
pub use words::UnknownWord;
