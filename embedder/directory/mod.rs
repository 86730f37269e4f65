//! Opens any BERT-shaped encoder from a directory in the sentence-transformers layout.

mod cache;
mod files;
mod prompts;
mod settings;

use std::path::{Path, PathBuf};

use crate::embedder::Embedder;
use crate::encoder::Encoder;
use crate::encoder::kernels::DetectedKernel;
use crate::encoder::weights::{OwnedWeights, PackedBytes};
use crate::error::EmbedError;
use crate::model::ModelInfo;
#[cfg(feature = "fastembed")]
use crate::model::Pooling;
use crate::pack::{Alphabet, Checkpoint, pack};
use crate::tokenizer::Tokenizer;
use files::Files;
use settings::Settings;

/// Lower ids are special or unused tokens in BERT's vocabulary.
const FIRST_BERT_WORD: u32 = 999;

/// Overrides for a model in a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectoryOptions {
    /// Text before each query. The default comes from the model's files, or else from a table of well-known models.
    pub query_prefix: Option<String>,
    /// Text before each passage. The default comes from the model's files, or else from a table of well-known models.
    pub passage_prefix: Option<String>,
    /// Token limit of a text. The default comes from the model's files.
    pub max_tokens: Option<usize>,
    /// Folder for packed weights, which makes the next opening fast. Without it, every opening packs the weights again.
    pub cache: Option<PathBuf>,
    /// The model's name. The default is the name of the directory.
    pub name: Option<String>,
}

/// Opens the model in `dir`. Packs its weights unless they are in the cache.
pub(crate) fn open(dir: &Path, options: &DirectoryOptions) -> Result<Embedder, EmbedError> {
    let mut files = Files::new(dir)?;
    let settings = Settings::read(&mut files)?;
    let (tokenizer, tokenizer_digest) = read_tokenizer(&files, &settings)?;
    let id = options.name.clone().unwrap_or_else(|| files.name());
    let prompts = prompts::read(&files, &id)?;
    let checkpoint_path = files.weights()?;

    let shape = settings.shape;
    if tokenizer.vocabulary_size() > shape.vocabulary {
        return Err(EmbedError::unusable(
            dir,
            format!(
                "has a tokenizer of {} tokens and weights for {}: the files belong to different models",
                tokenizer.vocabulary_size(),
                shape.vocabulary
            ),
        ));
    }
    let max_tokens = options.max_tokens.unwrap_or(settings.max_tokens);
    let min_tokens = tokenizer.special_tokens() + 1;
    if !(min_tokens..=shape.positions).contains(&max_tokens) {
        return Err(EmbedError::unusable(
            dir,
            format!(
                "reads {min_tokens} to {} tokens, not {max_tokens}: set max_tokens in this range",
                shape.positions
            ),
        ));
    }
    let cache_path = options
        .cache
        .as_deref()
        .map(|folder| cache::path(folder, &id, &checkpoint_path, &files))
        .transpose()?;
    let packed = match cache_path.as_deref().and_then(|path| cache::read(path, shape)) {
        Some(packed) => packed,
        None => {
            let checkpoint = Checkpoint::open(&checkpoint_path)?.with_first_position(settings.first_position);
            if checkpoint.positions() < shape.positions {
                return Err(EmbedError::unusable(
                    &checkpoint_path,
                    format!(
                        "has {} positions where config.json says {}",
                        checkpoint.positions(),
                        shape.positions
                    ),
                ));
            }
            tracing::info!(model = %id, "quantizing the model's weights (once)");
            let packed = pack(&checkpoint, shape, &alphabet(&tokenizer), &[], |layer| {
                tracing::info!(model = %id, "quantized layer {layer} of {}", shape.layers);
            })?;
            if let Some(path) = &cache_path {
                cache::write(path, &packed)?;
            }
            packed
        }
    };
    let weights = OwnedWeights::read(PackedBytes::Owned(packed))?;
    let query_prefix = options.query_prefix.clone().unwrap_or(prompts.query);
    let passage_prefix = options.passage_prefix.clone().unwrap_or(prompts.passage);
    let pooling = settings.pooling;
    let mut version = blake3::Hasher::new();
    version
        .update(&weights.get().header.digest)
        .update(&tokenizer_digest);
    for part in [
        pooling.as_str(),
        &query_prefix,
        &passage_prefix,
        &max_tokens.to_string(),
    ] {
        version
            .update(&(part.len() as u64).to_le_bytes())
            .update(part.as_bytes());
    }
    let model = ModelInfo {
        id,
        version: version.finalize().to_hex()[..12].to_owned(),
        dimensions: shape.hidden,
        max_tokens,
        pooling: Some(pooling),
        query_prefix,
        passage_prefix,
    };
    let encoder = Encoder::new(weights, pooling, DetectedKernel::fastest());
    // Finite weights can still overflow inside the model.
    let probe = encoder.encode(&[tokenizer.encode_for_model("a")]);
    if !probe.iter().flatten().all(|value| value.is_finite()) {
        return Err(EmbedError::unusable(
            dir,
            "produces vectors that are not finite: download the model again",
        ));
    }
    Ok(Embedder::new(model, tokenizer, encoder))
}

/// The query and passage prefixes that the model `name` in `dir` expects.
#[cfg(feature = "fastembed")]
pub(crate) fn prefixes(dir: &Path, name: &str) -> Result<(String, String), EmbedError> {
    let prompts = prompts::read(&Files::new(dir)?, name)?;
    Ok((prompts.query, prompts.passage))
}

/// The name of the model in `dir`, and its pooling.
#[cfg(feature = "fastembed")]
pub(crate) fn name_and_pooling(dir: &Path) -> Result<(String, Pooling), EmbedError> {
    let mut files = Files::new(dir)?;
    Ok((files.name(), settings::read_pooling(&mut files)?))
}

/// Reads the tokenizer, and hashes everything that its tokens depend on.
fn read_tokenizer(files: &Files, settings: &Settings) -> Result<(Tokenizer, [u8; 32]), EmbedError> {
    if let Some((path, bytes)) = files.read("tokenizer.json", files::MAX_TOKENIZER_LENGTH)? {
        let digest = blake3::hash(&bytes).into();
        return Ok((Tokenizer::read_json(&path, &bytes)?, digest));
    }
    let Some((path, bytes)) = files.read("vocab.txt", files::MAX_TOKENIZER_LENGTH)? else {
        return Err(EmbedError::unusable(
            files.dir(),
            "has neither tokenizer.json nor vocab.txt: download the complete model",
        ));
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes).update(&[u8::from(settings.lower_case)]);
    Ok((
        Tokenizer::read_vocabulary(&path, bytes, settings.lower_case)?,
        hasher.finalize().into(),
    ))
}

/// The tokens that the random calibration texts are made of.
fn alphabet(tokenizer: &Tokenizer) -> Alphabet {
    let (start, end) = tokenizer.boundary_tokens();
    let end_of_words = tokenizer.vocabulary_size() as u32;
    let after_special = start.iter().chain(end).max().map_or(0, |id| id + 1);
    let is_bert = (101..FIRST_BERT_WORD).contains(&after_special) && end_of_words > 20 * FIRST_BERT_WORD;
    let first = if is_bert {
        // BERT's vocabularies begin with about a thousand tokens that no text contains.
        FIRST_BERT_WORD
    } else if after_special < end_of_words / 2 {
        after_special
    } else {
        0
    };
    Alphabet {
        start: start.to_vec(),
        end: end.to_vec(),
        words: first..end_of_words,
    }
}
