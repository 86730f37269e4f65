//! Progress for people: a bar on a terminal, log lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use autorag_indexer::{MissingEmbeddings, Progress, ProgressSnapshot, RunReport, Stage};
use indicatif::{ProgressBar, ProgressStyle};

/// How often the bar moves, and how soon the end of the work is noticed.
const TICK: Duration = Duration::from_millis(100);
/// How often a log line tells how far a long run is.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// A bar, drawn over itself on standard error.
    Bar,
    /// Log lines.
    Lines,
    /// Not at all.
    Nothing,
}

impl Show {
    /// A bar where standard error is a terminal, unless `quiet`.
    pub fn fitting(quiet: bool) -> Show {
        match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Show::Nothing,
            (false, true) => Show::Bar,
            (false, false) => Show::Lines,
        }
    }
}

/// Does `work` while showing how far `progress` is.
pub fn watched<T>(show: Show, progress: &Arc<Progress>, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| match show {
            Show::Bar => draw(progress, &done),
            Show::Lines => log(progress, &done),
            Show::Nothing => {}
        });
        // The watcher must end even if the work panics, or the scope would wait for ever.
        let finish = Finish {
            done: &done,
            watcher: watcher.thread().clone(),
        };
        let result = work();
        drop(finish);
        result
    })
}

struct Finish<'a> {
    done: &'a AtomicBool,
    watcher: std::thread::Thread,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        self.watcher.unpark();
    }
}

/// Says a sentence the way progress is shown.
pub fn say(show: Show, sentence: &str) {
    match show {
        // Standard error may be gone, and then there is no one to tell.
        Show::Bar => drop(writeln!(std::io::stderr(), "{sentence}")),
        Show::Lines => tracing::info!("{sentence}"),
        Show::Nothing => {}
    }
}

fn draw(progress: &Progress, done: &AtomicBool) {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{msg:<11} {wide_bar} {human_pos}/{human_len} {prefix} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    while !done.load(Ordering::Acquire) {
        let now = progress.snapshot();
        let (position, length) = extent(&now);
        bar.set_message(word(now.stage));
        bar.set_prefix(unit(now.stage));
        bar.set_length(length.max(position));
        bar.set_position(position);
        std::thread::park_timeout(TICK);
    }
    bar.finish_and_clear();
}

fn log(progress: &Progress, done: &AtomicBool) {
    let mut last = Instant::now();
    // Said once, so that who reads along knows that there is no need to wait.
    let mut already = "; they are searched by words already";
    while !done.load(Ordering::Acquire) {
        std::thread::park_timeout(TICK);
        if last.elapsed() < LINE_EVERY {
            continue;
        }
        last = Instant::now();
        let now = progress.snapshot();
        let (position, length) = extent(&now);
        let besides = match now.stage {
            Stage::Embedding => std::mem::take(&mut already),
            _ => "",
        };
        tracing::info!(
            "{} {position} of {} {}{besides}",
            word(now.stage),
            length.max(position),
            unit(now.stage)
        );
    }
}

/// How far a stage is, and how far it goes.
fn extent(now: &ProgressSnapshot) -> (u64, u64) {
    match now.stage {
        Stage::Scanning | Stage::Checking => (now.files_seen, now.files_seen),
        Stage::Indexing => (now.files_done, now.files_to_index),
        Stage::Embedding | Stage::Done => (now.embedded, now.to_embed),
    }
}

fn word(stage: Stage) -> &'static str {
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

/// A run in a sentence.
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
            "{} failed and {} skipped (autorag status --items error, skipped)",
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

/// What a provider has left out, in a sentence.
pub fn without_vectors(missing: &MissingEmbeddings) -> String {
    format!(
        "{} passages have no vector yet and are found by words alone: {}; the next run tries again",
        missing.passages, missing.reason
    )
}

/// An update in a few words, if it changed anything.
pub fn what_changed(report: &RunReport) -> Option<String> {
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
