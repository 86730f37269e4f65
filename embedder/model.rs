//! The embedding model: where it comes from, and everything its vectors depend on.

use std::path::PathBuf;

use crate::directory::DirectoryOptions;
use crate::fastembed::FastembedOptions;
use crate::hub::{HubAccess, HubModel};
use crate::remote::RemoteOptions;
use crate::words::word_enum;

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ModelSource {
    /// The model that is compiled into the program.
    #[default]
    BuiltIn,
    /// A directory in the sentence-transformers layout.
    Directory {
        /// The folder that holds `config.json` and `model.safetensors`.
        path: PathBuf,
        /// Overrides of the model's own settings.
        options: DirectoryOptions,
    },
    /// An embedding provider over HTTP.
    Remote(RemoteOptions),
    /// A model on the Hugging Face hub, downloaded unless it is in the cache.
    Hub {
        /// Name and revision on the hub.
        model: HubModel,
        /// Endpoint, token and cache folder.
        access: HubAccess,
        /// Overrides of the model's own settings.
        options: DirectoryOptions,
    },
    /// A graph in ONNX Runtime. Needs the feature `fastembed`.
    Fastembed(FastembedOptions),
}

impl ModelSource {
    /// The name of the built-in model.
    pub const BUILT_IN: &str = "all-MiniLM-L6-v2";
}

/// The model that made a vector. Vectors of different models or versions are not comparable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// The model's name, such as `all-MiniLM-L6-v2`.
    pub id: String,
    /// Changes with everything that vectors depend on: weights, vocabulary, pooling, prefixes, token limit.
    pub version: String,
    /// Length of every vector.
    pub dimensions: usize,
    /// Tokens of the longest text, including special tokens and prefix.
    pub max_tokens: usize,
    /// How token vectors become one vector, if known.
    pub pooling: Option<Pooling>,
    /// Text that the model expects before a query; often empty.
    pub query_prefix: String,
    /// Text that the model expects before a passage; often empty.
    pub passage_prefix: String,
}

word_enum! {
    /// How the vectors of a text's tokens become the text's vector. The words are those of sentence-transformers.
    pub enum Pooling {
        /// The mean (Sentence-BERT, Reimers and Gurevych, 2019, <https://arxiv.org/abs/1908.10084>).
        Mean = "mean",
        /// The vector of the first token, which precedes every text.
        First = "cls",
    }
}
