//! `autorag doctor`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use autorag_store::{Check, Store, StoreOptions, StorePart, Verdict, discard, examine, model_of};
use clap::Args;
use serde::Serialize;

use super::options::{CommonFlags, WalkFlags};
use crate::corpus::Plan;

/// Exit status where something was found that is not repaired, and where nothing could be checked.
const FOUND: u8 = 1;
const COULD_NOT_RUN: u8 = 2;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 where all is well or was repaired, 1 where something is not, 2 where the checks could not run."
)]
pub struct Doctor {
    /// Folders of the index, as it was made
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Make damaged parts anew where the catalog has what they are made from
    #[arg(long)]
    repair: bool,
    /// Print JSON, an object a check
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
    advice: Option<String>,
}

impl Doctor {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let examined = self.examined();
        let (plan, checks) = match examined {
            Ok(examined) => examined,
            Err(error) => {
                writeln!(std::io::stderr(), "autorag: {error:#}")?;
                return Ok(ExitCode::from(COULD_NOT_RUN));
            }
        };
        let damaged: Vec<StorePart> = parts(&checks, |verdict| verdict == Verdict::Damaged);
        // Derived indexes are made from the catalog, so it must be whole.
        let repairable = !damaged.is_empty() && damaged.iter().all(|part| part.is_derived());
        let mut lines: Vec<Line> = checks
            .iter()
            .map(|check| line(check, &plan.data_dir, repairable))
            .collect();
        if self.repair && repairable {
            let after = match repair(&plan, &damaged).and_then(|()| Ok(examine(&plan.data_dir)?)) {
                Ok(after) => after,
                Err(error) => {
                    writeln!(std::io::stderr(), "autorag: nothing more was repaired: {error:#}")?;
                    checks
                }
            };
            lines = after
                .iter()
                .map(|check| {
                    let mut line = line(check, &plan.data_dir, repairable);
                    if check.verdict == Verdict::Ok && damaged.contains(&check.part) {
                        line.verdict = "repaired";
                    }
                    line
                })
                .collect();
        }
        print(&lines, self.json)?;
        let well = lines.iter().all(|line| matches!(line.verdict, "ok" | "repaired"));
        Ok(match well {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(FOUND),
        })
    }

    fn examined(&self) -> anyhow::Result<(Plan, Vec<Check>)> {
        let setup = self.common.setup(&WalkFlags::default(), Vec::new())?;
        let plan = setup.plan(&self.folders)?;
        let checks = examine(&plan.data_dir)?;
        Ok((plan, checks))
    }
}

/// Discards what is damaged, and has the store make it anew. The model stays the one that the index has.
fn repair(plan: &Plan, damaged: &[StorePart]) -> anyhow::Result<()> {
    for part in damaged {
        discard(&plan.data_dir, *part)?;
    }
    if let Some(model) = model_of(&plan.data_dir)? {
        let sources = plan.sources.clone();
        Store::open(&plan.data_dir, StoreOptions { model, sources })?;
    }
    Ok(())
}

fn parts(checks: &[Check], wanted: impl Fn(Verdict) -> bool) -> Vec<StorePart> {
    let found = checks.iter().filter(|check| wanted(check.verdict));
    found.map(|check| check.part).collect()
}

fn line(check: &Check, data_dir: &Path, repairable: bool) -> Line {
    let advice = match check.verdict {
        Verdict::Ok => None,
        Verdict::Unchecked => Some("see to what the message names, then check again".to_owned()),
        Verdict::Damaged if check.part.is_derived() && repairable => {
            Some("`autorag doctor --repair` makes it anew from the catalog".to_owned())
        }
        Verdict::Damaged if check.part.is_derived() => Some("repair the catalog first".to_owned()),
        Verdict::Damaged => Some(format!(
            "move {} elsewhere, then `autorag index` makes the index anew from the folders",
            data_dir.display()
        )),
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
