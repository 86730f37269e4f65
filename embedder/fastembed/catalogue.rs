//! The models that fastembed has a name for.

use fastembed::{EmbeddingModel, OutputKey, QuantizationMode, RerankerModelInfo, TextEmbedding, TextRerank};

use super::folder::Graph;
use crate::error::EmbedError;
use crate::hub::{self, HubAccess, HubFile, HubModel};

/// Longest graph, and longest file of weights beside one.
const LARGEST_WEIGHTS: u64 = 16 << 30;
const LARGEST_TOKENIZER: u64 = 256 << 20;
const LARGEST_SETTINGS: u64 = 4 << 20;

/// Small files of a model, and whether it must have them.
const SMALL_FILES: [HubFile<'static>; 5] = [
    // First, since every model has it: the commit is looked up with it.
    HubFile::new("config.json", LARGEST_SETTINGS, true),
    HubFile::new("tokenizer.json", LARGEST_TOKENIZER, true),
    HubFile::new("tokenizer_config.json", LARGEST_SETTINGS, true),
    HubFile::new("special_tokens_map.json", LARGEST_SETTINGS, false),
    HubFile::new("config_sentence_transformers.json", LARGEST_SETTINGS, false),
];

/// A model of the catalogue, with its files here.
pub(super) struct Entry {
    pub(super) graph: Graph,
    /// Its name as the catalogue spells it.
    pub(super) name: String,
    /// Its name on the hub, without what says that it is an ONNX graph.
    pub(super) known_as: String,
    pub(super) pooling: Option<fastembed::Pooling>,
    pub(super) output: Option<OutputKey>,
    pub(super) is_dynamic: bool,
}

/// Finds a model by its name, and downloads what is not here yet.
pub(super) fn fetch(name: &str, access: &HubAccess) -> Result<Entry, EmbedError> {
    let model: EmbeddingModel = name.parse().map_err(|_| unknown(name))?;
    let info = TextEmbedding::get_model_info(&model).map_err(|_| unknown(name))?;
    let name = model.to_string();
    let files = (info.model_file.as_str(), info.additional_files.as_slice());
    Ok(Entry {
        graph: downloaded(&info.model_code, &name, files, access)?,
        known_as: plain_name(&info.model_code).to_owned(),
        name,
        pooling: TextEmbedding::get_default_pooling_method(&model),
        output: info.output_key.clone(),
        is_dynamic: TextEmbedding::get_quantization_mode(&model) == QuantizationMode::Dynamic,
    })
}

/// Finds a reranker by the name of its variant or on the hub.
pub(super) fn reranker(name: &str) -> Result<RerankerModelInfo, EmbedError> {
    let known = TextRerank::list_supported_models();
    let names: Vec<String> = known.iter().map(variant).collect();
    let is_it = |info: &RerankerModelInfo| {
        variant(info).eq_ignore_ascii_case(name) || info.model_code.eq_ignore_ascii_case(name)
    };
    known.into_iter().find(is_it).ok_or_else(|| EmbedError::Setting {
        setting: "rerank.model",
        message: format!(
            "{name:?} is not among the rerankers of fastembed, which are {}",
            names.join(", ")
        ),
    })
}

/// Finds a reranker, and downloads what is not here yet.
pub(super) fn fetch_reranker(name: &str, access: &HubAccess) -> Result<Graph, EmbedError> {
    let info = reranker(name)?;
    let files = (info.model_file.as_str(), info.additional_files.as_slice());
    downloaded(&info.model_code, &variant(&info), files, access)
}

fn variant(info: &RerankerModelInfo) -> String {
    format!("{:?}", info.model)
}

/// The files of a model of the hub, its graph and weights beside that among them; `name` is what to call it.
fn downloaded(
    code: &str,
    name: &str,
    (graph, beside): (&str, &[String]),
    access: &HubAccess,
) -> Result<Graph, EmbedError> {
    let mut files = SMALL_FILES.to_vec();
    let weights = std::iter::once(graph).chain(beside.iter().map(String::as_str));
    files.extend(weights.map(|file| HubFile::new(file, LARGEST_WEIGHTS, true)));
    let model: HubModel = code.parse()?;
    let dir = hub::fetch_files(&model, access, name, &files)?;
    Ok(Graph {
        model: dir.join(graph),
        weights: beside.iter().map(|file| dir.join(file)).collect(),
        dir,
    })
}

fn plain_name(code: &str) -> &str {
    let code = code.strip_suffix("-Q").unwrap_or(code);
    ["-onnx", "-ONNX"]
        .iter()
        .find_map(|end| code.strip_suffix(end))
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
            "{name:?} is not in the catalogue of fastembed, which has {}",
            names.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    /// A hub that nothing answers for.
    fn nowhere() -> HubAccess {
        HubAccess {
            endpoint: "http://127.0.0.1:1".into(),
            token: None,
            cache: "/nonexistent".into(),
        }
    }

    #[test]
    fn the_hub_has_a_name_for_every_model_and_its_files() {
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
    fn a_name_that_is_not_in_the_catalogue_is_answered_with_those_that_are() {
        let error = fetch("BGETiny", &nowhere()).err().unwrap().to_string();
        assert!(
            error.contains("\"BGETiny\"") && error.contains("BGESmallENV15Q"),
            "{error}"
        );
    }

    #[test]
    fn a_reranker_that_is_not_in_the_catalogue_is_answered_with_those_that_are() {
        let error = reranker("BGETiny").err().unwrap().to_string();
        assert!(
            error.contains("\"BGETiny\"") && error.contains("BGERerankerBase"),
            "{error}"
        );
    }

    #[test]
    fn what_says_that_a_model_is_a_graph_is_not_part_of_its_name() {
        assert_eq!(
            plain_name("Qdrant/bge-base-en-v1.5-onnx-Q"),
            "Qdrant/bge-base-en-v1.5"
        );
        assert_eq!(plain_name("a/embeddinggemma-300m-ONNX"), "a/embeddinggemma-300m");
        assert_eq!(plain_name("BAAI/bge-m3"), "BAAI/bge-m3");
    }
}
