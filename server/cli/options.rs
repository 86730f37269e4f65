//! Flags that commands share, and what they come to once file and environment are taken in.

use std::path::{Path, PathBuf};

use anyhow::Context;
use autorag_indexer::IndexOptions;
use clap::Args;
use toml::Value;

use super::parse_worker;
use crate::config::{self, Environment, Loaded, Override, Settings};
use crate::instance::InstanceConfig;
use crate::model::Models;
use crate::progress::Show;
use crate::{data_dir, telemetry};

/// Where settings come from and how much is said.
#[derive(Debug, Args)]
pub struct CommonFlags {
    /// Folder that holds the indexes, one subfolder for each [default: autorag under the XDG data folder]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Settings file to read in place of autorag.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Say more in the log
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    /// Show no progress, and log only warnings and errors
    #[arg(short, long)]
    quiet: bool,
}

/// Which files are read.
#[derive(Debug, Default, Args)]
pub struct WalkFlags {
    /// Read only files that match this glob; may be given again
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Read no file that matches this glob; may be given again, and wins over --include
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Read hidden files too
    #[arg(long)]
    hidden: bool,
    /// Read files that .gitignore, .ignore and .autoragignore leave out
    #[arg(long)]
    no_ignore: bool,
    /// Largest file to read, in bytes
    #[arg(long, value_name = "BYTES")]
    max_file_size: Option<u64>,
}

/// What a command runs with.
pub struct Setup {
    /// All settings, with their origins.
    pub loaded: Loaded,
    /// Variables of the process, for what is no setting: keys, XDG folders, the hub's address.
    pub environment: Environment,
    /// How progress is shown.
    pub show: Show,
}

impl CommonFlags {
    /// As if `--quiet` alone had been given.
    pub fn quiet() -> CommonFlags {
        CommonFlags {
            data_dir: None,
            config: None,
            verbose: false,
            quiet: true,
        }
    }

    /// Loads settings, `extra` above all, and starts logging.
    ///
    /// # Errors
    /// When a setting is wrong; the message names it.
    pub fn setup(&self, walk: &WalkFlags, mut extra: Vec<Override>) -> anyhow::Result<Setup> {
        if let Some(folder) = &self.data_dir {
            let folder = folder
                .to_str()
                .with_context(|| format!("--data-dir: {} is not valid UTF-8", folder.display()))?;
            extra.push(("data_dir", Value::String(folder.to_owned())));
        }
        if self.verbose {
            extra.push(("log.level", Value::String("debug".into())));
        } else if self.quiet {
            extra.push(("log.level", Value::String("warn".into())));
        }
        extra.extend(walk.overrides()?);
        let environment = Environment::of_process();
        let loaded = config::load(self.config.as_deref(), &environment, extra)?;
        telemetry::start(&loaded.settings.log)?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        Ok(Setup {
            loaded,
            environment,
            show: Show::fitting(self.quiet),
        })
    }
}

impl WalkFlags {
    fn overrides(&self) -> anyhow::Result<Vec<Override>> {
        let globs = |list: &[String]| Value::Array(list.iter().cloned().map(Value::String).collect());
        let mut set = Vec::new();
        if !self.include.is_empty() {
            set.push(("index.include", globs(&self.include)));
        }
        if !self.exclude.is_empty() {
            set.push(("index.exclude", globs(&self.exclude)));
        }
        if self.hidden {
            set.push(("index.hidden", Value::Boolean(true)));
        }
        if self.no_ignore {
            set.push(("index.respect_ignore", Value::Boolean(false)));
        }
        if let Some(bytes) = self.max_file_size {
            let bytes = i64::try_from(bytes).context("--max-file-size is too large")?;
            set.push(("index.max_file_size", Value::Integer(bytes)));
        }
        Ok(set)
    }
}

impl Setup {
    /// All settings.
    pub fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// The folder of packed weights.
    ///
    /// # Errors
    /// When there is no place for indexes.
    pub fn packed_models(&self) -> anyhow::Result<PathBuf> {
        let somewhere = data_dir::of(&[], self.settings().data_dir.as_deref())?;
        Ok(self.models(&somewhere).packed)
    }

    /// The index of `folders`.
    ///
    /// # Errors
    /// When a folder is not there, or there is no place for the index.
    pub fn instance_config(&self, folders: &[PathBuf]) -> anyhow::Result<InstanceConfig> {
        let sources = data_dir::sources(folders)?;
        let data_dir = data_dir::of(&sources, self.settings().data_dir.as_deref())?;
        let models = self.models(&data_dir);
        Ok(InstanceConfig {
            sources,
            data_dir,
            options: self.index_options(),
            search: self.settings().search.clone(),
            reranker: self.settings().rerank.options(&self.environment)?,
            models,
            vector_index: self.settings().vectors.index,
        })
    }

    fn models(&self, data_dir: &Path) -> Models {
        Models::beside(data_dir, self.settings().model.clone(), self.environment.clone())
    }

    /// What the indexer needs of the settings, with this program as the one whose processes parse.
    pub fn index_options(&self) -> IndexOptions {
        IndexOptions {
            parser: parse_worker::command(),
            ..self.settings().index_options()
        }
    }
}
