//! A model, opened: texts in, vectors out, whatever computes them.

use std::fmt;
use std::path::Path;

use crate::directory::{self, DirectoryOptions};
use crate::encoder::Encoder;
use crate::encoder::aligned::Aligned;
use crate::encoder::kernels::Kernel;
use crate::encoder::weights::{OwnedWeights, PackedBytes};
use crate::error::EmbedError;
use crate::fastembed::FastembedOptions;
#[cfg(feature = "fastembed")]
use crate::fastembed::{self, Fastembed};
use crate::hub;
use crate::model::{ModelInfo, ModelSource, Pooling};
use crate::remote::{Outage, Remote, RemoteOptions};
use crate::tokenizer::Tokenizer;

static WEIGHTS: &Aligned<[u8]> = &Aligned(*include_bytes!("../data/model/all-MiniLM-L6-v2/weights.bin"));
static VOCABULARY: &str = include_str!("../data/model/all-MiniLM-L6-v2/vocab.txt");

/// Texts that one call of the encoder takes best. Few, so that a wish to stop is soon heard.
const ENCODER_BATCH: usize = 16;

/// How long the caller of [`Embedder::embed_each`] is willing to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// As long as it takes.
    Full,
    /// For answers that are under way, but not for another attempt.
    FinishRequests,
    /// No longer.
    None,
}

/// How texts are best handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// Texts in a call.
    pub texts: usize,
    /// Calls at once, where it is not the processor that decides.
    pub calls: Option<usize>,
}

/// The vector of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryEmbedding {
    /// At length one.
    pub vector: Vec<f32>,
    /// The query was longer than the model reads, and its end was left out.
    pub truncated: bool,
}

/// Turns texts into vectors whose dot product is their similarity.
///
/// Shared by reference between threads; each call computes on the thread that makes it.
pub struct Embedder {
    model: ModelInfo,
    tokenizer: Tokenizer,
    engine: Engine,
}

/// What computes the vectors.
enum Engine {
    /// This program, on this processor.
    Encoder(Encoder),
    /// Another process, over HTTP.
    Remote(Box<Remote>),
    /// ONNX Runtime, in this process.
    #[cfg(feature = "fastembed")]
    Fastembed(Box<Fastembed>),
}

impl Embedder {
    /// Opens a model, wherever it comes from.
    ///
    /// # Errors
    /// Those of the function for its source.
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
                let named = options.name.clone().or_else(|| Some(model.to_string()));
                let options = DirectoryOptions {
                    name: named,
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
    /// `UnusableModel` for a file, or the library of ONNX Runtime, that is missing or of no use; `Hub` for a download that failed;
    /// `Setting` for a name that is not in the catalogue, and always where the program was built without the feature `fastembed`.
    #[cfg(feature = "fastembed")]
    pub fn fastembed(options: &FastembedOptions) -> Result<Self, EmbedError> {
        let opened = fastembed::open(options)?;
        Ok(Self {
            model: opened.model,
            tokenizer: opened.tokenizer,
            engine: Engine::Fastembed(Box::new(opened.engine)),
        })
    }

    /// Says that this program was built without the feature `fastembed`.
    ///
    /// # Errors
    /// `Setting`, always.
    #[cfg(not(feature = "fastembed"))]
    pub fn fastembed(options: &FastembedOptions) -> Result<Self, EmbedError> {
        Err(EmbedError::Setting {
            setting: options.setting(),
            message: "needs a program that is built with `cargo build --release --features fastembed`, and this one is not".into(),
        })
    }

    /// Opens a model that another process computes. Tokens are estimated with the tokenizer of the built-in model.
    ///
    /// The provider is asked for a first vector. Where it does not answer, the model opens all the same if the options say how
    /// long its vectors are, and [`Embedder::outage`] says what is wrong.
    ///
    /// # Errors
    /// `Setting` for options that cannot be used, and otherwise why the provider does not tell how long its vectors are.
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
        Ok(Self {
            model,
            tokenizer: Tokenizer::from_vocabulary(VOCABULARY)?,
            engine: Engine::Remote(Box::new(remote)),
        })
    }

    /// Opens a model in a directory of the layout of sentence-transformers: a BERT-shaped encoder with its tokenizer. Its weights
    /// are packed into 8 bits, which takes seconds to a minute, and where `options` name a cache is done once.
    ///
    /// # Errors
    /// `UnusableModel`, naming the file and what to do.
    pub fn from_directory(path: &Path, options: &DirectoryOptions) -> Result<Self, EmbedError> {
        let opened = directory::open(path, options)?;
        Ok(Self {
            model: opened.model,
            tokenizer: opened.tokenizer,
            engine: Engine::Encoder(opened.encoder),
        })
    }

    /// Opens the model that is part of the program, with the fastest kernel of this processor.
    ///
    /// # Errors
    /// `MalformedModel` if the program was built with weights of another format.
    pub fn built_in() -> Result<Self, EmbedError> {
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
        Ok(Self {
            model,
            tokenizer: Tokenizer::from_vocabulary(VOCABULARY)?,
            engine: Engine::Encoder(Encoder::new(weights, pooling)),
        })
    }

    /// The model's name, version and sizes.
    pub fn model(&self) -> &ModelInfo {
        &self.model
    }

    /// The kernel in use, where this program computes the vectors itself.
    pub fn kernel(&self) -> Option<Kernel> {
        match &self.engine {
            Engine::Encoder(encoder) => Some(encoder.kernel()),
            _ => None,
        }
    }

    /// Uses another kernel, for comparisons. Changes nothing where this program does not compute the vectors.
    ///
    /// # Errors
    /// `KernelUnavailable` if this processor lacks its instructions.
    pub fn with_kernel(self, kernel: Kernel) -> Result<Self, EmbedError> {
        let engine = match self.engine {
            Engine::Encoder(encoder) => Engine::Encoder(encoder.with_kernel(kernel)?),
            other => other,
        };
        Ok(Self { engine, ..self })
    }

    /// The model's tokenizer, or, where [`Embedder::estimates_tokens`], one that counts about as it does.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Whether the tokenizer is not the model's own.
    pub fn estimates_tokens(&self) -> bool {
        self.provider().is_some()
    }

    /// Address of the process that computes the vectors, where it is another one.
    pub fn provider(&self) -> Option<&str> {
        match &self.engine {
            Engine::Remote(remote) => Some(&remote.options().base_url),
            _ => None,
        }
    }

    /// What is wrong with that process, if something is.
    pub fn outage(&self) -> Option<Outage> {
        match &self.engine {
            Engine::Remote(remote) => remote.outage(),
            _ => None,
        }
    }

    /// How texts are best handed over.
    pub fn batching(&self) -> Batching {
        match &self.engine {
            Engine::Encoder(_) => Batching {
                texts: ENCODER_BATCH,
                calls: None,
            },
            Engine::Remote(remote) => Batching {
                texts: remote.batch_texts(),
                calls: Some(remote.options().concurrency),
            },
            #[cfg(feature = "fastembed")]
            Engine::Fastembed(fastembed) => Batching {
                texts: fastembed.batch(),
                calls: Some(1),
            },
        }
    }

    /// Tokens of the longest passage that the model reads whole: what the special tokens and the prefix leave.
    pub fn passage_tokens(&self) -> usize {
        let taken = self.tokenizer.special_tokens() + self.tokenizer.count(&self.model.passage_prefix);
        self.model.max_tokens.saturating_sub(taken)
    }

    /// One vector of length one for each passage, in order. An empty text has a vector too.
    ///
    /// Where this program computes them, the same text has the same vector, bit for bit, whatever it is embedded with. Several
    /// threads may call at once; one call uses one thread, and is most efficient with a few texts or more.
    ///
    /// # Errors
    /// `TextTooLong` for the first text that has more tokens than the model reads; nothing is embedded then. For a remote model,
    /// what its provider has against the texts, or what is wrong with it.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        if let Engine::Encoder(encoder) = &self.engine {
            return self.encode(encoder, texts);
        }
        let mut vectors = vec![Vec::new(); texts.len()];
        let mut refused = None;
        self.embed_each(texts, &|| Patience::Full, &mut |index, outcome| match outcome {
            Ok(vector) => vectors[index] = vector,
            Err(error) => refused = Some(error),
        })?;
        refused.map_or(Ok(vectors), Err)
    }

    /// The same, but vectors are delivered as they come, each with the place of its text, and so is what a provider has against
    /// a single text. A call to another process is given up when `patience` ends.
    ///
    /// # Errors
    /// Those of [`Embedder::embed`], and `Interrupted`. What was delivered stays so.
    pub fn embed_each(
        &self,
        texts: &[&str],
        patience: &dyn Fn() -> Patience,
        deliver: &mut dyn FnMut(usize, Result<Vec<f32>, EmbedError>),
    ) -> Result<(), EmbedError> {
        match &self.engine {
            Engine::Encoder(encoder) => {
                let vectors = self.encode(encoder, texts)?;
                vectors
                    .into_iter()
                    .enumerate()
                    .for_each(|(index, vector)| deliver(index, Ok(vector)));
                Ok(())
            }
            Engine::Remote(remote) => {
                let inputs = self.passage_inputs(texts);
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                remote.embed(&inputs, &self.counts(&inputs)?, patience, deliver)
            }
            #[cfg(feature = "fastembed")]
            Engine::Fastembed(fastembed) => {
                let inputs = self.passage_inputs(texts);
                let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
                self.counts(&inputs)?;
                fastembed.embed(&inputs, patience, deliver)
            }
        }
    }

    fn passage_inputs(&self, texts: &[&str]) -> Vec<String> {
        let prefix = &self.model.passage_prefix;
        texts.iter().map(|text| format!("{prefix}{text}")).collect()
    }

    /// Tokens of each input, none of which is too long.
    fn counts(&self, inputs: &[&str]) -> Result<Vec<usize>, EmbedError> {
        let limit = self.model.max_tokens;
        let mut counts = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.iter().enumerate() {
            let tokens = self.tokenizer.count(input) + self.tokenizer.special_tokens();
            if tokens > limit {
                return Err(EmbedError::TextTooLong { index, tokens, limit });
            }
            counts.push(tokens);
        }
        Ok(counts)
    }

    fn encode(&self, encoder: &Encoder, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let limit = self.model.max_tokens;
        let mut encoded = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let ids = self.tokens(&self.model.passage_prefix, text);
            if ids.len() > limit {
                let tokens = ids.len();
                return Err(EmbedError::TextTooLong { index, tokens, limit });
            }
            encoded.push(ids);
        }
        Ok(encoder.encode(&encoded))
    }

    /// The vector of a query. A query that is too long is cut, and the answer says so.
    ///
    /// # Errors
    /// None where the encoder of this program computes the vectors; for a remote model, what is wrong with its provider; with ONNX
    /// Runtime, what it has against the graph.
    pub fn embed_query(&self, text: &str) -> Result<QueryEmbedding, EmbedError> {
        match &self.engine {
            Engine::Encoder(encoder) => {
                let limit = self.model.max_tokens;
                let mut ids = self.tokens(&self.model.query_prefix, text);
                let truncated = ids.len() > limit;
                if truncated {
                    self.tokenizer.shorten(&mut ids, limit);
                }
                let vector = encoder.encode(&[ids]).swap_remove(0);
                Ok(QueryEmbedding { vector, truncated })
            }
            Engine::Remote(remote) => {
                let (input, truncated) = self.query_input(text);
                let vector = remote.embed_query(&input)?;
                Ok(QueryEmbedding { vector, truncated })
            }
            #[cfg(feature = "fastembed")]
            Engine::Fastembed(fastembed) => {
                let (input, truncated) = self.query_input(text);
                let vector = fastembed.embed_one(&input)?;
                Ok(QueryEmbedding { vector, truncated })
            }
        }
    }

    /// A query after its prefix, and whether its end was left out since it is too long.
    fn query_input(&self, text: &str) -> (String, bool) {
        let mut input = format!("{}{text}", self.model.query_prefix);
        let room = self
            .model
            .max_tokens
            .saturating_sub(self.tokenizer.special_tokens());
        let cut = self
            .tokenizer
            .token_spans(&input)
            .get(room)
            .map(|next| next.start);
        if let Some(end) = cut {
            input.truncate(end);
        }
        (input, cut.is_some())
    }

    /// The ids of a text after a prefix, as the model takes them.
    fn tokens(&self, prefix: &str, text: &str) -> Vec<u32> {
        if prefix.is_empty() {
            self.tokenizer.encode_for_model(text)
        } else {
            self.tokenizer.encode_for_model(&format!("{prefix}{text}"))
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
