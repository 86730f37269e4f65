//! `autorag jobs`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use autorag_store::{Control, Job, JobId, JobState, Store, StoreError, cancel_paused_job};
use clap::{Args, Subcommand};

use super::options::{CommonFlags, WalkFlags};
use crate::jobs::{JobAction, control_job, find_job};
use crate::wire::{JobItemWire, JobWire};

/// Log entries read per query.
const PAGE: usize = 1000;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Jobs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List jobs, newest first; the default
    List(List),
    /// Show a job and the result for each file
    Show(Show),
    /// Pause indexing (survives restarts); searches keep working
    Pause(Pause),
    /// Resume indexing
    Resume(Pause),
    /// Cancel a job; the next run picks up what is left
    Cancel(Cancel),
}

#[derive(Debug, Args)]
struct List {
    /// The folder list that the index was created with
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Maximum number of jobs
    #[arg(short = 'n', long, default_value_t = 20)]
    limit: usize,
    /// Print JSON, one job per line, as the HTTP API returns it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
struct Show {
    /// The folder list that the index was created with
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Job id [default: the newest]
    #[arg(long, value_name = "ID")]
    job: Option<JobId>,
    /// Print JSON: the job on the first line, then one line per file
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
struct Pause {
    /// The folder list that the index was created with
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    common: CommonFlags,
}

#[derive(Debug, Args)]
struct Cancel {
    /// The folder list that the index was created with
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Job id [default: the running or paused one]
    #[arg(long, value_name = "ID")]
    job: Option<JobId>,
    #[command(flatten)]
    common: CommonFlags,
}

impl Jobs {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut out = std::io::stdout().lock();
        match self.command {
            None => self.list.run(&mut out)?,
            Some(Command::List(list)) => list.run(&mut out)?,
            Some(Command::Show(show)) => show.run(&mut out)?,
            Some(Command::Pause(pause)) => pause.pause(&mut out)?,
            Some(Command::Resume(resume)) => resume.resume(&mut out)?,
            Some(Command::Cancel(cancel)) => cancel.run(&mut out)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Folder of the index of `folders`.
fn index_of(folders: &[PathBuf], common: &CommonFlags) -> anyhow::Result<PathBuf> {
    let setup = common.setup(&WalkFlags::default(), Vec::new())?;
    let dir = setup.instance_config(folders)?.data_dir;
    if !dir.is_dir() {
        return Err(StoreError::NoStore { dir }.into());
    }
    Ok(dir)
}

impl List {
    fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        let dir = index_of(&self.folders, &self.common)?;
        let jobs = Store::open_read_only(&dir)?.jobs(None, self.limit)?;
        if self.json {
            for job in &jobs {
                writeln!(out, "{}", serde_json::to_string(&JobWire::from(job))?)?;
            }
            return Ok(());
        }
        if jobs.is_empty() {
            writeln!(out, "no jobs yet")?;
        } else {
            writeln!(
                out,
                "{:>5}  {:<20}  {:<11}  {:<8}  what",
                "id", "started", "state", "cause"
            )?;
        }
        for job in &jobs {
            let wire = JobWire::from(job);
            writeln!(
                out,
                "{:>5}  {:<20}  {:<11}  {:<8}  {}",
                wire.id,
                wire.started_at,
                wire.state,
                wire.cause,
                summary(&wire)
            )?;
        }
        if Control::new(&dir).is_paused() {
            writeln!(out, "indexing is paused; `autorag jobs resume` resumes it")?;
        }
        Ok(())
    }
}

impl Show {
    fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        let store = Store::open_read_only(&index_of(&self.folders, &self.common)?)?;
        let job = match self.job {
            Some(id) => find_job(&store, id)?,
            None => newest(&store)?.context("no jobs yet")?,
        };
        let wire = JobWire::from(&job);
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&wire)?)?;
        } else {
            print(out, &wire)?;
        }
        let mut after = None;
        loop {
            let page = store.job_items(job.id, after, PAGE)?;
            for line in page.iter().map(JobItemWire::from) {
                if self.json {
                    writeln!(out, "{}", serde_json::to_string(&line)?)?;
                    continue;
                }
                let passages = format!("{} passages, {} ms", line.passages, line.milliseconds);
                let detail = line.reason.as_deref().unwrap_or(&passages);
                writeln!(
                    out,
                    "{}\t{}\t{}\t{detail}",
                    line.created_at, line.action, line.key
                )?;
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.id),
                _ => return Ok(()),
            }
        }
    }
}

impl Pause {
    fn pause(self, out: &mut impl Write) -> anyhow::Result<()> {
        let dir = index_of(&self.folders, &self.common)?;
        Control::new(&dir).pause()?;
        writeln!(out, "indexing paused; `autorag jobs resume` resumes it")?;
        Ok(())
    }

    fn resume(self, out: &mut impl Write) -> anyhow::Result<()> {
        let dir = index_of(&self.folders, &self.common)?;
        let control = Control::new(&dir);
        if !control.is_paused() {
            writeln!(out, "indexing is not paused")?;
            return Ok(());
        }
        control.resume()?;
        // An index that cannot be opened has no writer that could resume now.
        let has_writer = Store::open_read_only(&dir).is_ok_and(|store| store.has_writer());
        if has_writer {
            writeln!(out, "indexing resumes within a second")?;
        } else {
            writeln!(out, "indexing is no longer paused; the next run resumes")?;
        }
        Ok(())
    }
}

impl Cancel {
    fn run(self, out: &mut impl Write) -> anyhow::Result<()> {
        let dir = index_of(&self.folders, &self.common)?;
        let job = cancel(&dir, self.job)?;
        writeln!(
            out,
            "job {} is being cancelled; the next run picks up what is left",
            job.id
        )?;
        Ok(())
    }
}

fn cancel(dir: &Path, wanted: Option<JobId>) -> anyhow::Result<Job> {
    let store = Store::open_read_only(dir)?;
    let id = match wanted {
        Some(id) => id,
        None => store.open_job()?.context("no job is running or paused")?.id,
    };
    let job = control_job(&store, id, JobAction::Cancel)?;
    drop(store);
    // A paused job may have no process that would notice the cancel, so end it here.
    if job.state == JobState::Paused && cancel_paused_job(dir, id)? {
        Control::new(dir).clear_cancel()?;
    }
    Ok(job)
}

fn newest(store: &Store) -> anyhow::Result<Option<Job>> {
    Ok(store.jobs(None, 1)?.pop())
}

/// Summary of what a job did or is doing.
pub fn summary(job: &JobWire) -> String {
    let counts = &job.counts;
    let mut parts: Vec<String> = [
        (counts.added, "added"),
        (counts.changed, "changed"),
        (counts.removed, "removed"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.embedded, "passages embedded"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, unit)| format!("{count} {unit}"))
    .collect();
    if let Some(now) = &job.progress {
        let (done, all, unit) = match now.stage {
            "embedding" => (now.embedded, now.to_embed, "passages"),
            _ => (now.files_done, now.files_to_index, "files"),
        };
        let left = job.eta_seconds.map(|seconds| match seconds {
            0..=180 => format!(", about {seconds} s left"),
            _ => format!(", about {} min left", seconds.div_ceil(60)),
        });
        parts.push(match now.stage {
            "" | "scanning" => "scanning".to_owned(),
            stage => format!("{stage} {done} of {all} {unit}{}", left.unwrap_or_default()),
        });
    }
    if parts.is_empty() {
        parts.push("nothing to do".to_owned());
    }
    parts.extend(job.description.as_ref().map(|text| format!("{text:?}")));
    parts.extend(job.end_reason.clone());
    parts.join(", ")
}

fn print(out: &mut impl Write, job: &JobWire) -> std::io::Result<()> {
    writeln!(out, "job        {}", job.id)?;
    if let Some(description) = &job.description {
        writeln!(out, "           {description:?}")?;
    }
    writeln!(out, "state      {}", job.state)?;
    writeln!(out, "cause      {}", job.cause)?;
    writeln!(out, "started    {}", job.started_at)?;
    if let Some(ended) = &job.ended_at {
        writeln!(out, "ended      {ended}")?;
    }
    let counts = &job.counts;
    writeln!(
        out,
        "files      {} added, {} changed, {} removed, {} failed, {} skipped, {} unchanged",
        counts.added, counts.changed, counts.removed, counts.failed, counts.skipped, counts.unchanged
    )?;
    writeln!(
        out,
        "passages   {}, {} embedded",
        counts.passages, counts.embedded
    )?;
    if let Some(reason) = &job.end_reason {
        writeln!(out, "           {reason}")?;
    }
    if job.progress.is_some() {
        writeln!(out, "now        {}", summary(job))?;
    }
    writeln!(out)
}
