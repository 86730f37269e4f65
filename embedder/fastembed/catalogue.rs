//! The models of fastembed's catalogue.

use fastembed::{EmbeddingModel, OutputKey, QuantizationMode, RerankerModelInfo, TextEmbedding, TextRerank};

use super::graph::Graph;
use crate::error::EmbedError;
use crate::hub::{self, HubAccess, HubFile, HubModel};

/// Longest graph and longest file of external weights, in bytes.
const MAX_WEIGHTS_LENGTH: u64 = 16 << 30;
/// Longest `tokenizer.json`, in bytes.
const MAX_TOKENIZER_LENGTH: u64 = 256 << 20;
/// Longest settings file, in bytes.
const MAX_SETTINGS_LENGTH: u64 = 4 << 20;

/// The files of a model besides its graph.
const SMALL_FILES: [HubFile<'static>; 5] = [
    // First, because every model has it, and the first file determines the commit.
    HubFile::new("config.json", MAX_SETTINGS_LENGTH, true),
    HubFile::new("tokenizer.json", MAX_TOKENIZER_LENGTH, true),
    HubFile::new("tokenizer_config.json", MAX_SETTINGS_LENGTH, true),
    HubFile::new("special_tokens_map.json", MAX_SETTINGS_LENGTH, false),
    HubFile::new("config_sentence_transformers.json", MAX_SETTINGS_LENGTH, false),
];

/// A model whose files are on disk.
pub(super) struct ModelFiles {
    pub(super) graph: Graph,
    /// The name in the catalogue's spelling.
    pub(super) name: String,
    /// The name on the hub, without suffixes for the ONNX format.
    pub(super) hub_name: String,
    pub(super) pooling: Option<fastembed::Pooling>,
    pub(super) output: Option<OutputKey>,
    /// Whether activations are quantized over all texts of a run.
    pub(super) is_dynamic: bool,
}

/// Finds a model by name and downloads it unless it is in the cache.
pub(super) fn fetch(name: &str, access: &HubAccess) -> Result<ModelFiles, EmbedError> {
    let model: EmbeddingModel = name.parse().map_err(|_| unknown(name))?;
    let info = TextEmbedding::get_model_info(&model).map_err(|_| unknown(name))?;
    let name = model.to_string();
    let files = (info.model_file.as_str(), info.additional_files.as_slice());
    Ok(ModelFiles {
        graph: download(&info.model_code, &name, files, access)?,
        hub_name: strip_onnx_suffix(&info.model_code).to_owned(),
        name,
        pooling: TextEmbedding::get_default_pooling_method(&model),
        output: info.output_key.clone(),
        is_dynamic: TextEmbedding::get_quantization_mode(&model) == QuantizationMode::Dynamic,
    })
}

/// Finds a reranker by its catalogue name or its hub name.
pub(super) fn find_reranker(name: &str) -> Result<RerankerModelInfo, EmbedError> {
    let models = TextRerank::list_supported_models();
    let names: Vec<String> = models.iter().map(variant_name).collect();
    let matches = |info: &RerankerModelInfo| {
        variant_name(info).eq_ignore_ascii_case(name) || info.model_code.eq_ignore_ascii_case(name)
    };
    models
        .into_iter()
        .find(matches)
        .ok_or_else(|| EmbedError::Setting {
            setting: "rerank.model",
            message: format!(
                "{name:?} is not a reranker of fastembed; it has {}",
                names.join(", ")
            ),
        })
}

/// Finds a reranker and downloads it unless it is in the cache.
pub(super) fn fetch_reranker(name: &str, access: &HubAccess) -> Result<Graph, EmbedError> {
    let info = find_reranker(name)?;
    let files = (info.model_file.as_str(), info.additional_files.as_slice());
    download(&info.model_code, &variant_name(&info), files, access)
}

fn variant_name(info: &RerankerModelInfo) -> String {
    format!("{:?}", info.model)
}

/// Downloads a model's small files, its graph and its external weights. `name` identifies them in the cache.
fn download(
    code: &str,
    name: &str,
    (graph, external): (&str, &[String]),
    access: &HubAccess,
) -> Result<Graph, EmbedError> {
    let mut files = SMALL_FILES.to_vec();
    let weights = std::iter::once(graph).chain(external.iter().map(String::as_str));
    files.extend(weights.map(|file| HubFile::new(file, MAX_WEIGHTS_LENGTH, true)));
    let model: HubModel = code.parse()?;
    let dir = hub::fetch_files(&model, access, name, &files)?;
    Ok(Graph {
        model: dir.join(graph),
        weights: external.iter().map(|file| dir.join(file)).collect(),
        dir,
    })
}

fn strip_onnx_suffix(code: &str) -> &str {
    let code = code.strip_suffix("-Q").unwrap_or(code);
    ["-onnx", "-ONNX"]
        .iter()
        .find_map(|suffix| code.strip_suffix(suffix))
        .unwrap_or(code)
}

fn unknown(name: &str) -> EmbedError {
    let mut names: Vec<String> = TextEmbedding::list_supported_models()
        .iter()
        .map(|info| info.model.to_string())
        .collect();
    names.sort();
    EmbedError::Setting {
        setting: "model.name",
        message: format!(
            "{name:?} is not a model of fastembed; it has {}",
            names.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    /// A hub that cannot be reached.
    fn unreachable_hub() -> HubAccess {
        HubAccess {
            endpoint: "http://127.0.0.1:1".into(),
            token: None,
            cache: "/nonexistent".into(),
        }
    }

    #[test]
    fn every_model_has_a_valid_hub_name() {
        for info in TextEmbedding::list_supported_models() {
            let name = info.model.to_string();
            assert!(info.model_code.parse::<HubModel>().is_ok(), "{name}");
            assert_eq!(name.parse(), Ok(info.model), "{name}");
        }
        for info in TextRerank::list_supported_models() {
            assert!(info.model_code.parse::<HubModel>().is_ok(), "{}", info.model_code);
        }
    }

    #[test]
    fn the_error_for_an_unknown_model_lists_the_known_ones() {
        let error = fetch("BGETiny", &unreachable_hub()).err().unwrap().to_string();
        assert!(
            error.contains("\"BGETiny\"") && error.contains("BGESmallENV15Q"),
            "{error}"
        );
    }

    #[test]
    fn the_error_for_an_unknown_reranker_lists_the_known_ones() {
        let error = find_reranker("BGETiny").err().unwrap().to_string();
        assert!(
            error.contains("\"BGETiny\"") && error.contains("BGERerankerBase"),
            "{error}"
        );
    }

    #[test]
    fn onnx_suffixes_are_stripped_from_hub_names() {
        assert_eq!(
            strip_onnx_suffix("Qdrant/bge-base-en-v1.5-onnx-Q"),
            "Qdrant/bge-base-en-v1.5"
        );
        assert_eq!(
            strip_onnx_suffix("a/embeddinggemma-300m-ONNX"),
            "a/embeddinggemma-300m"
        );
        assert_eq!(strip_onnx_suffix("BAAI/bge-m3"), "BAAI/bge-m3");
    }
}
