//! Which model an index is made with: the one that was chosen for it, else the one that settings name, else the built-in one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use autorag_embedder::{Embedder, ModelSource};
use autorag_store::{ModelIdentity, StoreError};

use crate::config::{Environment, FASTEMBED, HUB, ModelSettings, Provider};

/// The file of an index's folder that holds what `autorag model use` chose.
const CHOICE: &str = "model.json";
/// The folder of packed weights, beside the indexes.
const PACKED: &str = "models";
/// What was typed after `autorag model use`: a folder, or a name.
///
/// # Errors
/// When it is neither.
pub fn of_argument(argument: &str) -> anyhow::Result<ModelSettings> {
    let graph = argument
        .strip_prefix(FASTEMBED)
        .filter(|folder| folder.contains(std::path::is_separator));
    if let Some(folder) = graph {
        let path = fs_err::canonicalize(folder)
            .with_context(|| format!("{folder} is no folder that holds model.onnx"))?;
        return Ok(ModelSettings {
            provider: Some(Provider::Fastembed),
            path: Some(path),
            ..ModelSettings::default()
        });
    }
    let is_name = [HUB, FASTEMBED].iter().any(|prefix| argument.starts_with(prefix))
        || argument == ModelSource::BUILT_IN;
    if is_name {
        return Ok(ModelSettings {
            name: Some(argument.to_owned()),
            ..ModelSettings::default()
        });
    }
    let path = fs_err::canonicalize(argument).with_context(|| {
        format!(
            "{argument} is neither {}, nor hub:OWNER/NAME, nor fastembed:NAME, nor a folder that holds a model",
            ModelSource::BUILT_IN
        )
    })?;
    Ok(ModelSettings {
        path: Some(path),
        ..ModelSettings::default()
    })
}

/// The models of the indexes in one data folder.
#[derive(Debug, Clone)]
pub struct Models {
    /// Folder of packed weights.
    pub packed: PathBuf,
    /// Settings of the section `[model]`.
    pub settings: ModelSettings,
    /// Where keys and the hub's address come from.
    pub environment: Environment,
}

impl Models {
    /// Those beside the index in `data_dir`.
    pub fn beside(data_dir: &Path, settings: ModelSettings, environment: Environment) -> Models {
        let base = data_dir.parent().unwrap_or(data_dir);
        Models {
            packed: base.join(PACKED),
            settings,
            environment,
        }
    }

    /// Opens the model that the index in `data_dir` is to be made with.
    ///
    /// # Errors
    /// When it cannot be opened, or the choice cannot be read.
    pub fn open_wanted(&self, data_dir: &Path) -> anyhow::Result<(Arc<Embedder>, ModelIdentity)> {
        let settings = match choice(data_dir)? {
            Some(choice) => choice,
            None => self.settings.clone(),
        };
        self.open(&settings, autorag_store::read_model(data_dir)?.as_ref())
    }

    /// Opens a model. How long the vectors of a remote one are is known from what was `known` of it, should its provider not answer.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(
        &self,
        settings: &ModelSettings,
        known: Option<&ModelIdentity>,
    ) -> anyhow::Result<(Arc<Embedder>, ModelIdentity)> {
        let mut source = settings.source(Some(&self.packed), &self.environment)?;
        if let (ModelSource::Remote(options), Some(known)) = (&mut source, known) {
            options.recall_dimensions(&known.id, &known.version, known.dimensions);
        }
        let embedder = Embedder::open(&source)?;
        let model = embedder.model();
        let source = match source {
            ModelSource::BuiltIn => String::new(),
            _ => serde_json::to_string(&settings.clone().absolute()?)?,
        };
        let identity = ModelIdentity {
            id: model.id.clone(),
            version: model.version.clone(),
            dimensions: model.dimensions,
            pooling: model.pooling.map(|pooling| pooling.to_string()),
            query_prefix: model.query_prefix.clone(),
            passage_prefix: model.passage_prefix.clone(),
            source,
        };
        Ok((Arc::new(embedder), identity))
    }

    /// Opens the model that an index is pinned to, if it is still there and still makes the same vectors.
    pub fn reopen(&self, pinned: &ModelIdentity) -> anyhow::Result<Arc<Embedder>> {
        let settings = match pinned.source.as_str() {
            "" => ModelSettings::default(),
            json => serde_json::from_str(json).context("the index does not say where its model is")?,
        };
        let (embedder, found) = self.open(&settings, Some(pinned))?;
        anyhow::ensure!(
            found.is_same_model(pinned),
            "the model {} is not the one that the index was made with: version {} in place of {}",
            pinned.id,
            found.version,
            pinned.version
        );
        Ok(embedder)
    }
}

/// The model that was chosen for the index in `data_dir`.
pub fn choice(data_dir: &Path) -> anyhow::Result<Option<ModelSettings>> {
    let path = data_dir.join(CHOICE);
    let text = match fs_err::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        // A StoreError recognises a lack of file descriptors, for which there is a hint.
        Err(error) => return Err(StoreError::from(error).into()),
    };
    let choice = serde_json::from_slice(&text);
    choice.map(Some).with_context(|| {
        format!(
            "{} cannot be understood; `autorag model use` writes it anew",
            path.display()
        )
    })
}

/// Writes down, or forgets, the choice for the index in `data_dir`.
pub fn choose(data_dir: &Path, choice: Option<ModelSettings>) -> anyhow::Result<()> {
    let path = data_dir.join(CHOICE);
    let Some(choice) = choice else {
        return match fs_err::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        };
    };
    fs_err::create_dir_all(data_dir)?;
    let mut file = tempfile::NamedTempFile::new_in(data_dir)?;
    serde_json::to_writer_pretty(&mut file, &choice.absolute()?)?;
    file.as_file().sync_all()?;
    file.persist(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}
