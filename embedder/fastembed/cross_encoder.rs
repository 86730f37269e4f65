//! A cross-encoder in ONNX Runtime: a question and passages in, scores out.

use std::path::PathBuf;

use super::options::FastembedModel;
use crate::error::EmbedError;

/// A cross-encoder that ONNX Runtime computes, and how it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossEncoderOptions {
    /// Which: of the catalogue of fastembed, such as `BGERerankerBase`, or of a folder.
    pub model: FastembedModel,
    /// The shared library of ONNX Runtime; where the system keeps it if not set.
    pub runtime: Option<PathBuf>,
}

impl CrossEncoderOptions {
    /// Whether there is such a model, so far as can be said without opening it.
    ///
    /// # Errors
    /// `Setting` for a name that is not in the catalogue, and always where the program was built without the feature `fastembed`;
    /// `UnusableModel` for a folder without a graph.
    #[cfg(feature = "fastembed")]
    pub fn check(&self) -> Result<(), EmbedError> {
        match &self.model {
            FastembedModel::Catalogue { name, .. } => super::catalogue::reranker(name).map(drop),
            FastembedModel::Folder(dir) => super::folder::Graph::of(dir).map(drop),
        }
    }

    /// Says that this program was built without the feature `fastembed`.
    ///
    /// # Errors
    /// `Setting`, always.
    #[cfg(not(feature = "fastembed"))]
    pub fn check(&self) -> Result<(), EmbedError> {
        Err(without_the_feature())
    }
}

#[cfg(not(feature = "fastembed"))]
fn without_the_feature() -> EmbedError {
    EmbedError::Setting {
        setting: "rerank.model",
        message: "needs a program that is built with `cargo build --release --features fastembed`, and this one is not".into(),
    }
}

#[cfg(feature = "fastembed")]
pub use with_the_feature::CrossEncoder;

#[cfg(feature = "fastembed")]
mod with_the_feature {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::PathBuf;
    use std::sync::{Mutex, PoisonError};

    use fastembed::{RerankInitOptionsUserDefined, TextRerank, UserDefinedRerankingModel};
    use ort::session::builder::AutoDevicePolicy;

    use super::super::folder::Graph;
    use super::super::{catalogue, runtime};
    use super::{CrossEncoderOptions, FastembedModel};
    use crate::error::EmbedError;

    /// Judges how well passages answer a question, by reading both together.
    pub struct CrossEncoder {
        /// A run needs it alone, and uses all processors.
        rerank: Mutex<TextRerank>,
        graph: PathBuf,
    }

    impl CrossEncoder {
        /// Opens a model. One of the catalogue is downloaded where it is not here yet.
        ///
        /// # Errors
        /// `UnusableModel` for a file, or the library of ONNX Runtime, that is missing or of no use; `Hub` for a download that failed;
        /// `Setting` for a name that is not in the catalogue.
        pub fn open(options: &CrossEncoderOptions) -> Result<CrossEncoder, EmbedError> {
            // Before a download that may be for nothing.
            let environment = runtime::environment(options.runtime.as_deref())?;
            let graph = match &options.model {
                FastembedModel::Catalogue { name, access } => catalogue::fetch_reranker(name, access)?,
                FastembedModel::Folder(dir) => Graph::of(dir)?,
            };
            let settings = graph.settings()?;
            // By its path, so that weights beside it are found.
            let source = UserDefinedRerankingModel::new(graph.model.clone(), settings.tokenizer);
            let how = RerankInitOptionsUserDefined::new()
                .with_environment(environment)
                .with_auto_device(AutoDevicePolicy::PreferCPU)
                .with_max_length(settings.usual);
            let unusable = |reason: String| EmbedError::unusable(&graph.model, reason);
            let mut rerank = TextRerank::try_new_from_user_defined(source, how)
                .map_err(|error| unusable(format!("cannot be opened ({error}): get the whole model")))?;
            // The characters of a special token in a text are text.
            rerank.tokenizer.set_encode_special_tokens(true);
            let opened = CrossEncoder {
                rerank: Mutex::new(rerank),
                graph: graph.model.clone(),
            };
            // fastembed takes for granted that there is a column of scores.
            catch_unwind(AssertUnwindSafe(|| opened.scores("a", &["b", "c"]))).unwrap_or_else(|_| {
                Err(unusable(
                    "gives no score for each passage: it is no reranker".into(),
                ))
            })?;
            Ok(opened)
        }

        /// How well each of `passages` answers the question, from 0 to 1, in their order. One run of the graph.
        ///
        /// # Errors
        /// `UnusableModel` where the graph cannot be computed, or gives something else than scores.
        pub fn scores(&self, question: &str, passages: &[&str]) -> Result<Vec<f32>, EmbedError> {
            let unusable = |reason: String| EmbedError::unusable(&self.graph, reason);
            let mut rerank = self.rerank.lock().unwrap_or_else(PoisonError::into_inner);
            let found = rerank
                .rerank(question, passages, false, Some(passages.len().max(1)))
                .map_err(|error| unusable(format!("cannot be computed: {error}")))?;
            let mut scores = vec![f32::NAN; passages.len()];
            for result in found {
                if let Some(score) = scores.get_mut(result.index) {
                    // What it gives is the logarithm of odds.
                    *score = 1.0 / (1.0 + (-result.score).exp());
                }
            }
            match scores.iter().all(|score| score.is_finite()) {
                true => Ok(scores),
                false => Err(unusable(
                    "gives scores that are no numbers: get the model again".into(),
                )),
            }
        }
    }
}

/// There is none in a program that is built without the feature `fastembed`.
#[cfg(not(feature = "fastembed"))]
#[derive(Debug)]
pub enum CrossEncoder {}

#[cfg(not(feature = "fastembed"))]
impl CrossEncoder {
    /// Says that this program was built without the feature `fastembed`.
    ///
    /// # Errors
    /// `Setting`, always.
    pub fn open(_: &CrossEncoderOptions) -> Result<CrossEncoder, EmbedError> {
        Err(without_the_feature())
    }

    /// As there is none, it is never asked.
    ///
    /// # Errors
    /// None.
    pub fn scores(&self, _: &str, _: &[&str]) -> Result<Vec<f32>, EmbedError> {
        match *self {}
    }
}
