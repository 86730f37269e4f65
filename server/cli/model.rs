//! `autorag model`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use autorag_embedder::{Embedder, ModelSource};
use autorag_store::{ModelIdentity, Store};
use clap::{Args, Subcommand};

use super::options::{CommonFlags, Setup, WalkFlags};
use crate::config::{ModelSettings, hub_cache};
use crate::model::{self, Models};

/// Argument that removes an earlier choice.
const DEFAULT: &str = "default";

#[derive(Debug, Args)]
pub struct Model {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List models: built in, configured, downloaded and quantized
    List(List),
    /// Choose the model of an index
    Use(Use),
    /// Show the model of an index
    Info(Info),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
struct Use {
    /// A folder, hub:OWNER/NAME or hub:OWNER/NAME@REVISION, fastembed:NAME, fastembed:./FOLDER (ONNX), all-MiniLM-L6-v2 (built in), or default
    /// (the configured one)
    #[arg(value_name = "MODEL")]
    model: String,
    /// The folder list that the index was created with
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Query prefix [default: the one in the model's files]
    #[arg(long, value_name = "TEXT")]
    query_prefix: Option<String>,
    /// Passage prefix [default: the one in the model's files]
    #[arg(long, value_name = "TEXT")]
    passage_prefix: Option<String>,
    /// Longest input in tokens [default: the limit in the model's files]
    #[arg(long, value_name = "TOKENS")]
    max_tokens: Option<usize>,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
struct Info {
    /// The folder list that the index was created with
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    common: CommonFlags,
}

impl Model {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut out = std::io::stdout().lock();
        match self.command {
            Command::List(list) => list.run(&mut out)?,
            Command::Use(choice) => choice.run(&mut out)?,
            Command::Info(info) => info.run(&mut out)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn setup(common: &CommonFlags) -> anyhow::Result<Setup> {
    common.setup(&WalkFlags::default(), Vec::new())
}

impl List {
    fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        let setup = setup(&self.common)?;
        let built_in = Embedder::built_in()?;
        let model = built_in.model();
        writeln!(
            out,
            "built in    {} ({}), {} dimensions",
            model.id, model.version, model.dimensions
        )?;
        let settings = &setup.settings().model;
        match (&settings.name, &settings.path) {
            (Some(name), _) if name != ModelSource::BUILT_IN => writeln!(out, "configured  {name}")?,
            (_, Some(path)) => writeln!(out, "configured  {}", path.display())?,
            _ => {}
        }
        if let Ok(cache) = hub_cache(&setup.environment) {
            for (path, bytes) in folders(&cache) {
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .replacen("--", "/", 1);
                writeln!(
                    out,
                    "downloaded  hub:{name}, {} in {}",
                    mib(bytes),
                    path.display()
                )?;
            }
        }
        for (path, bytes) in files(&setup.packed_models()?) {
            writeln!(out, "quantized   {}, {}", path.display(), mib(bytes))?;
        }
        Ok(())
    }
}

impl Use {
    fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        let config = setup(&self.common)?.instance_config(&self.folders)?;
        let choice = match self.model.as_str() {
            DEFAULT => None,
            argument => Some(ModelSettings {
                query_prefix: self.query_prefix,
                passage_prefix: self.passage_prefix,
                max_tokens: self.max_tokens,
                ..model::parse_argument(argument)?
            }),
        };
        // Open the model before storing the choice: an unusable model is never chosen, and quantizing happens now.
        let settings = choice.clone().unwrap_or_else(|| config.models.settings.clone());
        let (_, chosen) = config.models.open(&settings, None)?;
        model::select(&config.data_dir, choice)?;
        writeln!(
            out,
            "model       {} ({}), {} dimensions",
            chosen.id, chosen.version, chosen.dimensions
        )?;
        match models_of_index(&config.data_dir) {
            Some((serving, _)) if !serving.is_same_model(&chosen) => writeln!(
                out,
                "The index was embedded with {} ({}). The next `autorag index`, `serve` or `mcp` re-embeds with {}; {} serves until \
                 then. Restart a running server to apply the change.",
                serving.id, serving.version, chosen.id, serving.id
            )?,
            Some(_) => writeln!(out, "The index is already embedded with this model.")?,
            None => writeln!(out, "No index yet; it will be created with this model.")?,
        }
        Ok(())
    }
}

impl Info {
    fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        let config = setup(&self.common)?.instance_config(&self.folders)?;
        match models_of_index(&config.data_dir) {
            Some((serving, next)) => {
                writeln!(out, "index {}: embedded with", config.data_dir.display())?;
                describe(out, &serving, &config.models)?;
                if let Some(next) = next {
                    writeln!(out, "being re-embedded with")?;
                    describe(out, &next, &config.models)?;
                }
            }
            None => writeln!(out, "no index at {} yet", config.data_dir.display())?,
        }
        match config.models.open_configured(&config.data_dir) {
            Ok((_, wanted)) => {
                writeln!(out, "selected model")?;
                describe(out, &wanted, &config.models)
            }
            Err(error) => Ok(writeln!(out, "the selected model cannot be opened: {error:#}")?),
        }
    }
}

/// The model that serves an index, and the one that is replacing it.
fn models_of_index(data_dir: &Path) -> Option<(ModelIdentity, Option<ModelIdentity>)> {
    let store = Store::open_read_only(data_dir).ok()?;
    let serving = store.snapshot().ok()?.model().clone();
    let next = store.reembedding().ok()?.map(|reembedding| reembedding.model);
    Some((serving, next))
}

fn describe(out: &mut impl Write, model: &ModelIdentity, models: &Models) -> anyhow::Result<()> {
    writeln!(out, "  name            {}", model.id)?;
    writeln!(out, "  version         {}", model.version)?;
    writeln!(out, "  dimensions      {}", model.dimensions)?;
    if let Some(pooling) = &model.pooling {
        writeln!(out, "  pooling         {pooling}")?;
    }
    writeln!(out, "  query prefix    {:?}", model.query_prefix)?;
    writeln!(out, "  passage prefix  {:?}", model.passage_prefix)?;
    let source = if model.source.is_empty() {
        "built in"
    } else {
        &model.source
    };
    writeln!(out, "  source          {source}")?;
    match models.reopen(model) {
        Ok(embedder) => {
            writeln!(out, "  max tokens      {}", embedder.model().max_tokens)?;
            if let Some(kernel) = embedder.kernel() {
                writeln!(out, "  kernel          {kernel}")?;
            }
        }
        Err(error) => writeln!(out, "  cannot be opened: {error:#}")?,
    }
    Ok(())
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let found = fs_err::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Files in a folder, with sizes.
fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let sized = entries(folder).into_iter().filter_map(|path| {
        let stat = fs_err::symlink_metadata(&path).ok()?;
        stat.is_file().then_some((path, stat.len()))
    });
    sized.collect()
}

/// Subfolders, with total sizes.
fn folders(folder: &Path) -> Vec<(PathBuf, u64)> {
    fn total(folder: &Path) -> u64 {
        let sizes = entries(folder).into_iter().filter_map(|path| {
            let stat = fs_err::symlink_metadata(&path).ok()?;
            Some(if stat.is_dir() { total(&path) } else { stat.len() })
        });
        sizes.sum()
    }
    let within = entries(folder).into_iter().filter(|path| path.is_dir());
    within
        .map(|path| {
            let bytes = total(&path);
            (path, bytes)
        })
        .collect()
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
