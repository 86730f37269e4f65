//! The built-in model: texts in, vectors out.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::aligned::Aligned;
use crate::error::EmbedError;
use crate::format::{HIDDEN, POSITIONS};
use crate::forward::{self, Workspace};
use crate::kernels::{Kernel, Selected};
use crate::tokenizer::Tokenizer;
use crate::weights::Weights;

static WEIGHTS: &Aligned<[u8]> = &Aligned(*include_bytes!("../data/model/all-MiniLM-L6-v2/weights.bin"));
static VOCABULARY: &str = include_str!("../data/model/all-MiniLM-L6-v2/vocab.txt");

/// Tokens that go through the model together. Enough to read the weights from memory once for several short texts;
/// more would push the activations of one text out of the cache.
const BATCH_TOKENS: usize = 512;

/// Which model made a vector. Vectors of different models or versions cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// The name of the model: `all-MiniLM-L6-v2`.
    pub id: String,
    /// Changes whenever the packed weights or the vocabulary change: the beginning of their BLAKE3.
    pub version: String,
    /// Length of every vector: 384.
    pub dimensions: usize,
    /// Tokens of the longest text, with the two special ones that are added to each text: 256.
    pub max_tokens: usize,
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
    weights: Weights<'static>,
    kernel: Selected,
    /// Workspaces that no call is using, at most as many as calls ever ran at once.
    idle: Mutex<Vec<Workspace>>,
}

impl Embedder {
    /// Opens the model that is part of the program, with the fastest kernel of this processor.
    ///
    /// # Errors
    /// `MalformedModel` if the program was built with weights of another format.
    pub fn built_in() -> Result<Self, EmbedError> {
        let weights = Weights::read(&WEIGHTS.0)?;
        let model = ModelInfo {
            id: "all-MiniLM-L6-v2".to_owned(),
            version: weights.header.version(),
            dimensions: HIDDEN,
            max_tokens: POSITIONS,
        };
        Ok(Self {
            model,
            tokenizer: Tokenizer::from_vocabulary(VOCABULARY)?,
            weights,
            kernel: Selected::fastest(),
            idle: Mutex::default(),
        })
    }

    /// The model's name, version and sizes.
    pub fn model(&self) -> &ModelInfo {
        &self.model
    }

    /// The kernel in use.
    pub fn kernel(&self) -> Kernel {
        self.kernel.kernel()
    }

    /// Uses another kernel, for comparisons.
    ///
    /// # Errors
    /// `KernelUnavailable` if this processor lacks its instructions.
    pub fn with_kernel(self, kernel: Kernel) -> Result<Self, EmbedError> {
        Ok(Self {
            kernel: kernel.select()?,
            ..self
        })
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// One vector of length one for each text, in order. An empty text has a vector too.
    ///
    /// The same text has the same vector, bit for bit, whatever it is embedded with. Several threads may call at once;
    /// one call uses one thread, and is most efficient with a few texts or more.
    ///
    /// # Errors
    /// `TextTooLong` for the first text that has more tokens than the model reads; nothing is embedded then.
    pub fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut encoded = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let ids = self.tokenizer.encode_for_model(text);
            if ids.len() > POSITIONS {
                return Err(EmbedError::TextTooLong {
                    index,
                    tokens: ids.len(),
                    limit: POSITIONS,
                });
            }
            encoded.push(ids);
        }
        Ok(self.encode(&encoded))
    }

    /// The vector of a query. A query that is too long is cut, and the answer says so.
    ///
    /// # Errors
    /// None today; the signature leaves room for models that are not part of the program.
    pub fn embed_query(&self, text: &str) -> Result<QueryEmbedding, EmbedError> {
        let mut ids = self.tokenizer.encode_for_model(text);
        let truncated = ids.len() > POSITIONS;
        if truncated {
            let end = ids[ids.len() - 1];
            ids.truncate(POSITIONS - 1);
            ids.push(end);
        }
        let vector = self.encode(&[ids]).swap_remove(0);
        Ok(QueryEmbedding { vector, truncated })
    }

    /// Runs the model over the texts in batches of whole texts.
    fn encode(&self, texts: &[Vec<u32>]) -> Vec<Vec<f32>> {
        // A lock that a panicking thread left behind still holds a list of usable workspaces.
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut space = idle().pop().unwrap_or_else(Workspace::new);
        let mut vectors = Vec::with_capacity(texts.len());
        let mut rest = texts;
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch_length(rest));
            vectors.extend(match &self.kernel {
                #[cfg(target_arch = "x86_64")]
                Selected::Avx512Vnni(kernel) => forward::encode(kernel, &self.weights, batch, &mut space),
                #[cfg(target_arch = "x86_64")]
                Selected::Avx2(kernel) => forward::encode(kernel, &self.weights, batch, &mut space),
                Selected::Portable(kernel) => forward::encode(kernel, &self.weights, batch, &mut space),
            });
            rest = after;
        }
        idle().push(space);
        vectors
    }
}

/// How many of the first texts go together: at least one, and no more than `BATCH_TOKENS` tokens.
fn batch_length(texts: &[Vec<u32>]) -> usize {
    let mut tokens = 0;
    let fitting = texts.iter().take_while(|ids| {
        tokens += ids.len();
        tokens <= BATCH_TOKENS
    });
    fitting.count().max(1)
}

impl fmt::Debug for Embedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedder")
            .field("model", &self.model)
            .field("kernel", &self.kernel())
            .finish_non_exhaustive()
    }
}
