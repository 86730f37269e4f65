//! What is known of a model: everything that a vector depends on.

use std::fmt;
use std::path::PathBuf;

use crate::directory::DirectoryOptions;
use crate::fastembed::FastembedOptions;
use crate::hub::{HubAccess, HubModel};
use crate::remote::RemoteOptions;

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ModelSource {
    /// It is part of the program.
    #[default]
    BuiltIn,
    /// A directory in the layout of sentence-transformers.
    Directory {
        /// The folder that holds `config.json` and `model.safetensors`.
        path: PathBuf,
        /// How it is opened.
        options: DirectoryOptions,
    },
    /// Another process computes it, over HTTP.
    Remote(RemoteOptions),
    /// A model of the hub, downloaded where it is not there yet.
    Hub {
        /// Which.
        model: HubModel,
        /// How the hub is reached.
        access: HubAccess,
        /// How it is opened.
        options: DirectoryOptions,
    },
    /// ONNX Runtime computes it. Only a program that is built with the feature `fastembed` can open it.
    Fastembed(FastembedOptions),
}

impl ModelSource {
    /// The name of the model that is part of the program.
    pub const BUILT_IN: &str = "all-MiniLM-L6-v2";
}

/// Which model made a vector. Vectors of different models or versions cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// The name of the model, such as `all-MiniLM-L6-v2`.
    pub id: String,
    /// Changes whenever anything changes that vectors are made of: weights, vocabulary, pooling, prefixes.
    pub version: String,
    /// Length of every vector.
    pub dimensions: usize,
    /// Tokens of the longest text, with the special ones and the prefix that are added to each text.
    pub max_tokens: usize,
    /// How the vectors of tokens become one, where that is known.
    pub pooling: Option<Pooling>,
    /// What the model was trained to see before a question; often nothing.
    pub query_prefix: String,
    /// What the model was trained to see before a passage; often nothing.
    pub passage_prefix: String,
}

/// How the vectors of a text's tokens become the text's vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// Their mean (Sentence-BERT, Reimers and Gurevych, 2019, <https://arxiv.org/abs/1908.10084>).
    Mean,
    /// The vector of the first token, which stands before every text.
    First,
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pooling::Mean => "mean",
            Pooling::First => "cls",
        })
    }
}
