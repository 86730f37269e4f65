//! Building the vectors of passages that have none.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use autorag_embedder::{EmbedError, Embedder};
use autorag_store::{ContentHash, PendingPassage, Store};

use crate::input::embedding_input;
use crate::{Cancel, IndexError, Progress};

/// Passages taken from the catalog at a time; their vectors become durable and searchable together.
const WINDOW: usize = 1024;
/// The same for the first of a run. It has the newest passages, and who has just changed a file should not wait for many others.
const FIRST_WINDOW: usize = 64;
/// Passages embedded at a time by a thread. Small, so that a wish to stop is soon heard.
const BATCH: usize = 16;

/// A text to embed, by its hash.
type Text = (ContentHash, String);

/// How far embedding came.
pub(crate) struct Embedded {
    /// Passages that got their vectors.
    pub passages: u64,
    /// Whether no passage waits any more.
    pub all: bool,
}

/// Embeds every passage that waits for a vector, newest first, unless there is a reason to `pause`.
pub(crate) fn embed_pending(
    store: &Store,
    embedder: &Embedder,
    threads: usize,
    progress: &Progress,
    cancel: &Cancel,
    pause: &(dyn Fn() -> bool + Sync),
) -> Result<Embedded, IndexError> {
    let counts = store.snapshot()?.counts();
    progress.set_to_embed(counts.passages.saturating_sub(counts.embedded));
    let (mut before, mut passages) = (None, 0);
    let mut window = FIRST_WINDOW;
    loop {
        cancel.check()?;
        let pending = store.pending_embeddings(before, window)?;
        let Some(last) = pending.last().map(|passage| passage.id) else {
            return Ok(Embedded { passages, all: true });
        };
        if pause() {
            return Ok(Embedded { passages, all: false });
        }
        let texts = texts(&pending, embedder);
        let embedded = embed_all(&texts, embedder, threads, progress, &|| {
            cancel.is_cancelled() || pause()
        })?;
        if !embedded.is_empty() {
            passages += store.put_embeddings(&embedded)? as u64;
            store.refresh_vectors()?;
        }
        // Vectors of a window that was cut short are kept; why it was is asked anew before going on with the rest of it.
        if embedded.len() == texts.len() {
            before = Some(last);
            window = WINDOW;
        }
    }
}

/// Each different text once, longest first: texts of one length waste nothing together, and the last ones to finish are short.
fn texts(pending: &[PendingPassage], embedder: &Embedder) -> Vec<Text> {
    let window = embedder.passage_tokens();
    let mut seen = HashSet::new();
    let mut texts: Vec<Text> = pending
        .iter()
        .filter(|passage| seen.insert(passage.embed_hash))
        .map(|passage| {
            let title = passage.title.as_deref();
            let text = embedding_input(
                title,
                &passage.heading_path,
                &passage.text,
                embedder.tokenizer(),
                window,
            );
            (passage.embed_hash, text)
        })
        .collect();
    texts.sort_by_key(|(_, text)| std::cmp::Reverse(text.len()));
    texts
}

fn embed_all(
    texts: &[Text],
    embedder: &Embedder,
    threads: usize,
    progress: &Progress,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<(ContentHash, Vec<f32>)>, IndexError> {
    let batches: Vec<&[Text]> = texts.chunks(BATCH).collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(ContentHash, Vec<f32>)>, EmbedError> {
        let mut done = Vec::new();
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop() {
                break;
            }
            let inputs: Vec<&str> = batch.iter().map(|(_, text)| text.as_str()).collect();
            let vectors = embedder.embed(&inputs)?;
            done.extend(batch.iter().map(|(hash, _)| *hash).zip(vectors));
            progress.embedded(batch.len());
        }
        Ok(done)
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::with_capacity(texts.len());
        for thread in running {
            all.extend(thread.join().map_err(|_| IndexError::Panicked)??);
        }
        Ok(all)
    })
}
