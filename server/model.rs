//! The embedding model of an index: the one selected with `autorag model use`, else the one in the settings, else the built-in one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use autorag_embedder::{Embedder, ModelSource};
use autorag_store::{ModelIdentity, StoreError};

use crate::config::{Environment, FASTEMBED, HUB, ModelSettings, Provider};

/// File in the index folder that stores the choice of `autorag model use`.
const SELECTION: &str = "model.json";
/// Cache folder of quantized weights, next to the index folders.
const PACKED: &str = "models";

/// The model that an argument of `autorag model use` names: a folder, or a model of the hub, of fastembed, or built in.
///
/// # Errors
/// When there is no such folder or name.
pub fn parse_argument(argument: &str) -> anyhow::Result<ModelSettings> {
    let graph_folder = argument
        .strip_prefix(FASTEMBED)
        .filter(|folder| folder.contains(std::path::is_separator));
    if let Some(folder) = graph_folder {
        let path = fs_err::canonicalize(folder)
            .with_context(|| format!("cannot open the folder of model.onnx {folder}"))?;
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
            "{argument} is neither {}, nor hub:OWNER/NAME, nor fastembed:NAME, nor a model folder",
            ModelSource::BUILT_IN
        )
    })?;
    Ok(ModelSettings {
        path: Some(path),
        ..ModelSettings::default()
    })
}

/// Opens the models of the indexes in one data folder.
#[derive(Debug, Clone)]
pub struct Models {
    /// Cache folder of quantized weights.
    pub packed: PathBuf,
    /// The section `[model]` of the settings.
    pub settings: ModelSettings,
    /// Environment variables, for API keys and the address of the hub.
    pub environment: Environment,
}

impl Models {
    /// The models for the index in `data_dir`. Their cache folder is next to it.
    pub fn beside(data_dir: &Path, settings: ModelSettings, environment: Environment) -> Models {
        let base = data_dir.parent().unwrap_or(data_dir);
        Models {
            packed: base.join(PACKED),
            settings,
            environment,
        }
    }

    /// Opens the model that the index in `data_dir` should have: the selected one, else that of the settings.
    ///
    /// # Errors
    /// When the model cannot be opened, or the selection cannot be read.
    pub fn open_configured(&self, data_dir: &Path) -> anyhow::Result<(Arc<Embedder>, ModelIdentity)> {
        let settings = selection(data_dir)?.unwrap_or_else(|| self.settings.clone());
        self.open(&settings, autorag_store::read_model(data_dir)?.as_ref())
    }

    /// Opens a model. If the provider of a remote model is not available, `known` provides the number of dimensions.
    ///
    /// # Errors
    /// When the model cannot be opened.
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

    /// Opens the model of an index again.
    ///
    /// # Errors
    /// When the model cannot be opened, or its version has changed. Vectors of two versions are not comparable.
    pub fn reopen(&self, pinned: &ModelIdentity) -> anyhow::Result<Arc<Embedder>> {
        let settings = match pinned.source.as_str() {
            "" => ModelSettings::default(),
            json => serde_json::from_str(json).context("the index does not record where its model is")?,
        };
        let (embedder, identity) = self.open(&settings, Some(pinned))?;
        anyhow::ensure!(
            identity.is_same_model(pinned),
            "the model {} has changed: the index was made with version {}, but this is version {}",
            pinned.id,
            pinned.version,
            identity.version
        );
        Ok(embedder)
    }
}

/// The model selected for the index in `data_dir`, if one is selected.
///
/// # Errors
/// When the selection cannot be read.
pub fn selection(data_dir: &Path) -> anyhow::Result<Option<ModelSettings>> {
    let path = data_dir.join(SELECTION);
    let text = match fs_err::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        // A StoreError recognises a lack of file descriptors, for which there is a hint.
        Err(error) => return Err(StoreError::from(error).into()),
    };
    let selection = serde_json::from_slice(&text);
    selection.map(Some).with_context(|| {
        format!(
            "{} is corrupt; run `autorag model use` to write it again",
            path.display()
        )
    })
}

/// Stores the selected model for the index in `data_dir`; `None` removes the selection.
///
/// # Errors
/// When the file cannot be written or removed.
pub fn select(data_dir: &Path, selection: Option<ModelSettings>) -> anyhow::Result<()> {
    let path = data_dir.join(SELECTION);
    let Some(selection) = selection else {
        return match fs_err::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        };
    };
    fs_err::create_dir_all(data_dir)?;
    let mut file = tempfile::NamedTempFile::new_in(data_dir)?;
    serde_json::to_writer_pretty(&mut file, &selection.absolute()?)?;
    file.as_file().sync_all()?;
    file.persist(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}
