//! `autorag bench embed`

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use autorag_embedder::{Embedder, Kernel, Tokenizer};

use super::prose::Prose;
use super::timing::Percentiles;

/// Tokens of a made-up passage: what the chunker aims at.
const TOKENS: usize = 200;
/// Passages embedded at a time, as the indexer does.
const BATCH: usize = 32;
/// Queries timed.
const QUERIES: usize = 200;

/// Embeds `passages` made-up passages with each kernel that this CPU has, on one thread and on all.
///
/// # Errors
/// When the model fails or `out` is closed.
pub fn embed(passages: usize, out: &mut impl Write) -> anyhow::Result<()> {
    let embedder = Embedder::built_in()?;
    let texts: Vec<String> = (0..passages as u64)
        .map(|seed| passage(seed, embedder.tokenizer()))
        .collect();
    let tokens: usize = texts.iter().map(|text| embedder.tokenizer().count(text)).sum();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    writeln!(
        out,
        "embedding {passages} passages of {} tokens on average",
        tokens / passages.max(1)
    )?;
    writeln!(
        out,
        "{:<14}{:>8}{:>14}{:>12}{:>8}   query of 8 words",
        "kernel", "threads", "passages/s", "tokens/s", "ratio"
    )?;
    let mut slowest = None;
    for kernel in Kernel::available().into_iter().rev() {
        let embedder = Embedder::built_in()?.with_kernel(kernel)?;
        // The portable path is far slower; a part of the texts is enough to know its speed.
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

/// Prose of about [`TOKENS`] tokens, never more.
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
