//! Which model of the crate fastembed is opened, and how.

use std::path::PathBuf;

use crate::hub::HubAccess;

/// A model that ONNX Runtime computes, and how it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FastembedOptions {
    /// Which.
    pub model: FastembedModel,
    /// The shared library of ONNX Runtime; where the system keeps it if not set.
    pub runtime: Option<PathBuf>,
    /// What to put before a question, in place of what the model's files or its name say.
    pub query_prefix: Option<String>,
    /// What to put before a passage, in place of what the model's files or its name say.
    pub passage_prefix: Option<String>,
    /// Tokens of the longest text, in place of what the model's files say, or of 512 where they allow more.
    pub max_tokens: Option<usize>,
}

#[cfg(not(feature = "fastembed"))]
impl FastembedOptions {
    /// The setting that asked for it.
    pub(crate) fn setting(&self) -> &'static str {
        match self.model {
            FastembedModel::Catalogue { .. } => "model.name",
            FastembedModel::Folder(_) => "model.provider",
        }
    }
}

/// Where a model's ONNX graph and tokenizer come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FastembedModel {
    /// A model of the catalogue of fastembed, downloaded from the hub where it is not there yet.
    Catalogue {
        /// Its name there, such as `BGESmallENV15`; case does not count.
        name: String,
        /// How the hub is reached.
        access: HubAccess,
    },
    /// A folder with `model.onnx`, `tokenizer.json`, `config.json` and `tokenizer_config.json`.
    Folder(PathBuf),
}
