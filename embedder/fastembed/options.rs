//! Options of a model in ONNX Runtime.

use std::path::PathBuf;

use crate::hub::HubAccess;

/// An embedding model in ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FastembedOptions {
    /// Where the graph comes from.
    pub model: FastembedModel,
    /// Path of ONNX Runtime's shared library. The default is to search the system's library path.
    pub runtime: Option<PathBuf>,
    /// Text before each query. The default comes from the model's files, or else from a table of well-known models.
    pub query_prefix: Option<String>,
    /// Text before each passage. The default comes from the model's files, or else from a table of well-known models.
    pub passage_prefix: Option<String>,
    /// Token limit of a text. The default is `max_seq_length` in `sentence_bert_config.json`, or else 512, but at most what the
    /// model can read.
    pub max_tokens: Option<usize>,
}

/// Where an ONNX graph and its tokenizer come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FastembedModel {
    /// A model of fastembed's catalogue, downloaded from the hub unless it is in the cache.
    Catalogue {
        /// The name in the catalogue, such as `BGESmallENV15`. Case does not matter.
        name: String,
        /// Endpoint, token and cache folder of the hub.
        access: HubAccess,
    },
    /// A folder with `model.onnx`, `tokenizer.json`, `config.json` and `tokenizer_config.json`.
    Folder(PathBuf),
}
