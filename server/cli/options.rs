//! Flags that commands share, and the settings that result from flags, environment and file.

use std::path::{Path, PathBuf};

use anyhow::Context;
use autorag_indexer::IndexOptions;
use clap::Args;
use toml::Value;

use super::parse_worker;
use crate::config::{self, Environment, Loaded, Override, Settings};
use crate::instance::InstanceConfig;
use crate::model::Models;
use crate::progress::ProgressDisplay;
use crate::{data_dir, telemetry};

/// Flags of every command.
#[derive(Debug, Args)]
pub struct CommonFlags {
    /// Folder that holds the indexes, one subfolder for each [default: ~/.local/share/autorag]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Settings file to read instead of autorag.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Log debug messages
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    /// Hide progress; log only warnings and errors
    #[arg(short, long)]
    quiet: bool,
}

/// Flags that select the files to index.
#[derive(Debug, Default, Args)]
pub struct WalkFlags {
    /// Index only files that match this glob; repeatable
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Skip files that match this glob; repeatable, overrides --include
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Index hidden files too
    #[arg(long)]
    hidden: bool,
    /// Do not honour .gitignore, .ignore and .autoragignore
    #[arg(long)]
    no_ignore: bool,
    /// Skip files larger than this many bytes
    #[arg(long, value_name = "BYTES")]
    max_file_size: Option<u64>,
}

/// Settings and environment of a command.
pub struct Setup {
    /// All settings, with their origins.
    pub loaded: Loaded,
    /// Environment variables, also those that are not settings: API keys, XDG folders, the hub's address.
    pub environment: Environment,
    /// Whether and how progress is shown.
    pub display: ProgressDisplay,
}

impl CommonFlags {
    /// The flags as if only `--quiet` was given.
    pub fn quiet() -> CommonFlags {
        CommonFlags {
            data_dir: None,
            config: None,
            verbose: false,
            quiet: true,
        }
    }

    /// Loads settings and starts logging. `extra` overrides everything else.
    ///
    /// # Errors
    /// If a setting is invalid; the message names it.
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
            display: ProgressDisplay::new(self.quiet),
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

    /// Folder that caches quantized weights.
    ///
    /// # Errors
    /// If neither the setting `data_dir` nor `XDG_DATA_HOME` nor `HOME` is set.
    pub fn packed_models(&self) -> anyhow::Result<PathBuf> {
        let any_index = data_dir::index_dir(&[], self.settings().data_dir.as_deref())?;
        Ok(self.models(&any_index).packed)
    }

    /// Configuration of the instance that indexes `folders`.
    ///
    /// # Errors
    /// If a folder does not exist, the reranker's settings contradict each other, or no data folder is known.
    pub fn instance_config(&self, folders: &[PathBuf]) -> anyhow::Result<InstanceConfig> {
        let sources = data_dir::resolve_sources(folders)?;
        let data_dir = data_dir::index_dir(&sources, self.settings().data_dir.as_deref())?;
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

    /// Options for the indexer. Its parser processes run this same program.
    pub fn index_options(&self) -> IndexOptions {
        IndexOptions {
            parser: parse_worker::command(),
            ..self.settings().index_options()
        }
    }
}
