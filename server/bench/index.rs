//! `autorag bench index`

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use autorag_indexer::{Cancel, IndexOptions, Progress};
use autorag_query::{Mode, Request};
use autorag_store::{JobCause, VectorIndex};

use super::prose::Prose;
use super::serve_command::IndexFolders;
use super::timing::resident_mib;
use crate::config::SearchSettings;
use crate::config::{Environment, ModelSettings};
use crate::instance::{Access, Instance, InstanceConfig};
use crate::model::Models;

/// Interval between searches that check whether the files are searchable.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// A word in every file. [`Prose`] never generates it.
const BEACON: &str = "lighthousekeeper";

/// Options of [`index`].
pub struct IndexBench {
    /// Number of Markdown files.
    pub files: usize,
    /// Words per file.
    pub words: u64,
    /// Whether the folder is kept after the run.
    pub keep: bool,
}

/// Writes files to `folder`, indexes them, and runs again with nothing changed.
///
/// # Errors
/// When the files cannot be written or indexed, or `out` is closed.
pub fn index(
    bench: &IndexBench,
    folder: &Path,
    options: IndexOptions,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let folders = IndexFolders::create(folder)?;
    for source in &folders.sources {
        write_files(bench, &source.path)?;
    }
    let config = InstanceConfig {
        sources: folders.sources.clone(),
        data_dir: folders.data_dir.clone(),
        models: Models::beside(
            &folders.data_dir,
            ModelSettings::default(),
            Environment::default(),
        ),
        options,
        search: SearchSettings::default(),
        reranker: None,
        vector_index: VectorIndex::Flat,
    };
    let instance = Instance::open(config, Access::Write)?;
    writeln!(
        out,
        "indexing {} Markdown files of {} words",
        bench.files, bench.words
    )?;

    let started = Instant::now();
    let done = AtomicBool::new(false);
    let (report, first, all) = std::thread::scope(|scope| -> anyhow::Result<_> {
        let poller = scope.spawn(|| poll(&instance, bench.files, started, &done));
        let report = instance.update(
            &Arc::new(Progress::default()),
            &Cancel::default(),
            None,
            JobCause::Command,
        );
        done.store(true, Ordering::Release);
        let (first, all) = poller
            .join()
            .map_err(|_| anyhow::anyhow!("the polling thread panicked"))??;
        Ok((report?, first, all))
    })?;
    let whole = report.took_total.as_secs_f64();
    print_seconds(
        out,
        "first file searchable by keywords",
        first.unwrap_or(report.took_total).as_secs_f64(),
    )?;
    print_seconds(
        out,
        "all files searchable by keywords",
        all.unwrap_or(report.took_total).as_secs_f64(),
    )?;
    print_seconds(out, "all passages embedded", whole)?;
    writeln!(
        out,
        "{:<44}{:>9.0} passages/s ({} passages)",
        "embedding",
        report.embedded as f64 / report.took_embed.as_secs_f64().max(1e-9),
        report.passages
    )?;

    let again = Instant::now();
    let unchanged = instance.update(
        &Arc::new(Progress::default()),
        &Cancel::default(),
        None,
        JobCause::Command,
    )?;
    let seconds = again.elapsed().as_secs_f64();
    print_seconds(
        out,
        &format!("second run, {} unchanged files", unchanged.unchanged),
        seconds,
    )?;
    writeln!(
        out,
        "{:<44}{:>9.0} x",
        "first run / second run",
        whole / seconds.max(1e-9)
    )?;
    if let Some((_, peak)) = resident_mib() {
        writeln!(out, "{:<44}{peak:>9} MiB", "peak memory")?;
    }
    if bench.keep {
        folders.print_serve_command(out)?;
    }
    Ok(())
}

fn print_seconds(out: &mut impl Write, name: &str, seconds: f64) -> std::io::Result<()> {
    writeln!(out, "{name:<44}{seconds:>9.2} s")
}

fn write_files(bench: &IndexBench, docs: &Path) -> anyhow::Result<()> {
    for number in 0..bench.files {
        let mut prose = Prose::new(number as u64);
        let mut text = format!("# Chapter {number}: {}\n\n", prose.sentence(5));
        let _ = write!(
            text,
            "{}{BEACON}\n\n## {}\n\n",
            prose.paragraph(bench.words / 2),
            prose.sentence(3)
        );
        text += &prose.paragraph(bench.words.div_ceil(2));
        let path = docs.join(format!("{}/chapter-{number}.md", number % 50));
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent)?;
        }
        fs_err::write(path, text)?;
    }
    Ok(())
}

/// Time from `started` until keyword search finds the first file, and until all `files` are indexed.
fn poll(
    instance: &Instance,
    files: usize,
    started: Instant,
    done: &AtomicBool,
) -> anyhow::Result<(Option<Duration>, Option<Duration>)> {
    let request = Request {
        mode: Mode::Lexical,
        limit: 1,
        ..Request::new(BEACON)
    };
    let (mut first, mut all) = (None, None);
    while all.is_none() && !done.load(Ordering::Acquire) {
        let answer = instance.search(&request)?;
        if !answer.hits.is_empty() {
            first.get_or_insert_with(|| started.elapsed());
        }
        if answer.index_state.documents >= files as u64 {
            all = Some(started.elapsed());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok((first, all))
}
