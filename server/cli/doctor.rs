//! `autorag doctor`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use autorag_indexer::{Cancel, Progress};
use autorag_store::{
    Check, ErrorChain, JobCause, StorageReport, StoreError, StorePart, Verdict, Writer, examine, repair,
    storage_report,
};
use clap::Args;
use serde::Serialize;

use super::interrupt::cancel_on_signal;
use super::options::{CommonFlags, Setup, WalkFlags};
use super::print_error;
use crate::instance::{Access, Instance, InstanceConfig};

/// Exit status if a problem remains.
const PROBLEM: u8 = 1;
/// Exit status if the checks could not run.
const COULD_NOT_RUN: u8 = 2;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 if all is well or repaired, 1 if a problem remains, 2 if the checks could not run."
)]
pub struct Doctor {
    /// The folder list that the index was created with
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Remove damaged parts and rebuild them
    #[arg(long)]
    repair: bool,
    /// Print a JSON array with one object per check
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonFlags,
}

/// A check as it is printed.
#[derive(Debug, Serialize)]
struct Line {
    check: &'static str,
    verdict: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<&'static str>,
}

impl Doctor {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let (setup, config, checks) = match self.check() {
            Ok(results) => results,
            Err(error) => {
                print_error(&error);
                return Ok(ExitCode::from(COULD_NOT_RUN));
            }
        };
        let damaged = checks.iter().filter(|check| check.verdict == Verdict::Damaged);
        let damaged: Vec<StorePart> = damaged.map(|check| check.part).collect();
        let mut lines: Vec<Line> = checks.iter().map(line).collect();
        if self.repair && !damaged.is_empty() {
            let after = rebuild(&setup, &config, &damaged).and_then(|()| Ok(examine(&config.data_dir)?));
            match after {
                Ok(after) => lines = after.iter().map(line).collect(),
                Err(error) => print_error(&error.context("the repair did not finish")),
            }
            for line in &mut lines {
                if line.verdict == "ok" && damaged.iter().any(|part| part.as_str() == line.check) {
                    line.verdict = "repaired";
                }
            }
        }
        lines.extend(check_surroundings(storage_report(&config.data_dir)));
        print(&lines, self.json)?;
        let well = lines.iter().all(|line| matches!(line.verdict, "ok" | "repaired"));
        Ok(if well {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(PROBLEM)
        })
    }

    fn check(&self) -> anyhow::Result<(Setup, InstanceConfig, Vec<Check>)> {
        let setup = self.common.setup(&WalkFlags::default(), Vec::new())?;
        let config = setup.instance_config(&self.folders)?;
        let checks = examine(&config.data_dir)?;
        Ok((setup, config, checks))
    }
}

/// Removes damaged parts and runs the indexer, which rebuilds them.
fn rebuild(setup: &Setup, config: &InstanceConfig, damaged: &[StorePart]) -> anyhow::Result<()> {
    repair(&config.data_dir, damaged)?;
    let instance = Instance::open(config.clone(), Access::Write)?;
    let cancel = Cancel::default();
    cancel_on_signal(&cancel)?;
    let progress = Arc::new(Progress::default());
    setup.display.show_during(&progress, || {
        instance.update(&progress, &cancel, None, JobCause::Command)
    })?;
    Ok(())
}

fn line(check: &Check) -> Line {
    let advice = match (check.verdict, check.part) {
        (Verdict::Ok, _) => None,
        (Verdict::Unchecked, _) => Some("fix the reported problem, then run doctor again"),
        (Verdict::Damaged, StorePart::Lexical | StorePart::Vectors) => {
            Some("`autorag doctor --repair` rebuilds it from the catalog")
        }
        (Verdict::Damaged, StorePart::Contents) => {
            Some("`autorag doctor --repair` removes it and reads the files again")
        }
        (Verdict::Damaged, StorePart::Catalog) => {
            Some("`autorag doctor --repair` sets it aside and starts a new one with the intact embeddings")
        }
    };
    Line {
        check: check.part.as_str(),
        verdict: match check.verdict {
            Verdict::Ok => "ok",
            Verdict::Damaged => "damaged",
            Verdict::Unchecked => "could not check",
        },
        detail: check.detail.clone(),
        advice,
    }
}

/// Disk space, writer and leftover files. Only too little disk space counts as a problem.
fn check_surroundings(found: Result<StorageReport, StoreError>) -> Vec<Line> {
    let line = |check, detail| Line {
        check,
        verdict: "ok",
        detail,
        advice: None,
    };
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            return vec![Line {
                verdict: "could not check",
                advice: Some("fix the reported problem, then run doctor again"),
                ..line("space", ErrorChain(&error).to_string())
            }];
        }
    };
    let room = format!(
        "{} free, {} needed for a rebuild",
        size(found.free),
        size(found.needed)
    );
    let mut lines = vec![line("space", room)];
    if found.free < found.needed {
        lines[0].verdict = "too little";
        lines[0].advice = Some("free disk space before you repair or update this index");
    }
    lines.push(line(
        "writer",
        match found.writer {
            Writer::None => "no process has this index open for writing".into(),
            Writer::Process(Some(pid)) => format!("process {pid} writes this index"),
            Writer::Process(None) => "another process writes this index".into(),
        },
    ));
    lines.extend(found.leftovers.iter().map(|(path, bytes)| Line {
        advice: Some("no longer needed; you can delete it"),
        ..line("leftover", format!("{}, {}", path.display(), size(*bytes)))
    }));
    lines
}

/// Formats a size with one decimal and a binary unit.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")];
    let unit = UNITS.into_iter().find(|(unit, _)| bytes >= *unit);
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(unit, name)| format!("{:.1} {name}", bytes as f64 / unit as f64),
    )
}

fn print(lines: &[Line], json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, lines)?;
        writeln!(out)?;
        return Ok(());
    }
    for line in lines {
        writeln!(out, "{:<10} {}: {}", line.check, line.verdict, line.detail)?;
        if let Some(advice) = &line.advice {
            writeln!(out, "{:<10} {advice}", "")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_disk_space_is_a_problem_with_advice() {
        let with_free = |free| {
            let found = StorageReport {
                free,
                needed: 3 << 20,
                writer: Writer::Process(Some(7)),
                leftovers: vec![("x/damaged".into(), 1536)],
            };
            check_surroundings(Ok(found))
        };
        let lines = with_free((3 << 20) - 1);
        assert_eq!((lines[0].check, lines[0].verdict), ("space", "too little"));
        assert!(lines[0].advice.is_some());
        let lines = with_free(3 << 20);
        assert!(lines.iter().all(|line| line.verdict == "ok"));
        let details: Vec<&str> = lines.iter().map(|line| line.detail.as_str()).collect();
        assert_eq!(
            details,
            [
                "3.0 MB free, 3.0 MB needed for a rebuild",
                "process 7 writes this index",
                "x/damaged, 1.5 kB"
            ]
        );
    }
}
