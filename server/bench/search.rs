//! `autorag bench search`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use autorag_query::{Mode, Request};
use autorag_store::{Filter, SourceRoot, VectorIndex};

use super::clusters::Clusters;
use super::filling::{FOLDER, OF_ONE_PASSAGE, fill};
use super::http::Served;
use super::plain_scan::{plain_scan, recall};
use super::prose::Prose;
use super::timing::{Percentiles, resident_mib};
use super::wrk::Wrk;
use crate::config::SearchSettings;
use crate::config::{Environment, ModelSettings};
use crate::instance::{Access, Instance, InstanceConfig};
use crate::model::Models;

/// Queries before the clock starts, so that files are in memory.
const WARM_UP: usize = 50;
/// Vectors asked for to measure recall.
const RECALL_AT: usize = 10;
/// Queries of which the exact answer is looked for.
const COMPARED: usize = 200;
/// Clients at once.
const CLIENTS: [usize; 2] = [1, 8];

/// What to search.
pub struct SearchBench {
    /// How many passages.
    pub passages: usize,
    /// How many queries of each kind.
    pub queries: usize,
    /// Whether to ask the index that an earlier run has left in the folder.
    pub reuse: bool,
    /// The program `wrk`, where it asks over HTTP as well.
    pub wrk: Option<PathBuf>,
}

/// Fills a store in `folder` with made-up documents and vectors, opens it again and asks it, in this process and over HTTP.
///
/// # Errors
/// When the store fails or `out` is closed.
pub fn search(bench: &SearchBench, folder: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let docs = folder.join("docs");
    fs_err::create_dir_all(&docs)?;
    let config = InstanceConfig {
        sources: vec![SourceRoot {
            name: None,
            path: docs,
        }],
        data_dir: folder.join("index"),
        models: Models::beside(
            &folder.join("index"),
            ModelSettings::default(),
            Environment::default(),
        ),
        options: autorag_indexer::IndexOptions::default(),
        search: SearchSettings::default(),
        reranker: None,
        vector_index: VectorIndex::Flat,
    };
    let passages = bench.passages.max(1);
    let dimensions = autorag_embedder::Embedder::built_in()?.model().dimensions;
    let mut clusters = Clusters::new(passages as u64, dimensions);
    let started = Instant::now();
    let filled = match bench.reuse {
        true => "filled before".to_owned(),
        false => {
            fill(
                Instance::open(config.clone(), Access::Write)?.engine().store(),
                passages,
                &mut clusters,
            )?;
            format!("filled in {:.1} s", started.elapsed().as_secs_f64())
        }
    };
    writeln!(
        out,
        "searching {passages} passages ({filled}; vectors made up, in clusters of clusters)"
    )?;

    let opening = Instant::now();
    let instance = Arc::new(Instance::open(config, Access::Write)?);
    let first = instance.search(&Request::new("a first question"))?;
    writeln!(
        out,
        "opened and first answer in {:.0} ms",
        opening.elapsed().as_secs_f64() * 1e3
    )?;
    anyhow::ensure!(
        first.index_state.embedded == passages as u64,
        "the index has {} vectors where {passages} are expected",
        first.index_state.embedded
    );

    let filter = Filter::parse(&serde_json::json!({"folder": FOLDER}))?;
    let kinds = [
        ("hybrid", Mode::Hybrid, None),
        ("lexical", Mode::Lexical, None),
        ("dense", Mode::Dense, None),
        ("hybrid, 1 % by filter", Mode::Hybrid, Some(filter.clone())),
        ("dense, 1 % by filter", Mode::Dense, Some(filter)),
    ];
    for (name, mode, filter) in kinds {
        let ask = |query: &String| {
            let request = Request {
                mode,
                filter: filter.clone(),
                ..Request::new(query.clone())
            };
            instance.search(&request).map(drop)
        };
        queries(WARM_UP, 1).iter().try_for_each(ask)?;
        writeln!(
            out,
            "{name:<24}{}",
            Percentiles::of(&queries(bench.queries, 2), ask)?
        )?;
    }
    let one = Filter::parse(&serde_json::json!({"filename": OF_ONE_PASSAGE}))?;
    let times = Percentiles::of(&queries(bench.queries, 2), |query| {
        let request = Request {
            filter: Some(one.clone()),
            ..Request::new(query.clone())
        };
        let found = instance.search(&request)?.hits.len();
        anyhow::ensure!(found == 1, "a filter that leaves one passage finds {found}");
        Ok(())
    })?;
    writeln!(out, "{:<24}{times}", "hybrid, one by filter")?;
    let served = Served::start(Arc::clone(&instance))?;
    for clients in CLIENTS {
        served.ask(&queries(WARM_UP, 1), clients)?;
        let (times, rate) = served.ask(&queries(bench.queries, 3), clients)?;
        let name = format!("hybrid, HTTP, {clients} at once");
        writeln!(out, "{name:<24}{times}   {rate:.0} a second")?;
    }
    if let Some(program) = &bench.wrk {
        let wrk = Wrk::new(program, folder, &queries(bench.queries, 3))?;
        for clients in CLIENTS {
            let name = format!("the same by wrk, {clients}");
            writeln!(out, "{name:<24}{}", wrk.ask(served.addr, clients)?)?;
        }
    }
    served.stop()?;
    if let Some((resident, peak)) = resident_mib() {
        writeln!(
            out,
            "memory {resident} MiB, at its peak (while filling) {peak} MiB"
        )?;
    }
    compare(&instance, &mut clusters, passages, out)
}

/// What a flat list of 32-bit values finds, and how long it takes, against the index of vectors.
fn compare(
    instance: &Instance,
    clusters: &mut Clusters,
    passages: usize,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let snapshot = instance.engine().store().snapshot()?;
    let queries: Vec<Vec<f32>> = (0..COMPARED as u64)
        .map(|number| clusters.query(number))
        .collect();
    let mut found = Vec::new();
    let times = Percentiles::of(&queries, |query| {
        let nearest = snapshot.nearest(query, None, RECALL_AT);
        found.push(nearest.iter().map(|candidate| candidate.passage.0 - 1).collect());
        Ok::<_, anyhow::Error>(())
    })?;
    let plain = plain_scan(clusters, passages as u64, &queries, RECALL_AT);
    writeln!(
        out,
        "{:<24}{times}   recall@{RECALL_AT} {:.4}",
        "vectors alone",
        recall(&found, &plain.nearest)
    )?;
    let plain = plain.took.as_secs_f64() * 1e3;
    writeln!(out, "{:<24}p50 {plain:7.2} ms", "plain scan of 32 bits")?;
    Ok(())
}

/// `count` questions of six words.
fn queries(count: usize, seed: u64) -> Vec<String> {
    let mut prose = Prose::new(4711 + seed);
    (0..count).map(|_| prose.sentence(6)).collect()
}
