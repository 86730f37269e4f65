//! The files that a graph is computed with.

use std::path::{Path, PathBuf};

use fastembed::TokenizerFiles;
use serde::Deserialize;

use crate::error::EmbedError;

/// Names of a file of weights beside `model.onnx`.
const WEIGHTS: [&str; 2] = ["model.onnx_data", "model.onnx.data"];

/// Tokens of the longest text, where neither the model nor a setting says less or more.
const USUAL_TOKENS: usize = 512;

/// Where the files of a model are.
pub(super) struct Graph {
    pub(super) dir: PathBuf,
    pub(super) model: PathBuf,
    pub(super) weights: Vec<PathBuf>,
}

/// Their contents.
pub(super) struct Contents {
    pub(super) graph: Vec<u8>,
    /// Weights beside the graph, by the names that it has for them.
    pub(super) weights: Vec<(String, Vec<u8>)>,
    pub(super) settings: Settings,
}

/// What is not the graph.
pub(super) struct Settings {
    pub(super) tokenizer: TokenizerFiles,
    /// Most tokens that a text may have.
    pub(super) limit: usize,
    /// Tokens of the longest text, unless a setting says otherwise.
    pub(super) usual: usize,
}

#[derive(Deserialize)]
struct Config {
    model_type: Option<String>,
    max_position_embeddings: Option<usize>,
}

#[derive(Deserialize)]
struct TokenizerConfig {
    // Where there is no limit, a number that only a float can be.
    model_max_length: Option<f64>,
}

#[derive(Deserialize)]
struct SentenceBert {
    max_seq_length: Option<usize>,
}

impl Graph {
    /// The graph of a folder.
    pub(super) fn of(dir: &Path) -> Result<Self, EmbedError> {
        let model = dir.join("model.onnx");
        if !model.is_file() {
            return Err(EmbedError::unusable(
                dir,
                "has no model.onnx: name the folder that holds model.onnx, tokenizer.json, config.json and tokenizer_config.json",
            ));
        }
        let beside = WEIGHTS.iter().map(|name| dir.join(name));
        Ok(Self {
            dir: dir.to_owned(),
            model,
            weights: beside.filter(|path| path.is_file()).collect(),
        })
    }

    /// Reads all of it.
    pub(super) fn read(&self) -> Result<Contents, EmbedError> {
        let settings = self.settings()?;
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

    /// Reads the tokenizer, and how long a text may be.
    pub(super) fn settings(&self) -> Result<Settings, EmbedError> {
        let config_path = self.dir.join("config.json");
        let config_file = read(&config_path)?;
        let config: Config = json(&config_path, &config_file)?;
        let tokenizer_config_path = self.dir.join("tokenizer_config.json");
        let tokenizer_config_file = read(&tokenizer_config_path)?;
        let tokenizer_config: TokenizerConfig = json(&tokenizer_config_path, &tokenizer_config_file)?;
        let special_tokens_map_file = match self.dir.join("special_tokens_map.json") {
            path if path.is_file() => read(&path)?,
            // Newer models have it all in tokenizer.json.
            _ => b"{}".to_vec(),
        };
        let said = match self.dir.join("sentence_bert_config.json") {
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
            usual: said.unwrap_or(USUAL_TOKENS).min(limit),
        })
    }
}

fn limit(config: &Config, tokenizer: &TokenizerConfig) -> usize {
    let kind = config.model_type.as_deref().unwrap_or_default();
    // Its first positions are those of padding.
    let unused = if kind.contains("roberta") || kind == "mpnet" {
        2
    } else {
        0
    };
    let positions = config
        .max_position_embeddings
        .map_or(usize::MAX, |positions| positions.saturating_sub(unused));
    // The conversion ends at the largest number there is.
    let said = tokenizer
        .model_max_length
        .map_or(usize::MAX, |length| length as usize);
    positions.min(said)
}

fn read(path: &Path) -> Result<Vec<u8>, EmbedError> {
    fs_err::read(path).map_err(|error| {
        EmbedError::unusable(
            path,
            format!("cannot be read ({}): get the whole model", error.kind()),
        )
    })
}

fn json<'a, T: Deserialize<'a>>(path: &Path, bytes: &'a [u8]) -> Result<T, EmbedError> {
    serde_json::from_slice(bytes).map_err(|error| {
        EmbedError::unusable(
            path,
            format!("cannot be understood ({error}): get the model again"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_as_long_as_positions_and_tokenizer_both_allow() {
        let of = |kind: &str, positions, length| {
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
        assert_eq!(of("bert", Some(512), Some(256.0)), 256);
        assert_eq!(of("bert", Some(512), Some(1e30)), 512);
        assert_eq!(of("xlm-roberta", Some(514), None), 512);
        assert_eq!(of("nomic_bert", None, Some(8192.0)), 8192);
    }

    #[test]
    fn a_folder_without_a_graph_is_refused_by_name() {
        let error = Graph::of(Path::new("/nonexistent"))
            .err()
            .map(|error| error.to_string());
        assert!(error.is_some_and(|error| error.starts_with("/nonexistent has no model.onnx")));
    }
}
