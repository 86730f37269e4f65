//! `autorag bench search`

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use autorag_embedder::ModelSource;
use autorag_query::{Mode, Request};
use autorag_store::{
    ChangeBatch, ContentHash, FileStat, Filter, ItemStatus, Metadata, NewDocument, NewPassage, SourceRoot,
    Span, Store,
};

use super::prose::Prose;
use super::timing::{Percentiles, resident_mib};
use crate::config::SearchSettings;
use crate::corpus::{Access, Corpus, Plan};

/// Passages in a document.
const PASSAGES: usize = 5;
/// Words in a passage.
const WORDS: u64 = 150;
/// Documents in a transaction.
const BATCH: usize = 500;
/// Queries before the clock starts, so that files are in memory.
const WARM_UP: usize = 50;

/// What to search.
pub struct SearchBench {
    /// How many passages.
    pub passages: usize,
    /// How many queries of each kind.
    pub queries: usize,
}

/// Fills a store in `folder` with made-up documents and random vectors (how long a scan takes does not hang on what the
/// numbers are), opens it again and asks it.
///
/// # Errors
/// When the store fails or `out` is closed.
pub fn search(bench: &SearchBench, folder: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let docs = folder.join("docs");
    fs_err::create_dir_all(&docs)?;
    let plan = Plan {
        sources: vec![SourceRoot {
            name: None,
            path: docs,
        }],
        data_dir: folder.join("index"),
        options: autorag_indexer::IndexOptions::default(),
        search: SearchSettings::default(),
        reranker: None,
        model: ModelSource::BuiltIn,
    };
    let started = Instant::now();
    fill(bench, Corpus::open(plan.clone(), Access::Write)?.engine().store())?;
    let passages = bench.passages.div_ceil(PASSAGES) * PASSAGES;
    writeln!(
        out,
        "searching {passages} passages (filled in {:.1} s, vectors random)",
        started.elapsed().as_secs_f64()
    )?;

    let opening = Instant::now();
    let corpus = Corpus::open(plan, Access::Write)?;
    let first = corpus.search(&Request::new("a first question"))?;
    writeln!(
        out,
        "opened and first answer in {:.0} ms",
        opening.elapsed().as_secs_f64() * 1e3
    )?;
    anyhow::ensure!(
        first.index_state.embedded == passages as u64,
        "some vectors are missing"
    );

    let filter = Filter::parse(&serde_json::json!({"folder": "7/"}))?;
    let kinds = [
        ("hybrid", Mode::Hybrid, None),
        ("lexical", Mode::Lexical, None),
        ("dense", Mode::Dense, None),
        ("hybrid, 1 % by filter", Mode::Hybrid, Some(filter)),
    ];
    for (name, mode, filter) in kinds {
        let mut prose = Prose::new(4711);
        let ask = |query: String| {
            corpus
                .search(&Request {
                    mode,
                    filter: filter.clone(),
                    ..Request::new(query)
                })
                .map(drop)
        };
        for _ in 0..WARM_UP {
            ask(prose.sentence(6))?;
        }
        let queries: Vec<String> = (0..bench.queries).map(|_| prose.sentence(6)).collect();
        writeln!(out, "{name:<24}{}", Percentiles::of(queries, ask)?)?;
    }
    if let Some((resident, peak)) = resident_mib() {
        writeln!(
            out,
            "memory {resident} MiB, at its peak (while filling) {peak} MiB"
        )?;
    }
    Ok(())
}

fn fill(bench: &SearchBench, store: &Store) -> anyhow::Result<()> {
    let documents = bench.passages.div_ceil(PASSAGES);
    let dimensions = autorag_embedder::Embedder::built_in()?.model().dimensions;
    store.begin_run()?;
    for first in (0..documents).step_by(BATCH) {
        let numbers = first..(first + BATCH).min(documents);
        let upserts = numbers.map(document).collect();
        store.apply(&ChangeBatch {
            upserts,
            ..ChangeBatch::default()
        })?;
        store.refresh_lexical()?;
        let mut prose = Prose::new(first as u64);
        let pending = store.pending_embeddings(None, BATCH * PASSAGES)?;
        let vectors: Vec<_> = pending
            .iter()
            .map(|passage| (passage.embed_hash, unit(&mut prose, dimensions)))
            .collect();
        store.put_embeddings(&vectors)?;
        store.refresh_vectors()?;
    }
    store.finish_run(documents as u64)?;
    Ok(())
}

fn document(number: usize) -> NewDocument {
    let mut prose = Prose::new(number as u64);
    let title = prose.sentence(4);
    let (mut text, mut passages) = (String::new(), Vec::new());
    for line in 1..=PASSAGES as u32 {
        let start_byte = text.len();
        text += &prose.paragraph(WORDS);
        let span = Span {
            start_byte,
            end_byte: text.len(),
            start_line: line,
            end_line: line,
            page: None,
        };
        let embed_hash = ContentHash::of(&text.as_bytes()[start_byte..]);
        passages.push(NewPassage {
            span,
            heading_path: vec![title.clone()],
            embed_hash,
        });
        text.push('\n');
    }
    NewDocument {
        key: format!("{}/{number}.txt", number % 100),
        stat: FileStat {
            size: text.len() as u64,
            modified_ns: 0,
            inode: 0,
        },
        source_hash: ContentHash::of(text.as_bytes()),
        status: ItemStatus::Completed,
        reason: None,
        kind: "text".into(),
        language: None,
        title: Some(title),
        metadata: Metadata::new(),
        text,
        passages,
    }
}

fn unit(prose: &mut Prose, dimensions: usize) -> Vec<f32> {
    let vector: Vec<f32> = (0..dimensions).map(|_| prose.fraction()).collect();
    let length = vector
        .iter()
        .map(|value| value * value)
        .sum::<f32>()
        .sqrt()
        .max(f32::MIN_POSITIVE);
    vector.iter().map(|value| value / length).collect()
}
