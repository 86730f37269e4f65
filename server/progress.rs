//! Shows progress: a bar on a terminal, log lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use autorag_indexer::{MissingEmbeddings, Progress, ProgressSnapshot, RunReport, Stage};
use indicatif::{ProgressBar, ProgressStyle};

/// Interval at which the bar is drawn and the end of the work is noticed.
const TICK: Duration = Duration::from_millis(100);
/// Interval between log lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Where progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressDisplay {
    /// A progress bar on standard error.
    Bar,
    /// Log lines.
    Log,
    /// Nowhere.
    None,
}

impl ProgressDisplay {
    /// No display if `quiet`, else a bar if standard error is a terminal, else log lines.
    pub fn new(quiet: bool) -> ProgressDisplay {
        if quiet {
            ProgressDisplay::None
        } else if std::io::stderr().is_terminal() {
            ProgressDisplay::Bar
        } else {
            ProgressDisplay::Log
        }
    }

    /// Runs `work` and shows `progress` meanwhile.
    pub fn show_during<T>(self, progress: &Arc<Progress>, work: impl FnOnce() -> T) -> T {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let display = scope.spawn(|| match self {
                ProgressDisplay::Bar => draw(progress, &done),
                ProgressDisplay::Log => log(progress, &done),
                ProgressDisplay::None => {}
            });
            // Dropped even if the work panics. Otherwise the scope would wait for the display forever.
            let finish = Finish {
                done: &done,
                display: display.thread().clone(),
            };
            let result = work();
            drop(finish);
            result
        })
    }

    /// Prints a sentence where the progress is shown.
    pub fn print(self, sentence: &str) {
        match self {
            // Ignore a closed standard error: the work itself succeeded.
            ProgressDisplay::Bar => drop(writeln!(std::io::stderr(), "{sentence}")),
            ProgressDisplay::Log => tracing::info!("{sentence}"),
            ProgressDisplay::None => {}
        }
    }
}

/// Ends the display when dropped.
struct Finish<'a> {
    done: &'a AtomicBool,
    display: Thread,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        self.display.unpark();
    }
}

fn draw(progress: &Progress, done: &AtomicBool) {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{msg:<11} {wide_bar} {human_pos}/{human_len} {prefix} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    while !done.load(Ordering::Acquire) {
        let now = progress.snapshot();
        let (position, length) = position_and_length(&now);
        bar.set_message(stage_name(now.stage));
        bar.set_prefix(unit(now.stage));
        bar.set_length(length.max(position));
        bar.set_position(position);
        std::thread::park_timeout(TICK);
    }
    bar.finish_and_clear();
}

fn log(progress: &Progress, done: &AtomicBool) {
    let mut last = Instant::now();
    // Printed once, because users need not wait for the embeddings.
    let mut note = "; keyword search already works";
    while !done.load(Ordering::Acquire) {
        std::thread::park_timeout(TICK);
        if last.elapsed() < LINE_EVERY {
            continue;
        }
        last = Instant::now();
        let now = progress.snapshot();
        let (position, length) = position_and_length(&now);
        let note = if now.stage == Stage::Embedding {
            std::mem::take(&mut note)
        } else {
            ""
        };
        tracing::info!(
            "{} {position} of {} {}{note}",
            stage_name(now.stage),
            length.max(position),
            unit(now.stage)
        );
    }
}

/// Position in the stage, and its length, in units of the stage.
fn position_and_length(now: &ProgressSnapshot) -> (u64, u64) {
    match now.stage {
        Stage::Scanning | Stage::Checking => (now.files_seen, now.files_seen),
        Stage::Indexing => (now.files_done, now.files_to_index),
        Stage::Embedding | Stage::Done => (now.embedded, now.to_embed),
    }
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Scanning | Stage::Checking => "scanning",
        Stage::Indexing => "indexing",
        Stage::Embedding => "embedding",
        Stage::Done => "done",
    }
}

fn unit(stage: Stage) -> &'static str {
    match stage {
        Stage::Scanning | Stage::Checking | Stage::Indexing => "files",
        Stage::Embedding | Stage::Done => "passages",
    }
}

/// The report of a run as a sentence.
pub fn summary(report: &RunReport) -> String {
    let changed = report.added + report.changed + report.removed;
    if changed == 0 && report.embedded == 0 {
        return format!(
            "up to date: {} files unchanged ({})",
            report.unchanged,
            seconds(report.took_total)
        );
    }
    let mut parts = vec![
        format!("{} added", report.added),
        format!("{} changed", report.changed),
        format!("{} removed", report.removed),
        format!("{} unchanged", report.unchanged),
    ];
    if report.errors + report.skipped > 0 {
        parts.push(format!(
            "{} failed and {} skipped (for reasons: autorag status --items error, --items skipped)",
            report.errors, report.skipped
        ));
    }
    format!(
        "indexed: {}; {} passages, {} embedded ({}: scan {}, index {}, embed {})",
        parts.join(", "),
        report.passages,
        report.embedded,
        seconds(report.took_total),
        seconds(report.took_scan),
        seconds(report.took_index),
        seconds(report.took_embed),
    )
}

/// A note about passages that the provider returned no embeddings for.
pub fn missing_embeddings_note(missing: &MissingEmbeddings) -> String {
    let passages = match missing.passages {
        1 => "1 passage has no embedding yet and is".to_owned(),
        number => format!("{number} passages have no embedding yet and are"),
    };
    format!(
        "{passages} found by keywords only: {}; the next run retries",
        missing.reason
    )
}

/// One line about the changes of a run. `None` if nothing changed.
pub fn change_summary(report: &RunReport) -> Option<String> {
    let counts = [
        (report.added, "added"),
        (report.changed, "changed"),
        (report.removed, "removed"),
        (report.errors, "failed"),
        (report.skipped, "skipped"),
        (report.embedded, "passages embedded"),
    ];
    let parts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    (!parts.is_empty()).then(|| format!("updated: {} ({})", parts.join(", "), seconds(report.took_total)))
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}
