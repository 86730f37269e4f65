//! `autorag bench embed`

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use autorag_embedder::{Embedder, Kernel, Tokenizer};

use super::prose::Prose;
use super::timing::Percentiles;

/// Tokens per generated passage: the chunker's default target.
const TOKENS: usize = 200;
/// Passages per call, as in the indexer.
const BATCH: usize = 32;
/// Queries per latency measurement.
const QUERIES: usize = 200;

/// Options of [`embed`] and [`embed_once`].
#[derive(Debug)]
pub struct EmbedBench {
    /// Number of generated passages, if there are no `texts`.
    pub passages: usize,
    /// A file to embed, one passage per line.
    pub texts: Option<PathBuf>,
    /// The only kernel to measure.
    pub kernel: Option<String>,
}

impl EmbedBench {
    fn texts(&self, embedder: &Embedder) -> anyhow::Result<Vec<String>> {
        let Some(path) = &self.texts else {
            return Ok((0..self.passages as u64)
                .map(|seed| passage(seed, embedder.tokenizer()))
                .collect());
        };
        let file = fs_err::read_to_string(path)?;
        let texts: Vec<String> = file.lines().map(str::to_owned).collect();
        anyhow::ensure!(!texts.is_empty(), "{} has no lines", path.display());
        let limit = embedder.passage_tokens();
        for (number, text) in texts.iter().enumerate() {
            let tokens = embedder.tokenizer().count(text);
            anyhow::ensure!(
                tokens <= limit,
                "{} line {} has {tokens} tokens; shorten it to the model's limit of {limit}",
                path.display(),
                number + 1
            );
        }
        Ok(texts)
    }

    /// The kernels to measure, slowest first.
    fn kernels(&self) -> anyhow::Result<Vec<Kernel>> {
        let mut kernels = Kernel::available();
        kernels.reverse();
        let Some(name) = &self.kernel else {
            return Ok(kernels);
        };
        let names: Vec<String> = kernels.iter().map(Kernel::to_string).collect();
        kernels.retain(|kernel| kernel.to_string() == *name);
        anyhow::ensure!(
            !kernels.is_empty(),
            "kernel {name} is not available on this CPU; choose one of {}",
            names.join(", ")
        );
        Ok(kernels)
    }
}

/// Embeds passages with each kernel, on one thread and on all cores, and prints rates and query latency.
///
/// # Errors
/// When the texts cannot be read, the model fails or `out` is closed.
pub fn embed(bench: &EmbedBench, out: &mut impl Write) -> anyhow::Result<()> {
    let embedder = Embedder::built_in()?;
    let texts = bench.texts(&embedder)?;
    let tokens: usize = texts.iter().map(|text| embedder.tokenizer().count(text)).sum();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    writeln!(
        out,
        "embedding {} passages of {} tokens on average",
        texts.len(),
        tokens / texts.len().max(1)
    )?;
    writeln!(
        out,
        "{:<14}{:>8}{:>14}{:>12}{:>8}   query of 8 words",
        "kernel", "threads", "passages/s", "tokens/s", "ratio"
    )?;
    let mut slowest = None;
    for kernel in bench.kernels()? {
        let embedder = Embedder::built_in_with_kernel(kernel)?;
        // The portable kernel is so slow that an eighth of the texts gives a stable rate.
        let share = if kernel == Kernel::Portable {
            texts.len().div_ceil(8)
        } else {
            texts.len()
        };
        for threads in if cores > 1 { vec![1, cores] } else { vec![1] } {
            let seconds = run(&embedder, &texts[..share], threads)?;
            let rate = share as f64 / seconds;
            let base = *slowest.get_or_insert(rate);
            let queries = query_latency(&embedder)?;
            let token_rate = rate * tokens as f64 / texts.len() as f64;
            writeln!(
                out,
                "{:<14}{threads:>8}{rate:>14.0}{token_rate:>12.0}{:>7.1}x   {queries}",
                kernel.to_string(),
                rate / base
            )?;
        }
    }
    Ok(())
}

/// Embeds the passages once on all cores, with the fastest kernel or that of `bench`. Prints the time and
/// optionally the embeddings as JSON, for scripts that compare runtimes.
///
/// # Errors
/// As [`embed`].
pub fn embed_once(bench: &EmbedBench, vectors: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let kernel = *bench.kernels()?.last().context("no kernel is available")?;
    let embedder = Embedder::built_in_with_kernel(kernel)?;
    let texts = bench.texts(&embedder)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // The first call reads the weights from the file.
    embedder.embed(&[texts[0].as_str()])?;
    let mut report = serde_json::json!({
        "kernel": kernel.to_string(),
        "threads": cores,
        "passages": texts.len(),
        "seconds": run(&embedder, &texts, cores)?,
    });
    if vectors {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        report["vectors"] = serde_json::json!(embedder.embed(&texts)?);
    }
    writeln!(out, "{report}")?;
    Ok(())
}

/// Seconds to embed all `texts` on `threads` threads.
fn run(embedder: &Embedder, texts: &[String], threads: usize) -> anyhow::Result<f64> {
    let batches: Vec<Vec<&str>> = texts
        .chunks(BATCH)
        .map(|batch| batch.iter().map(String::as_str).collect())
        .collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), autorag_embedder::EmbedError> {
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            embedder.embed(batch)?;
        }
        Ok(())
    };
    let started = Instant::now();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in running {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("an embedding thread panicked"))??;
        }
        Ok(())
    })?;
    Ok(started.elapsed().as_secs_f64())
}

fn query_latency(embedder: &Embedder) -> anyhow::Result<Percentiles> {
    let mut prose = Prose::new(99);
    let queries: Vec<String> = (0..QUERIES).map(|_| prose.sentence(8)).collect();
    Ok(Percentiles::of(&queries, |query| {
        embedder.embed_query(query).map(drop)
    })?)
}

/// Prose of about [`TOKENS`] tokens, and no more.
fn passage(seed: u64, tokenizer: &Tokenizer) -> String {
    let mut prose = Prose::new(seed);
    let mut text = String::new();
    loop {
        let sentence = prose.sentence(8);
        if tokenizer.count(&text) + tokenizer.count(&sentence) > TOKENS {
            return text;
        }
        text += &sentence;
    }
}
