//! `autorag status`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use autorag_store::{DocumentQuery, ItemStatus};
use clap::{Args, ValueEnum};

use super::jobs;
use super::options::{CommonFlags, WalkFlags};
use crate::instance::{Access, Instance};
use crate::wire::{DocumentWire, StatusWire};

/// Documents read per query.
const PAGE: usize = 1000;

#[derive(Debug, Args)]
pub struct Status {
    /// The folder list that the index was created with
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// List the files with this status, and why
    #[arg(long, value_name = "STATUS")]
    items: Option<Items>,
    /// Print JSON, as the HTTP API returns it; with --items one document per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonFlags,
}

/// Status of a file.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Items {
    /// Searchable.
    Completed,
    /// Unreadable or unparsable.
    Error,
    /// Excluded, unsupported or without text.
    Skipped,
}

impl Status {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let setup = self.common.setup(&WalkFlags::default(), Vec::new())?;
        let instance = Instance::open(setup.instance_config(&self.folders)?, Access::Read)?;
        let mut out = std::io::stdout().lock();
        match self.items {
            Some(items) => list(&mut out, &instance, items, self.json)?,
            None if self.json => {
                serde_json::to_writer_pretty(&mut out, &StatusWire::from(instance.status()?))?;
                writeln!(out)?;
            }
            None => print(&mut out, &instance.status()?.into())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(out: &mut impl Write, status: &StatusWire) -> std::io::Result<()> {
    for source in &status.sources {
        match &source.name {
            Some(name) => writeln!(out, "folder     {} (as {name}/)", source.path)?,
            None => writeln!(out, "folder     {}", source.path)?,
        }
    }
    let state = &status.index_state;
    writeln!(out, "index      {}", status.data_dir)?;
    let model = &status.model;
    let kernel = model.kernel.as_deref().map(|kernel| format!(", {kernel}"));
    writeln!(
        out,
        "model      {} ({}{})",
        model.id,
        model.version,
        kernel.unwrap_or_default()
    )?;
    if let Some(provider) = &model.provider {
        writeln!(out, "provider   {provider}")?;
    }
    if let Some(outage) = &model.outage {
        writeln!(
            out,
            "           unavailable since {}: {}",
            outage.since, outage.reason
        )?;
    }
    if let Some(next) = &status.reembedding {
        writeln!(
            out,
            "           re-embedding with {} ({}): {} of {} passages; {} serves until then",
            next.model, next.version, next.done, next.passages, model.id
        )?;
    }
    writeln!(
        out,
        "state      {}{}",
        state.phase,
        if state.complete {
            ", complete"
        } else {
            ", incomplete"
        }
    )?;
    if let Some(job) = &status.job {
        writeln!(
            out,
            "job        {} ({}): {}",
            job.id,
            job.state,
            jobs::summary(job)
        )?;
    }
    writeln!(out, "documents  {}", state.documents)?;
    writeln!(
        out,
        "passages   {} ({} with vectors)",
        state.passages, state.embedded
    )?;
    writeln!(out, "errors     {}", state.errors)?;
    writeln!(out, "skipped    {}", state.skipped)?;
    writeln!(
        out,
        "last run   {}",
        state.last_run.as_deref().unwrap_or("none finished yet")
    )
}

fn list(out: &mut impl Write, instance: &Instance, items: Items, json: bool) -> anyhow::Result<()> {
    let status = match items {
        Items::Completed => ItemStatus::Completed,
        Items::Error => ItemStatus::Error,
        Items::Skipped => ItemStatus::Skipped,
    };
    let mut query = DocumentQuery {
        prefix: None,
        status: Some(status),
        after_key: None,
        limit: PAGE,
    };
    loop {
        let page = instance.documents(&query)?;
        for entry in &page {
            if json {
                writeln!(
                    out,
                    "{}",
                    serde_json::to_string(&DocumentWire::from(entry.as_ref()))?
                )?;
            } else {
                match &entry.reason {
                    Some(reason) => writeln!(out, "{}\t{reason}", entry.key)?,
                    None => writeln!(out, "{}\t{} passages", entry.key, entry.passages)?,
                }
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => query.after_key = Some(last.key.clone()),
            _ => return Ok(()),
        }
    }
}
