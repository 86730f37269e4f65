//! Building the vectors of passages that have none.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use autorag_embedder::{EmbedError, Embedder, Patience};
use autorag_store::{ContentHash, PendingPassage, Store};

use crate::input::embedding_input;
use crate::report::Unembedded;
use crate::{Cancel, IndexError, Progress};

/// Passages taken from the catalog at a time; their vectors become durable and searchable together.
const WINDOW: usize = 1024;
/// The same for the first of a run. It has the newest passages, and who has just changed a file should not wait for many others.
const FIRST_WINDOW: usize = 64;
/// The same while a model takes the place of another: no one waits for those, and a run that is killed loses little.
const NEXT_MODEL_WINDOW: usize = 256;

/// A text to embed, by its hash.
type Text = (ContentHash, String);

/// How far embedding came.
#[derive(Default)]
pub(crate) struct Embedded {
    /// Passages that got their vectors.
    pub passages: u64,
    /// Whether a wish to pause ended it.
    pub paused: bool,
    /// Passages that the provider of the model gave no vectors for, and why.
    pub unembedded: Option<Unembedded>,
}

/// Embeds every passage that waits for a vector, newest first, unless there is a reason to `pause`.
///
/// Where a provider fails, the rest goes on waiting; where it does not take a single text, only that one does.
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
    let patience = patience(cancel, pause);
    let (mut before, mut done) = (None, Embedded::default());
    let mut window = FIRST_WINDOW;
    let mut failure = None;
    while failure.is_none() {
        cancel.check()?;
        let pending = store.pending_embeddings(before, window)?;
        let Some(last) = pending.last().map(|passage| passage.id) else {
            break;
        };
        if pause() {
            done.paused = true;
            return Ok(done);
        }
        let texts = texts(&pending, embedder);
        let came = embed_all(&texts, embedder, calls(embedder, threads), progress, &patience)?;
        if !came.vectors.is_empty() {
            let passages = store.put_embeddings(&came.vectors)?;
            // A text that several passages share was counted once.
            progress.embedded(passages.saturating_sub(came.vectors.len()));
            done.passages += passages as u64;
            store.refresh_vectors()?;
        }
        if let Some(refused) = came.refused {
            done.unembedded.get_or_insert(Unembedded {
                passages: 0,
                reason: refused,
            });
        }
        failure = came.failure;
        // Vectors of a window that was cut short are kept; why it was is asked anew before going on with the rest of it.
        if came.whole {
            before = Some(last);
            window = WINDOW;
        }
    }
    let counts = store.snapshot()?.counts();
    let passages = counts.passages.saturating_sub(counts.embedded);
    let reason = failure.or(done.unembedded.map(|refused| refused.reason));
    done.unembedded = reason
        .filter(|_| passages > 0)
        .map(|reason| Unembedded { passages, reason });
    Ok(done)
}

/// Embeds every passage with the model that is to take the other's place, and puts it there, unless there is a reason to `pause`.
/// Passages were measured in the tokens of the other model: what this one does not read is left out, until they are cut anew.
pub(crate) fn embed_for_next_model(
    store: &Store,
    embedder: &Embedder,
    threads: usize,
    progress: &Progress,
    cancel: &Cancel,
    pause: &(dyn Fn() -> bool + Sync),
) -> Result<Embedded, IndexError> {
    let passages = store.snapshot()?.counts().passages;
    let waiting = || -> Result<u64, IndexError> {
        let done = store.reembedding()?.map_or(0, |reembedding| reembedding.done);
        Ok(passages.saturating_sub(done))
    };
    progress.set_to_embed(waiting()?);
    let (window, dimensions) = (embedder.passage_tokens(), embedder.model().dimensions);
    let patience = patience(cancel, pause);
    let (mut before, mut done) = (None, Embedded::default());
    let (mut refused, mut failure) = (None, None);
    while failure.is_none() {
        cancel.check()?;
        let pending = store.pending_for_next_model(before, NEXT_MODEL_WINDOW)?;
        let Some(last) = pending.last().map(|passage| passage.id) else {
            // From the newest once more: some may have come in meanwhile.
            if before.take().is_some() && refused.is_none() {
                continue;
            }
            break;
        };
        if pause() {
            done.paused = true;
            return Ok(done);
        }
        let mut texts = texts(&pending, embedder);
        for (_, text) in &mut texts {
            shorten(text, embedder, window);
        }
        let came = embed_all(&texts, embedder, calls(embedder, threads), progress, &patience)?;
        done.passages += came.vectors.len() as u64;
        store.put_next_model_embeddings(&came.vectors, dimensions)?;
        refused = refused.or(came.refused);
        failure = came.failure;
        if came.whole {
            before = Some(last);
        }
    }
    // The other model serves on until there are vectors for all.
    match failure.or(refused) {
        Some(reason) => {
            let passages = waiting()?;
            done.unembedded = Some(Unembedded { passages, reason });
        }
        None => store.promote()?,
    }
    Ok(done)
}

/// How long a call may wait.
fn patience(cancel: &Cancel, pause: &(dyn Fn() -> bool + Sync)) -> impl Fn() -> Patience + Sync {
    move || match (cancel.is_cancelled(), pause()) {
        (true, _) => Patience::None,
        (false, true) => Patience::FinishRequests,
        (false, false) => Patience::Full,
    }
}

/// Calls at once. While a provider is down, one tries for all.
fn calls(embedder: &Embedder, threads: usize) -> usize {
    match embedder.outage() {
        Some(_) => 1,
        None => embedder.batching().calls.unwrap_or(threads),
    }
}

/// Leaves out the end of a text that is longer than `window` tokens.
fn shorten(text: &mut String, embedder: &Embedder, window: usize) {
    let tokenizer = embedder.tokenizer();
    let mut keep = window;
    // The last word of a text that is cut may have more tokens than it had within.
    while tokenizer.count(text) > window && keep > 0 {
        if let Some(span) = tokenizer.token_spans(text).get(keep) {
            text.truncate(span.start);
        }
        keep -= 1;
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

/// What came of a window.
#[derive(Default)]
struct Came {
    vectors: Vec<(ContentHash, Vec<f32>)>,
    /// What the provider has against some text.
    refused: Option<EmbedError>,
    /// Why it gave no more.
    failure: Option<EmbedError>,
    /// Whether every text was tried.
    whole: bool,
}

fn embed_all(
    texts: &[Text],
    embedder: &Embedder,
    calls: usize,
    progress: &Progress,
    patience: &(dyn Fn() -> Patience + Sync),
) -> Result<Came, IndexError> {
    let batches: Vec<&[Text]> = texts.chunks(embedder.batching().texts).collect();
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let work = || {
        let mut came = Came {
            whole: true,
            ..Came::default()
        };
        while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
            if patience() != Patience::Full || failed.load(Ordering::Relaxed) {
                came.whole = false;
                break;
            }
            let inputs: Vec<&str> = batch.iter().map(|(_, text)| text.as_str()).collect();
            let ended = embedder.embed_each(&inputs, patience, &mut |index, outcome| match outcome {
                Ok(vector) => {
                    came.vectors.push((batch[index].0, vector));
                    progress.embedded(1);
                }
                Err(refused) => came.refused = Some(refused),
            });
            if let Err(error) = ended {
                came.whole = false;
                failed.store(true, Ordering::Relaxed);
                came.failure = Some(error).filter(|error| *error != EmbedError::Interrupted);
                break;
            }
        }
        came
    };
    let mut all = Came {
        whole: true,
        ..Came::default()
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..calls.min(batches.len()).max(1))
            .map(|_| scope.spawn(work))
            .collect();
        for thread in running {
            let came = thread.join().map_err(|_| IndexError::Panicked)?;
            all.vectors.extend(came.vectors);
            all.refused = all.refused.take().or(came.refused);
            all.failure = all.failure.take().or(came.failure);
            all.whole &= came.whole;
        }
        match all.failure {
            // Not a provider's: something is wrong here.
            Some(error) if !error.is_provider_failure() => Err(error.into()),
            _ => Ok(all),
        }
    })
}
