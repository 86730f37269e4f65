//! `autorag bench search`

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use autorag_query::{Mode, Request};
use autorag_store::{Control, Filter, VectorIndex};

use super::fill::{FOLDER, SINGLE_PASSAGE_FILE, fill};
use super::http::Server;
use super::prose::Prose;
use super::serve_command::IndexFolders;
use super::timing::{Percentiles, resident_mib};
use crate::config::SearchSettings;
use crate::config::{Environment, ModelSettings};
use crate::instance::{Access, Instance, InstanceConfig};
use crate::model::Models;

/// Queries before measuring, to warm the caches.
const WARM_UP: usize = 50;
/// Numbers of concurrent HTTP clients.
const CLIENTS: [usize; 2] = [1, 8];

/// Options of [`search`].
pub struct SearchBench {
    /// Number of passages.
    pub passages: usize,
    /// Number of queries per measurement.
    pub queries: usize,
    /// Whether to search the index that an earlier run left in the folder.
    pub reuse: bool,
    /// Whether the folder is kept after the run.
    pub keep: bool,
}

/// Fills an index in `folder`, reopens it, and measures searches in this process and over HTTP.
///
/// # Errors
/// When the index fails or `out` is closed.
pub fn search(bench: &SearchBench, folder: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let folders = IndexFolders::create(folder)?;
    let config = InstanceConfig {
        sources: folders.sources.clone(),
        data_dir: folders.data_dir.clone(),
        models: Models::beside(
            &folders.data_dir,
            ModelSettings::default(),
            Environment::default(),
        ),
        options: autorag_indexer::IndexOptions::default(),
        search: SearchSettings::default(),
        reranker: None,
        vector_index: VectorIndex::Flat,
    };
    let passages = bench.passages.max(1);
    let filled = if bench.reuse {
        "filled by an earlier run".to_owned()
    } else {
        let started = Instant::now();
        let dimensions = autorag_embedder::Embedder::built_in()?.model().dimensions;
        let instance = Instance::open(config.clone(), Access::Write)?;
        fill(instance.store(), passages, dimensions)?;
        format!("filled in {:.1} s", started.elapsed().as_secs_f64())
    };
    if bench.keep {
        // The documents are not files. A server would delete them on its first run.
        Control::new(&folders.data_dir).pause()?;
    }
    writeln!(out, "searching {passages} generated passages ({filled})")?;

    let opening = Instant::now();
    let instance = Arc::new(Instance::open(config, Access::Write)?);
    let first = instance.search(&Request::new("a first question"))?;
    writeln!(
        out,
        "opened and answered the first query in {:.0} ms",
        opening.elapsed().as_secs_f64() * 1e3
    )?;
    anyhow::ensure!(
        first.index_state.embedded == passages as u64,
        "the index has {} passages, not {passages}; repeat --passages of the run that filled it",
        first.index_state.embedded
    );

    measure_in_process(&instance, bench.queries, out)?;
    measure_over_http(&instance, bench.queries, out)?;
    if let Some((resident, peak)) = resident_mib() {
        writeln!(out, "memory {resident} MiB, peak {peak} MiB (while filling)")?;
    }
    if bench.keep {
        folders.print_serve_command(out)?;
    }
    Ok(())
}

fn measure_in_process(instance: &Instance, count: usize, out: &mut impl Write) -> anyhow::Result<()> {
    let filter = Filter::parse(&serde_json::json!({"folder": FOLDER}))?;
    let kinds = [
        ("hybrid", Mode::Hybrid, None),
        ("keyword", Mode::Lexical, None),
        ("semantic", Mode::Dense, None),
        ("hybrid, filter keeps 1 %", Mode::Hybrid, Some(filter.clone())),
        ("semantic, filter keeps 1 %", Mode::Dense, Some(filter)),
    ];
    for (name, mode, filter) in kinds {
        let search = |query: &String| {
            let request = Request {
                mode,
                filter: filter.clone(),
                ..Request::new(query.clone())
            };
            instance.search(&request).map(drop)
        };
        queries(WARM_UP, 1).iter().try_for_each(search)?;
        let times = Percentiles::of(&queries(count, 2), search)?;
        writeln!(out, "{name:<32}{times}")?;
    }
    let single = Filter::parse(&serde_json::json!({"filename": SINGLE_PASSAGE_FILE}))?;
    let times = Percentiles::of(&queries(count, 2), |query| {
        let request = Request {
            filter: Some(single.clone()),
            ..Request::new(query.clone())
        };
        let hits = instance.search(&request)?.hits.len();
        anyhow::ensure!(hits == 1, "a filter that keeps 1 passage has {hits} hits");
        Ok(())
    })?;
    writeln!(out, "{:<32}{times}", "hybrid, filter keeps 1 passage")?;
    Ok(())
}

fn measure_over_http(instance: &Arc<Instance>, count: usize, out: &mut impl Write) -> anyhow::Result<()> {
    let server = Server::start(Arc::clone(instance))?;
    for clients in CLIENTS {
        server.measure(&queries(WARM_UP, 1), clients)?;
        let (times, rate) = server.measure(&queries(count, 3), clients)?;
        let plural = if clients == 1 { "" } else { "s" };
        let name = format!("hybrid, HTTP, {clients} client{plural}");
        writeln!(out, "{name:<32}{times}   {rate:.0} requests/s")?;
    }
    server.stop()
}

/// `count` queries of six words.
fn queries(count: usize, seed: u64) -> Vec<String> {
    let mut prose = Prose::new(4711 + seed);
    (0..count).map(|_| prose.sentence(6)).collect()
}
