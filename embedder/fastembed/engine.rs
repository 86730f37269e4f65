//! Embedding models in ONNX Runtime.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use fastembed::{InitOptionsUserDefined, TextEmbedding, UserDefinedEmbeddingModel};
use ort::session::builder::AutoDevicePolicy;

use super::catalogue::{self, ModelFiles};
use super::graph::{Contents, Graph};
use super::options::{FastembedModel, FastembedOptions};
use super::runtime;
use crate::directory;
use crate::embedder::Embedder;
use crate::engine::{Batching, Deliver, EmbeddingEngine, Input, Patience};
use crate::error::EmbedError;
use crate::model::{ModelInfo, Pooling};
use crate::tokenizer::Tokenizer;

/// Texts per run of the graph. Small, because a query waits for the current run to end.
const RUN_TEXTS: usize = 4;

/// Texts per call: four runs of the graph.
const CALL_TEXTS: usize = 4 * RUN_TEXTS;

/// ONNX operator that quantizes activations with one range for all texts of a run, so each text's vector depends on the others.
const DYNAMIC_OPERATOR: &[u8] = b"DynamicQuantizeLinear";

/// A model in ONNX Runtime.
struct Fastembed {
    /// A run needs exclusive access, and uses all processors.
    embedding: Mutex<TextEmbedding>,
    graph: PathBuf,
    /// Texts per run: one if other texts of the run would change a vector.
    run_texts: usize,
}

/// Opens a model in ONNX Runtime.
pub(crate) fn open(options: &FastembedOptions) -> Result<Embedder, EmbedError> {
    // Load the library before a download that would be useless without it.
    let environment = runtime::environment(options.runtime.as_deref())?;
    let files = match &options.model {
        FastembedModel::Catalogue { name, access } => catalogue::fetch(name, access)?,
        FastembedModel::Folder(dir) => describe_folder(Graph::in_folder(dir)?)?,
    };
    let contents = files.graph.read()?;
    let max_tokens = options.max_tokens.unwrap_or(contents.settings.default_max_tokens);
    let tokenizer = Tokenizer::read_json(
        &files.graph.dir.join("tokenizer.json"),
        &contents.settings.tokenizer.tokenizer_file,
    )?;
    let min_tokens = tokenizer.special_tokens() + 1;
    if !(min_tokens..=contents.settings.limit).contains(&max_tokens) {
        let limit = contents.settings.limit;
        let reason =
            format!("reads {min_tokens} to {limit} tokens, not {max_tokens}: set max_tokens in this range");
        return Err(EmbedError::unusable(&files.graph.dir, reason));
    }
    let (query, passage) = directory::prefixes(&files.graph.dir, &files.hub_name)?;
    let query_prefix = options.query_prefix.clone().unwrap_or(query);
    let passage_prefix = options.passage_prefix.clone().unwrap_or(passage);
    let pooling = files.pooling.as_ref().map(|pooling| match pooling {
        fastembed::Pooling::Mean => Pooling::Mean,
        fastembed::Pooling::Cls => Pooling::First,
    });
    let version = version(
        &contents,
        &[
            pooling.map_or("", Pooling::as_str),
            &query_prefix,
            &passage_prefix,
            &max_tokens.to_string(),
        ],
    );

    let is_dynamic = files.is_dynamic || contains(&contents.graph, DYNAMIC_OPERATOR);
    let mut source = UserDefinedEmbeddingModel::new(contents.graph, contents.settings.tokenizer);
    for (name, bytes) in contents.weights {
        source = source.with_external_initializer(name, bytes);
    }
    source.pooling = files.pooling;
    source.output_key = files.output;
    let init = InitOptionsUserDefined::new()
        .with_environment(environment)
        // CPU only: vectors must not depend on which accelerator a machine happens to have.
        .with_auto_device(AutoDevicePolicy::PreferCPU)
        .with_max_length(max_tokens);
    let unusable = |reason: String| EmbedError::unusable(&files.graph.model, reason);
    let mut embedding = TextEmbedding::try_new_from_user_defined(source, init)
        .map_err(|error| unusable(format!("cannot be opened ({error}): download the complete model")))?;
    // Special tokens spelled out in a text are plain text.
    embedding.tokenizer.set_encode_special_tokens(true);
    let engine = Fastembed {
        embedding: Mutex::new(embedding),
        graph: files.graph.model.clone(),
        run_texts: if is_dynamic { 1 } else { RUN_TEXTS },
    };
    let probe = engine.run(&["a"])?.swap_remove(0);
    if probe.is_empty() || !probe.iter().all(|value| value.is_finite()) {
        return Err(unusable(
            "produces vectors that are empty or not finite: download the model again".into(),
        ));
    }
    let model = ModelInfo {
        id: files.name,
        version,
        dimensions: probe.len(),
        max_tokens,
        pooling,
        query_prefix,
        passage_prefix,
    };
    Ok(Embedder::new(model, tokenizer, engine))
}

/// Reads from a folder what the catalogue knows about its own models.
fn describe_folder(graph: Graph) -> Result<ModelFiles, EmbedError> {
    let (name, pooling) = directory::name_and_pooling(&graph.dir)?;
    Ok(ModelFiles {
        graph,
        hub_name: name.clone(),
        name,
        pooling: Some(match pooling {
            Pooling::Mean => fastembed::Pooling::Mean,
            Pooling::First => fastembed::Pooling::Cls,
        }),
        output: None,
        is_dynamic: false,
    })
}

impl Fastembed {
    /// Runs the graph once. Returns one vector of length one for each input.
    fn run(&self, inputs: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut embedding = self.embedding.lock().unwrap_or_else(PoisonError::into_inner);
        let vectors = embedding
            .embed(inputs, None)
            .map_err(|error| EmbedError::unusable(&self.graph, format!("cannot be computed: {error}")))?;
        if vectors.len() == inputs.len() {
            return Ok(vectors);
        }
        let (actual, expected) = (vectors.len(), inputs.len());
        let reason = format!(
            "returns {actual} vectors for {expected} texts: only graphs with a batch dimension are supported"
        );
        Err(EmbedError::unusable(&self.graph, reason))
    }
}

impl EmbeddingEngine for Fastembed {
    fn batching(&self) -> Batching {
        Batching {
            texts: CALL_TEXTS,
            calls: Some(1),
        }
    }

    fn embed_passages(
        &self,
        inputs: Vec<Input<'_>>,
        patience: &dyn Fn() -> Patience,
        deliver: &mut Deliver<'_>,
    ) -> Result<(), EmbedError> {
        let texts: Vec<&str> = inputs.iter().map(|input| &*input.text).collect();
        let mut index = 0;
        for batch in texts.chunks(self.run_texts) {
            if patience() == Patience::None {
                return Err(EmbedError::Interrupted);
            }
            for vector in self.run(batch)? {
                deliver(index, Ok(vector));
                index += 1;
            }
        }
        Ok(())
    }

    fn embed_query(&self, input: Input<'_>) -> Result<Vec<f32>, EmbedError> {
        Ok(self.run(&[&input.text])?.swap_remove(0))
    }
}

/// Fingerprint of everything that vectors depend on: all files and `settings`.
fn version(contents: &Contents, settings: &[&str]) -> String {
    let mut version = blake3::Hasher::new();
    let tokenizer = &contents.settings.tokenizer;
    let files = [
        &contents.graph,
        &tokenizer.tokenizer_file,
        &tokenizer.config_file,
        &tokenizer.special_tokens_map_file,
        &tokenizer.tokenizer_config_file,
    ];
    let files = files
        .into_iter()
        .chain(contents.weights.iter().map(|(_, bytes)| bytes));
    let parts = files
        .map(Vec::as_slice)
        .chain(settings.iter().map(|part| part.as_bytes()));
    for part in parts {
        version.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    version.finalize().to_hex()[..12].to_owned()
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    let first = wanted[0];
    let mut starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == first);
    starts.any(|(at, _)| bytes[at..].starts_with(wanted))
}
