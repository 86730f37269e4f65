//! A graph and its tokenizer in ONNX Runtime: texts in, vectors out.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use fastembed::{InitOptionsUserDefined, TextEmbedding, UserDefinedEmbeddingModel};
use ort::session::builder::AutoDevicePolicy;

use super::catalogue::{self, Entry};
use super::folder::{Contents, Graph};
use super::options::{FastembedModel, FastembedOptions};
use super::runtime;
use crate::directory;
use crate::embedder::Patience;
use crate::error::EmbedError;
use crate::model::{ModelInfo, Pooling};
use crate::tokenizer::Tokenizer;

/// Texts in a run of the graph. Few, so that a query does not wait long for a turn.
const BATCH: usize = 4;

/// The operator of graphs whose activations are quantised by the range that all texts of a run have together.
const DYNAMIC_OPERATOR: &[u8] = b"DynamicQuantizeLinear";

/// A model that ONNX Runtime computes.
pub(crate) struct Fastembed {
    /// A run needs it alone, and uses all processors.
    embedding: Mutex<TextEmbedding>,
    graph: PathBuf,
    /// Texts in a run: one where the others would change its vector.
    batch: usize,
}

/// A model that is ready to embed.
pub(crate) struct Opened {
    pub(crate) model: ModelInfo,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) engine: Fastembed,
}

/// Opens the model.
pub(crate) fn open(options: &FastembedOptions) -> Result<Opened, EmbedError> {
    // Before a download that may be for nothing.
    let environment = runtime::environment(options.runtime.as_deref())?;
    let entry = match &options.model {
        FastembedModel::Catalogue { name, access } => catalogue::fetch(name, access)?,
        FastembedModel::Folder(dir) => of_folder(Graph::of(dir)?)?,
    };
    let contents = entry.graph.read()?;
    let max_tokens = options.max_tokens.unwrap_or(contents.settings.usual);
    let tokenizer = Tokenizer::read_published(
        &entry.graph.dir.join("tokenizer.json"),
        &contents.settings.tokenizer.tokenizer_file,
    )?;
    let least = tokenizer.special_tokens() + 1;
    if !(least..=contents.settings.limit).contains(&max_tokens) {
        let limit = contents.settings.limit;
        let reason =
            format!("reads {least} to {limit} tokens, not {max_tokens}: set model.max_tokens within");
        return Err(EmbedError::unusable(&entry.graph.dir, reason));
    }
    let (query, passage) = directory::prefixes(&entry.graph.dir, &entry.known_as)?;
    let query_prefix = options.query_prefix.clone().unwrap_or(query);
    let passage_prefix = options.passage_prefix.clone().unwrap_or(passage);
    let pooling = entry.pooling.as_ref().map(|pooling| match pooling {
        fastembed::Pooling::Mean => Pooling::Mean,
        fastembed::Pooling::Cls => Pooling::First,
    });
    let pooled = pooling.map(|pooling| pooling.to_string()).unwrap_or_default();
    let version = version(
        &contents,
        &[&pooled, &query_prefix, &passage_prefix, &max_tokens.to_string()],
    );

    let is_dynamic = entry.is_dynamic || contains(&contents.graph, DYNAMIC_OPERATOR);
    let mut source = UserDefinedEmbeddingModel::new(contents.graph, contents.settings.tokenizer);
    for (name, bytes) in contents.weights {
        source = source.with_external_initializer(name, bytes);
    }
    source.pooling = entry.pooling;
    source.output_key = entry.output;
    let settings = InitOptionsUserDefined::new()
        .with_environment(environment)
        // The same vectors on every machine: nothing is handed to an accelerator that is there by chance.
        .with_auto_device(AutoDevicePolicy::PreferCPU)
        .with_max_length(max_tokens);
    let unusable = |reason: String| EmbedError::unusable(&entry.graph.model, reason);
    let mut embedding = TextEmbedding::try_new_from_user_defined(source, settings)
        .map_err(|error| unusable(format!("cannot be opened ({error}): get the whole model")))?;
    // The characters of a special token in a text are text.
    embedding.tokenizer.set_encode_special_tokens(true);
    let engine = Fastembed {
        embedding: Mutex::new(embedding),
        graph: entry.graph.model.clone(),
        batch: if is_dynamic { 1 } else { BATCH },
    };
    let probe = engine.run(&["a"])?.swap_remove(0);
    if probe.is_empty() || !probe.iter().all(|value| value.is_finite()) {
        return Err(unusable(
            "gives vectors that are empty or no numbers: get the model again".into(),
        ));
    }
    let model = ModelInfo {
        id: entry.name,
        version,
        dimensions: probe.len(),
        max_tokens,
        pooling,
        query_prefix,
        passage_prefix,
    };
    Ok(Opened {
        model,
        tokenizer,
        engine,
    })
}

/// What a catalogue would say of a folder's model.
fn of_folder(graph: Graph) -> Result<Entry, EmbedError> {
    let (name, pooling) = directory::name_and_pooling(&graph.dir)?;
    Ok(Entry {
        graph,
        known_as: name.clone(),
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
    /// Texts that one call takes best.
    pub(crate) fn batch(&self) -> usize {
        4 * BATCH
    }

    /// One vector of length one for each input, delivered run by run.
    pub(crate) fn embed(
        &self,
        inputs: &[&str],
        patience: &dyn Fn() -> Patience,
        deliver: &mut dyn FnMut(usize, Result<Vec<f32>, EmbedError>),
    ) -> Result<(), EmbedError> {
        let mut index = 0;
        for batch in inputs.chunks(self.batch) {
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

    /// The vector of one input.
    pub(crate) fn embed_one(&self, input: &str) -> Result<Vec<f32>, EmbedError> {
        Ok(self.run(&[input])?.swap_remove(0))
    }

    /// Runs the graph once. As many vectors come as there are texts.
    fn run(&self, inputs: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut embedding = self.embedding.lock().unwrap_or_else(PoisonError::into_inner);
        let vectors = embedding
            .embed(inputs, None)
            .map_err(|error| EmbedError::unusable(&self.graph, format!("cannot be computed: {error}")))?;
        if vectors.len() == inputs.len() {
            return Ok(vectors);
        }
        let (got, asked) = (vectors.len(), inputs.len());
        let reason =
            format!("gives {got} vectors for {asked} texts: only graphs that take several texts can be used");
        Err(EmbedError::unusable(&self.graph, reason))
    }
}

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
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == first);
    starts.into_iter().any(|(at, _)| bytes[at..].starts_with(wanted))
}
