//! Options of a model in ONNX Runtime.

use std::path::PathBuf;

use crate::hub::HubAccess;

/// An embedding model in ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FastembedOptions {
    /// Where the graph comes from.
    pub model: FastembedModel,
    /// Path of ONNX Runtime's shared library. By default the system's library search path is used.
    pub runtime: Option<PathBuf>,
    /// Text before each query. By default from the model's files, otherwise from its name.
    pub query_prefix: Option<String>,
    /// Text before each passage. By default from the model's files, otherwise from its name.
    pub passage_prefix: Option<String>,
    /// Tokens of the longest text. By default the model's own limit, but at most 512 unless its files say more.
    pub max_tokens: Option<usize>,
}

/// Where an ONNX graph and its tokenizer come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FastembedModel {
    /// A model of fastembed's catalogue, downloaded from the hub unless it is in the cache.
    Catalogue {
        /// Its name in the catalogue, such as `BGESmallENV15`. Case does not matter.
        name: String,
        /// Endpoint, token and cache folder of the hub.
        access: HubAccess,
    },
    /// A folder with `model.onnx`, `tokenizer.json`, `config.json` and `tokenizer_config.json`.
    Folder(PathBuf),
}
