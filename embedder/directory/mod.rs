//! A model in a directory, in the layout of sentence-transformers: any BERT-shaped encoder.

mod cache;
mod files;
mod prompts;
mod settings;

use std::path::{Path, PathBuf};

use crate::encoder::Encoder;
use crate::encoder::weights::{OwnedWeights, PackedBytes};
use crate::error::EmbedError;
use crate::model::{ModelInfo, Pooling};
use crate::pack::{Alphabet, Checkpoint, pack};
use crate::tokenizer::Tokenizer;
use files::Files;
use settings::Settings;

/// Ids below this one are special or unused in the vocabulary of BERT.
const FIRST_WORD_OF_BERT: u32 = 999;

/// How a model of a directory is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectoryOptions {
    /// What to put before a question, in place of what the model's files or its name say.
    pub query_prefix: Option<String>,
    /// What to put before a passage, in place of what the model's files or its name say.
    pub passage_prefix: Option<String>,
    /// Tokens of the longest text, in place of what the model's files say.
    pub max_tokens: Option<usize>,
    /// A folder for the packed weights, so that the next opening is fast. Packed anew each time where there is none.
    pub cache: Option<PathBuf>,
    /// What to call the model, in place of the directory's name.
    pub name: Option<String>,
}

/// A model that is ready to embed.
pub(crate) struct Opened {
    pub(crate) model: ModelInfo,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) encoder: Encoder,
}

/// Opens the model in `dir`: packs its weights, or takes them from the cache.
pub(crate) fn open(dir: &Path, options: &DirectoryOptions) -> Result<Opened, EmbedError> {
    let mut files = Files::of(dir)?;
    let settings = Settings::read(&mut files)?;
    let (tokenizer, tokenizer_digest) = read_tokenizer(&files, &settings)?;
    let id = options.name.clone().unwrap_or_else(|| files.name());
    let prompts = prompts::of(&files, &id)?;
    let checkpoint_path = files.weights()?;

    let shape = settings.shape;
    if tokenizer.vocabulary() > shape.vocabulary {
        return Err(EmbedError::unusable(
            dir,
            format!(
                "has a tokenizer of {} tokens and weights for {}: the files are not of one model",
                tokenizer.vocabulary(),
                shape.vocabulary
            ),
        ));
    }
    let max_tokens = options.max_tokens.unwrap_or(settings.max_tokens);
    let least = tokenizer.special_tokens() + 1;
    if !(least..=shape.positions).contains(&max_tokens) {
        return Err(EmbedError::unusable(
            dir,
            format!(
                "reads {least} to {} tokens, not {max_tokens}: set max_tokens within",
                shape.positions
            ),
        ));
    }
    let place = options
        .cache
        .as_deref()
        .map(|folder| cache::place(folder, &id, &checkpoint_path, &files))
        .transpose()?;
    let packed = match place.as_deref().and_then(|place| cache::read(place, shape)) {
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
            tracing::info!(model = %id, "preparing the weights of the model, once");
            let packed = pack(&checkpoint, shape, &alphabet(&tokenizer), &[], |layer| {
                tracing::info!(model = %id, "layer {layer} of {} is ready", shape.layers);
            })?;
            if let Some(place) = &place {
                cache::write(place, &packed)?;
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
        &pooling.to_string(),
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
    let encoder = Encoder::new(weights, pooling);
    // Weights that are numbers may still overflow on their way.
    let probe = encoder.encode(&[tokenizer.encode_for_model("a")]);
    if !probe.iter().flatten().all(|value| value.is_finite()) {
        return Err(EmbedError::unusable(
            dir,
            "gives vectors that are no numbers: get the model again",
        ));
    }
    Ok(Opened {
        model,
        tokenizer,
        encoder,
    })
}

/// What the model in `dir`, known as `name`, was trained to see before questions and before passages.
#[cfg(feature = "fastembed")]
pub(crate) fn prefixes(dir: &Path, name: &str) -> Result<(String, String), EmbedError> {
    let prompts = prompts::of(&Files::of(dir)?, name)?;
    Ok((prompts.query, prompts.passage))
}

/// The name of the model in `dir`, and the pooling that its files name.
#[cfg(feature = "fastembed")]
pub(crate) fn name_and_pooling(dir: &Path) -> Result<(String, Pooling), EmbedError> {
    let mut files = Files::of(dir)?;
    Ok((files.name(), settings::pooling(&mut files)?))
}

fn read_tokenizer(files: &Files, settings: &Settings) -> Result<(Tokenizer, [u8; 32]), EmbedError> {
    if let Some((path, bytes)) = files.read("tokenizer.json", files::LARGEST_TOKENIZER)? {
        let digest = blake3::hash(&bytes).into();
        return Ok((Tokenizer::read_published(&path, &bytes)?, digest));
    }
    let Some((path, bytes)) = files.read("vocab.txt", files::LARGEST_TOKENIZER)? else {
        return Err(EmbedError::unusable(
            files.dir(),
            "has neither tokenizer.json nor vocab.txt: get the whole model",
        ));
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes).update(&[u8::from(settings.lower_case)]);
    Ok((
        Tokenizer::read_vocabulary(&path, bytes, settings.lower_case)?,
        hasher.finalize().into(),
    ))
}

/// What the random texts of calibration are made of.
fn alphabet(tokenizer: &Tokenizer) -> Alphabet {
    let (start, end) = tokenizer.around();
    let end_of_words = tokenizer.vocabulary() as u32;
    let after_special = start.iter().chain(end).max().map_or(0, |id| id + 1);
    let first = match after_special < FIRST_WORD_OF_BERT && end_of_words > 20 * FIRST_WORD_OF_BERT {
        // The vocabularies of BERT begin with a thousand tokens that texts do not have.
        true if after_special > 100 => FIRST_WORD_OF_BERT,
        _ if after_special < end_of_words / 2 => after_special,
        _ => 0,
    };
    Alphabet {
        start: start.to_vec(),
        end: end.to_vec(),
        words: first..end_of_words,
    }
}

impl Pooling {
    /// The pooling that sentence-transformers calls so.
    fn named(name: &str) -> Option<Self> {
        match name {
            "mean" => Some(Pooling::Mean),
            "cls" => Some(Pooling::First),
            _ => None,
        }
    }
}
