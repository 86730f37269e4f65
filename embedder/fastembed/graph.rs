//! The files of an ONNX model: graph, weights, tokenizer and settings.

use std::path::{Path, PathBuf};

use fastembed::TokenizerFiles;
use serde::Deserialize;

use crate::error::EmbedError;

/// File names of weights stored outside `model.onnx`.
const EXTERNAL_WEIGHTS: [&str; 2] = ["model.onnx_data", "model.onnx.data"];

/// Token limit if the model's files have none.
const DEFAULT_MAX_TOKENS: usize = 512;

/// Paths of a model's files.
pub(super) struct Graph {
    pub(super) dir: PathBuf,
    pub(super) model: PathBuf,
    /// Files of external weights.
    pub(super) weights: Vec<PathBuf>,
}

/// Contents of a model's files.
pub(super) struct Contents {
    pub(super) graph: Vec<u8>,
    /// External weights, by the file names that the graph refers to.
    pub(super) weights: Vec<(String, Vec<u8>)>,
    pub(super) settings: Settings,
}

/// Tokenizer and token limits of a model.
pub(super) struct Settings {
    pub(super) tokenizer: TokenizerFiles,
    /// Most tokens that the model can read.
    pub(super) limit: usize,
    /// Token limit unless the caller sets another one.
    pub(super) default_max_tokens: usize,
}

#[derive(Deserialize)]
struct Config {
    model_type: Option<String>,
    max_position_embeddings: Option<usize>,
}

#[derive(Deserialize)]
struct TokenizerConfig {
    // A float, because models without a limit have 10³⁰ here.
    model_max_length: Option<f64>,
}

#[derive(Deserialize)]
struct SentenceBert {
    max_seq_length: Option<usize>,
}

impl Graph {
    /// The graph in a folder.
    pub(super) fn in_folder(dir: &Path) -> Result<Self, EmbedError> {
        let model = dir.join("model.onnx");
        if !model.is_file() {
            return Err(EmbedError::unusable(
                dir,
                "has no model.onnx: name the folder that holds model.onnx, tokenizer.json, config.json and tokenizer_config.json",
            ));
        }
        let external = EXTERNAL_WEIGHTS.iter().map(|name| dir.join(name));
        Ok(Self {
            dir: dir.to_owned(),
            model,
            weights: external.filter(|path| path.is_file()).collect(),
        })
    }

    /// Reads all files.
    pub(super) fn read(&self) -> Result<Contents, EmbedError> {
        let settings = self.read_settings()?;
        let weights = self.weights.iter().map(|path| {
            let name = path.file_name().unwrap_or_default();
            Ok((name.to_string_lossy().into_owned(), read(path)?))
        });
        Ok(Contents {
            graph: read(&self.model)?,
            weights: weights.collect::<Result<_, EmbedError>>()?,
            settings,
        })
    }

    /// Reads the tokenizer and the token limits.
    pub(super) fn read_settings(&self) -> Result<Settings, EmbedError> {
        let config_path = self.dir.join("config.json");
        let config_file = read(&config_path)?;
        let config: Config = json(&config_path, &config_file)?;
        let tokenizer_config_path = self.dir.join("tokenizer_config.json");
        let tokenizer_config_file = read(&tokenizer_config_path)?;
        let tokenizer_config: TokenizerConfig = json(&tokenizer_config_path, &tokenizer_config_file)?;
        let special_tokens_map_file = match self.dir.join("special_tokens_map.json") {
            path if path.is_file() => read(&path)?,
            // Newer models have the special tokens only in tokenizer.json.
            _ => b"{}".to_vec(),
        };
        let max_seq_length = match self.dir.join("sentence_bert_config.json") {
            path if path.is_file() => json::<SentenceBert>(&path, &read(&path)?)?.max_seq_length,
            _ => None,
        };
        let limit = limit(&config, &tokenizer_config);
        Ok(Settings {
            tokenizer: TokenizerFiles {
                tokenizer_file: read(&self.dir.join("tokenizer.json"))?,
                config_file,
                special_tokens_map_file,
                tokenizer_config_file,
            },
            limit,
            default_max_tokens: max_seq_length.unwrap_or(DEFAULT_MAX_TOKENS).min(limit),
        })
    }
}

/// The lower of the model's position count and the tokenizer's limit.
fn limit(config: &Config, tokenizer: &TokenizerConfig) -> usize {
    let kind = config.model_type.as_deref().unwrap_or_default();
    // RoBERTa and MPNet reserve their first positions for padding.
    let reserved = if kind.contains("roberta") || kind == "mpnet" {
        2
    } else {
        0
    };
    let positions = config
        .max_position_embeddings
        .map_or(usize::MAX, |positions| positions.saturating_sub(reserved));
    // The cast from float saturates.
    let max_length = tokenizer
        .model_max_length
        .map_or(usize::MAX, |length| length as usize);
    positions.min(max_length)
}

fn read(path: &Path) -> Result<Vec<u8>, EmbedError> {
    fs_err::read(path).map_err(|error| {
        EmbedError::unusable(
            path,
            format!("cannot be read ({}): download the complete model", error.kind()),
        )
    })
}

fn json<'a, T: Deserialize<'a>>(path: &Path, bytes: &'a [u8]) -> Result<T, EmbedError> {
    serde_json::from_slice(bytes).map_err(|error| {
        EmbedError::unusable(
            path,
            format!("cannot be parsed ({error}): download the model again"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_limit_is_the_lower_of_positions_and_tokenizer_limit() {
        let limit_of = |kind: &str, positions, length| {
            let config = Config {
                model_type: Some(kind.to_owned()),
                max_position_embeddings: positions,
            };
            limit(
                &config,
                &TokenizerConfig {
                    model_max_length: length,
                },
            )
        };
        assert_eq!(limit_of("bert", Some(512), Some(256.0)), 256);
        assert_eq!(limit_of("bert", Some(512), Some(1e30)), 512);
        assert_eq!(limit_of("xlm-roberta", Some(514), None), 512);
        assert_eq!(limit_of("nomic_bert", None, Some(8192.0)), 8192);
    }

    #[test]
    fn the_error_for_a_folder_without_a_graph_names_the_folder() {
        let error = Graph::in_folder(Path::new("/nonexistent"))
            .err()
            .map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.starts_with("/nonexistent has no model.onnx")));
    }
}
