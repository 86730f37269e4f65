//! Cross-encoders in ONNX Runtime: a query and passages in, scores out.

use std::path::PathBuf;

use super::options::FastembedModel;
use crate::error::EmbedError;

/// A cross-encoder in ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossEncoderOptions {
    /// A reranker of fastembed's catalogue, such as `BGERerankerBase`, or a folder.
    pub model: FastembedModel,
    /// Path of ONNX Runtime's shared library. The default is to search the system's library path.
    pub runtime: Option<PathBuf>,
}

#[cfg(feature = "fastembed")]
impl CrossEncoderOptions {
    /// Checks that the model exists, as far as possible without opening it.
    ///
    /// # Errors
    /// `MissingFeature` in a build without the feature `fastembed`, `Setting` for a name that fastembed does not know,
    /// `UnusableModel` for a folder without a graph.
    pub fn check(&self) -> Result<(), EmbedError> {
        match &self.model {
            FastembedModel::Catalogue { name, .. } => super::catalogue::find_reranker(name).map(drop),
            FastembedModel::Folder(dir) => super::graph::Graph::in_folder(dir).map(drop),
        }
    }
}

#[cfg(feature = "fastembed")]
pub use enabled::CrossEncoder;

#[cfg(feature = "fastembed")]
mod enabled {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::PathBuf;
    use std::sync::{Mutex, PoisonError};

    use fastembed::{RerankInitOptionsUserDefined, TextRerank, UserDefinedRerankingModel};
    use ort::session::builder::AutoDevicePolicy;

    use super::super::graph::Graph;
    use super::super::{catalogue, runtime};
    use super::{CrossEncoderOptions, FastembedModel};
    use crate::error::EmbedError;

    /// Scores how well passages answer a query. The model reads the query and a passage together.
    pub struct CrossEncoder {
        /// A run needs exclusive access, and uses all processors.
        rerank: Mutex<TextRerank>,
        graph: PathBuf,
    }

    impl CrossEncoder {
        /// Opens a model, and downloads a catalogue model unless it is in the cache.
        ///
        /// # Errors
        /// - `MissingFeature` in a build without the feature `fastembed`.
        /// - `OnnxRuntime` if the shared library is missing or unusable.
        /// - `UnusableModel` if a model file is missing or unusable.
        /// - `Hub`, `HubAccessDenied` or `HubUnreachable` if the download failed.
        /// - `Setting` for a name that fastembed does not know.
        pub fn open(options: &CrossEncoderOptions) -> Result<CrossEncoder, EmbedError> {
            // Load the library before a download that would be useless without it.
            let environment = runtime::environment(options.runtime.as_deref())?;
            let graph = match &options.model {
                FastembedModel::Catalogue { name, access } => catalogue::fetch_reranker(name, access)?,
                FastembedModel::Folder(dir) => Graph::in_folder(dir)?,
            };
            let settings = graph.read_settings()?;
            // The graph is passed by path, so that ONNX Runtime finds its external weights.
            let source = UserDefinedRerankingModel::new(graph.model.clone(), settings.tokenizer);
            let init = RerankInitOptionsUserDefined::new()
                .with_environment(environment)
                .with_auto_device(AutoDevicePolicy::PreferCPU)
                .with_max_length(settings.default_max_tokens);
            let unusable = |reason: String| EmbedError::unusable(&graph.model, reason);
            let mut rerank = TextRerank::try_new_from_user_defined(source, init).map_err(|error| {
                unusable(format!("cannot be opened ({error}): download the complete model"))
            })?;
            // Special tokens spelled out in a text are plain text.
            rerank.tokenizer.set_encode_special_tokens(true);
            let opened = CrossEncoder {
                rerank: Mutex::new(rerank),
                graph: graph.model.clone(),
            };
            // fastembed panics if the output has no column of scores.
            catch_unwind(AssertUnwindSafe(|| opened.scores("a", &["b", "c"]))).unwrap_or_else(|_| {
                Err(unusable(
                    "returns no score for each passage: it is not a reranker".into(),
                ))
            })?;
            Ok(opened)
        }

        /// Scores `passages` from 0 to 1, in order, in one run of the graph.
        ///
        /// # Errors
        /// `UnusableModel` if the graph fails or returns no scores.
        pub fn scores(&self, query: &str, passages: &[&str]) -> Result<Vec<f32>, EmbedError> {
            let unusable = |reason: String| EmbedError::unusable(&self.graph, reason);
            let mut rerank = self.rerank.lock().unwrap_or_else(PoisonError::into_inner);
            let results = rerank
                .rerank(query, passages, false, Some(passages.len().max(1)))
                .map_err(|error| unusable(format!("cannot be computed: {error}")))?;
            let mut scores = vec![f32::NAN; passages.len()];
            for result in results {
                if let Some(score) = scores.get_mut(result.index) {
                    // The output is a logit; the sigmoid makes it a probability.
                    *score = 1.0 / (1.0 + (-result.score).exp());
                }
            }
            if scores.iter().all(|score| score.is_finite()) {
                Ok(scores)
            } else {
                Err(unusable(
                    "returns scores that are not finite: download the model again".into(),
                ))
            }
        }
    }
}

/// Cannot be constructed in a build without the feature `fastembed`.
#[cfg(not(feature = "fastembed"))]
#[derive(Debug)]
pub enum CrossEncoder {}

#[cfg(not(feature = "fastembed"))]
impl CrossEncoderOptions {
    /// Fails in this build.
    ///
    /// # Errors
    /// `MissingFeature`, always.
    pub fn check(&self) -> Result<(), EmbedError> {
        Err(missing_feature())
    }
}

#[cfg(not(feature = "fastembed"))]
impl CrossEncoder {
    /// Fails in this build.
    ///
    /// # Errors
    /// `MissingFeature`, always.
    pub fn open(_: &CrossEncoderOptions) -> Result<CrossEncoder, EmbedError> {
        Err(missing_feature())
    }

    /// Unreachable, because this type has no values.
    ///
    /// # Errors
    /// None.
    pub fn scores(&self, _: &str, _: &[&str]) -> Result<Vec<f32>, EmbedError> {
        match *self {}
    }
}

#[cfg(not(feature = "fastembed"))]
fn missing_feature() -> EmbedError {
    EmbedError::MissingFeature {
        setting: "rerank.model",
        feature: super::FEATURE,
    }
}
