//! An opened model: text in, vectors out.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use crate::directory::{self, DirectoryOptions};
use crate::encoder::Encoder;
use crate::encoder::aligned::Aligned;
use crate::encoder::kernels::{DetectedKernel, Kernel};
use crate::encoder::weights::{OwnedWeights, PackedBytes};
use crate::engine::{Batching, EmbeddingEngine, Input, Patience};
use crate::error::EmbedError;
use crate::fastembed::{self, FastembedOptions};
use crate::hub;
use crate::model::{ModelInfo, ModelSource, Pooling};
use crate::remote::{Outage, Remote, RemoteOptions};
use crate::tokenizer::Tokenizer;

static WEIGHTS: &Aligned<[u8]> = &Aligned(*include_bytes!("../data/model/all-MiniLM-L6-v2/weights.bin"));
static VOCABULARY: &str = include_str!("../data/model/all-MiniLM-L6-v2/vocab.txt");

/// The embedding of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryEmbedding {
    /// The vector, of length one.
    pub vector: Vec<f32>,
    /// True if the query exceeded the model's limit and its end was cut off.
    pub truncated: bool,
}

/// Turns texts into vectors whose dot product is their similarity.
///
/// Threads share an `Embedder` by reference. With the built-in model or a model directory, each call computes on the calling
/// thread.
///
/// ```
/// use autorag_embedder::{EmbedError, Embedder};
///
/// let embedder = Embedder::built_in()?;
/// let vectors = embedder.embed(&["A cat sits outside.", "A feline sleeps in the garden.", "Stock prices fell."])?;
/// assert_eq!(vectors[0].len(), embedder.model().dimensions);
///
/// let cosine = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
/// assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]));
///
/// // Passages over the limit are refused; split them first.
/// let long = "word ".repeat(1000);
/// assert!(matches!(embedder.embed(&[&long]), Err(EmbedError::TextTooLong { index: 0, .. })));
/// assert!(embedder.embed_query(&long)?.truncated);
/// # Ok::<(), EmbedError>(())
/// ```
pub struct Embedder {
    model: ModelInfo,
    tokenizer: Tokenizer,
    engine: Box<dyn EmbeddingEngine>,
}

impl Embedder {
    pub(crate) fn new(
        model: ModelInfo,
        tokenizer: Tokenizer,
        engine: impl EmbeddingEngine + 'static,
    ) -> Self {
        Self {
            model,
            tokenizer,
            engine: Box::new(engine),
        }
    }

    /// Opens the model of any source.
    ///
    /// # Errors
    /// The errors of the constructor for that source.
    pub fn open(source: &ModelSource) -> Result<Self, EmbedError> {
        match source {
            ModelSource::BuiltIn => Self::built_in(),
            ModelSource::Directory { path, options } => Self::from_directory(path, options),
            ModelSource::Remote(options) => Self::remote(options.clone()),
            ModelSource::Hub {
                model,
                access,
                options,
            } => {
                let folder = hub::fetch(model, access)?;
                let name = options.name.clone().or_else(|| Some(model.to_string()));
                let options = DirectoryOptions {
                    name,
                    ..options.clone()
                };
                Self::from_directory(&folder, &options)
            }
            ModelSource::Fastembed(options) => Self::fastembed(options),
        }
    }

    /// Opens a model that ONNX Runtime computes.
    ///
    /// # Errors
    /// - `MissingFeature` in a build without the feature `fastembed`.
    /// - `OnnxRuntime` if the shared library is missing or unusable.
    /// - `UnusableModel` if a model file is missing or unusable.
    /// - `Hub`, `HubAccessDenied` or `HubUnreachable` if the download failed.
    /// - `Setting` for a name that fastembed does not know.
    pub fn fastembed(options: &FastembedOptions) -> Result<Self, EmbedError> {
        fastembed::open(options)
    }

    /// Opens a model that an embedding provider computes. The built-in model's tokenizer estimates token counts.
    ///
    /// Opening requests one vector. If the provider does not answer, the model still opens if the options give the vector length.
    /// [`Embedder::outage`] then has the reason.
    ///
    /// # Errors
    /// `Setting` for invalid options. If the vector length is unknown, also the provider's failure.
    pub fn remote(options: RemoteOptions) -> Result<Self, EmbedError> {
        let remote = Remote::open(options)?;
        let options = remote.options();
        let model = ModelInfo {
            id: options.name.clone(),
            version: options.version(),
            dimensions: remote.dimensions(),
            max_tokens: options.max_tokens,
            pooling: None,
            query_prefix: options.query_prefix.clone(),
            passage_prefix: options.passage_prefix.clone(),
        };
        Ok(Self::new(model, Tokenizer::from_vocabulary(VOCABULARY)?, remote))
    }

    /// Opens a BERT-shaped encoder from a directory in the sentence-transformers layout.
    ///
    /// The weights are quantized to 8 bits, which takes from seconds to a minute. If `options` name a cache, this happens once.
    ///
    /// # Errors
    /// `UnusableModel`, with the file and what to do.
    pub fn from_directory(path: &Path, options: &DirectoryOptions) -> Result<Self, EmbedError> {
        directory::open(path, options)
    }

    /// Opens the built-in model with the fastest kernel of this processor.
    ///
    /// # Errors
    /// `MalformedModel` if the program was built with weights of another format.
    pub fn built_in() -> Result<Self, EmbedError> {
        Self::built_in_on(DetectedKernel::fastest())
    }

    /// Opens the built-in model with a given kernel, to compare kernels. [`Embedder::built_in`] picks the fastest.
    ///
    /// # Errors
    /// `KernelUnavailable` if this processor lacks the kernel's instructions, otherwise as [`Embedder::built_in`].
    pub fn built_in_with_kernel(kernel: Kernel) -> Result<Self, EmbedError> {
        Self::built_in_on(kernel.detect()?)
    }

    fn built_in_on(kernel: DetectedKernel) -> Result<Self, EmbedError> {
        let weights = OwnedWeights::read(PackedBytes::BuiltIn(&WEIGHTS.0))?;
        let header = weights.get().header;
        let pooling = Pooling::Mean;
        let model = ModelInfo {
            id: ModelSource::BUILT_IN.to_owned(),
            version: header.version(),
            dimensions: header.shape.hidden,
            max_tokens: header.shape.positions,
            pooling: Some(pooling),
            query_prefix: String::new(),
            passage_prefix: String::new(),
        };
        let encoder = Encoder::new(weights, pooling, kernel);
        Ok(Self::new(model, Tokenizer::from_vocabulary(VOCABULARY)?, encoder))
    }

    /// The model's name, version and sizes.
    pub fn model(&self) -> &ModelInfo {
        &self.model
    }

    /// The kernel in use; `None` for remote and ONNX models.
    pub fn kernel(&self) -> Option<Kernel> {
        self.engine.kernel()
    }

    /// The model's tokenizer. For a remote model, the built-in model's tokenizer; see [`Embedder::estimates_tokens`].
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// True if the tokenizer is not the model's own, so that token counts are estimates.
    pub fn estimates_tokens(&self) -> bool {
        self.provider().is_some()
    }

    /// The base URL of the embedding provider; `None` for local models.
    pub fn provider(&self) -> Option<&str> {
        self.engine.provider()
    }

    /// The current outage of the embedding provider. `None` if it works, and for local models.
    pub fn outage(&self) -> Option<Outage> {
        self.engine.outage()
    }

    /// How many texts and concurrent calls suit this model best.
    pub fn batching(&self) -> Batching {
        self.engine.batching()
    }

    /// Token limit of a passage: the model's limit minus the special tokens and the passage prefix.
    pub fn passage_tokens(&self) -> usize {
        let overhead = self.tokenizer.special_tokens() + self.tokenizer.count(&self.model.passage_prefix);
        self.model.max_tokens.saturating_sub(overhead)
    }

    /// Embeds passages: one vector of length one for each text, in order. An empty text has a vector too.
    ///
    /// With the built-in model or a model directory, equal texts get bit-identical vectors in any batch. Several threads may call
    /// at once. A call uses one thread and is most efficient with several texts.
    ///
    /// # Errors
    /// - `TextTooLong` for the first text over the model's limit. Nothing is embedded in that case.
    /// - For a remote model, the provider's failure or its refusal of a text.
    /// - For an ONNX model, `UnusableModel` if the graph fails.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut vectors = vec![Vec::new(); texts.len()];
        let mut refusal = None;
        self.embed_each(texts, &|| Patience::Full, &mut |index, outcome| match outcome {
            Ok(vector) => vectors[index] = vector,
            Err(error) => refusal = Some(error),
        })?;
        refusal.map_or(Ok(vectors), Err)
    }

    /// Like [`Embedder::embed`], but delivers each vector as soon as it is computed, with the index of its text. A text that the
    /// provider refuses is delivered as an error. Requests to a provider are abandoned when `patience` ends.
    ///
    /// # Errors
    /// As [`Embedder::embed`], and `Interrupted`. Vectors that were already delivered stay valid.
    pub fn embed_each(
        &self,
        texts: &[&str],
        patience: &dyn Fn() -> Patience,
        deliver: &mut dyn FnMut(usize, Result<Vec<f32>, EmbedError>),
    ) -> Result<(), EmbedError> {
        let limit = self.model.max_tokens;
        let mut inputs = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let input = self.input(&self.model.passage_prefix, text);
            if input.ids.len() > limit {
                let tokens = input.ids.len();
                return Err(EmbedError::TextTooLong { index, tokens, limit });
            }
            inputs.push(input);
        }
        self.engine.embed_passages(inputs, patience, deliver)
    }

    /// Embeds a query. The end of a query over the model's limit is cut off, and the result says so.
    ///
    /// # Errors
    /// None with the built-in model or a model directory. For a remote model, the provider's failure. For an ONNX model,
    /// `UnusableModel` if the graph fails.
    pub fn embed_query(&self, text: &str) -> Result<QueryEmbedding, EmbedError> {
        let mut input = self.input(&self.model.query_prefix, text);
        let truncated = input.ids.len() > self.model.max_tokens;
        if truncated {
            self.truncate(&mut input);
        }
        let vector = self.engine.embed_query(input)?;
        Ok(QueryEmbedding { vector, truncated })
    }

    fn input<'a>(&self, prefix: &str, text: &'a str) -> Input<'a> {
        let text = if prefix.is_empty() {
            Cow::Borrowed(text)
        } else {
            Cow::Owned(format!("{prefix}{text}"))
        };
        let ids = self.tokenizer.encode_for_model(&text);
        Input { text, ids }
    }

    /// Cuts the ids to the limit, and the text before the first token that does not fit.
    fn truncate(&self, input: &mut Input<'_>) {
        let limit = self.model.max_tokens;
        self.tokenizer.truncate(&mut input.ids, limit);
        let fitting = limit.saturating_sub(self.tokenizer.special_tokens());
        if let Some(first_cut) = self.tokenizer.token_spans(&input.text).get(fitting) {
            input.text.to_mut().truncate(first_cut.start);
        }
    }
}

impl fmt::Debug for Embedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedder")
            .field("model", &self.model)
            .field("kernel", &self.kernel())
            .finish_non_exhaustive()
    }
}
