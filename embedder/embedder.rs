//! The built-in model: texts in, vectors out.

use std::fmt;

use crate::encoder::Encoder;
use crate::encoder::aligned::Aligned;
use crate::encoder::kernels::Kernel;
use crate::encoder::weights::Weights;
use crate::error::EmbedError;
use crate::model::{ModelInfo, Pooling};
use crate::tokenizer::Tokenizer;

static WEIGHTS: &Aligned<[u8]> = &Aligned(*include_bytes!("../data/model/all-MiniLM-L6-v2/weights.bin"));
static VOCABULARY: &str = include_str!("../data/model/all-MiniLM-L6-v2/vocab.txt");

/// Tokens that are put around every text: one that begins it and one that ends it.
const SPECIAL_TOKENS: usize = 2;

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
}

impl Embedder {
    /// Opens the model that is part of the program, with the fastest kernel of this processor.
    ///
    /// # Errors
    /// `MalformedModel` if the program was built with weights of another format.
    pub fn built_in() -> Result<Self, EmbedError> {
        let weights = Weights::read(&WEIGHTS.0)?;
        let pooling = Pooling::Mean;
        let model = ModelInfo {
            id: "all-MiniLM-L6-v2".to_owned(),
            version: weights.header.version(),
            dimensions: weights.header.shape.hidden,
            max_tokens: weights.header.shape.positions,
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
        }
    }

    /// Uses another kernel, for comparisons. Changes nothing where this program does not compute the vectors.
    ///
    /// # Errors
    /// `KernelUnavailable` if this processor lacks its instructions.
    pub fn with_kernel(self, kernel: Kernel) -> Result<Self, EmbedError> {
        let engine = match self.engine {
            Engine::Encoder(encoder) => Engine::Encoder(encoder.with_kernel(kernel)?),
        };
        Ok(Self { engine, ..self })
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Tokens of the longest passage that the model reads whole: what the special tokens and the prefix leave.
    pub fn passage_tokens(&self) -> usize {
        let taken = SPECIAL_TOKENS + self.tokenizer.count(&self.model.passage_prefix);
        self.model.max_tokens.saturating_sub(taken)
    }

    /// One vector of length one for each passage, in order. An empty text has a vector too.
    ///
    /// The same text has the same vector, bit for bit, whatever it is embedded with. Several threads may call at once;
    /// one call uses one thread, and is most efficient with a few texts or more.
    ///
    /// # Errors
    /// `TextTooLong` for the first text that has more tokens than the model reads; nothing is embedded then.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        match &self.engine {
            Engine::Encoder(encoder) => {
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
        }
    }

    /// The vector of a query. A query that is too long is cut, and the answer says so.
    ///
    /// # Errors
    /// None where this program computes the vectors.
    pub fn embed_query(&self, text: &str) -> Result<QueryEmbedding, EmbedError> {
        match &self.engine {
            Engine::Encoder(encoder) => {
                let limit = self.model.max_tokens;
                let mut ids = self.tokens(&self.model.query_prefix, text);
                let truncated = ids.len() > limit;
                if truncated {
                    let end = ids[ids.len() - 1];
                    ids.truncate(limit - 1);
                    ids.push(end);
                }
                let vector = encoder.encode(&[ids]).swap_remove(0);
                Ok(QueryEmbedding { vector, truncated })
            }
        }
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
