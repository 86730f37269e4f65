//! Embeds passages that have no embedding yet.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use autorag_embedder::{EmbedError, Embedder, Patience};
use autorag_store::{ContentHash, PassageId, PendingPassage, Store};

use crate::input::embedding_input;
use crate::report::MissingEmbeddings;
use crate::{IndexError, RunContext};

/// Passages per window. The vectors of a window become durable and searchable together.
const WINDOW: usize = 1024;
/// The first window of a run is small. It holds the newest passages, so a file that was just saved is searchable soon.
const FIRST_WINDOW: usize = 64;
/// Window while re-embedding for the next model. Small, because a killed run loses its window.
const NEXT_MODEL_WINDOW: usize = 256;

/// A text to embed, with its hash.
type Text = (ContentHash, String);

/// The model that embeddings are made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The model that serves searches now.
    Serving,
    /// The model that replaces the serving one when every passage has an embedding.
    ///
    /// Passages are chunked by the tokens of the serving model. Text beyond what the next model reads is left
    /// out until the documents are chunked again.
    Next,
}

/// Embeds all pending passages for one target.
pub(crate) struct EmbeddingPass<'a> {
    pub store: &'a Store,
    pub embedder: &'a Embedder,
    pub target: Target,
    pub threads: usize,
    pub context: &'a RunContext<'a>,
}

/// Result of [`EmbeddingPass::run`].
#[derive(Default)]
pub(crate) struct EmbeddingOutcome {
    /// Passages that got an embedding.
    pub passages: u64,
    /// Whether embedding stopped for a walk that is due.
    pub paused: bool,
    /// Passages that the model's provider returned no embeddings for.
    pub missing: Option<MissingEmbeddings>,
}

/// Result of [`EmbeddingPass::sweep`].
#[derive(Default)]
struct Sweep {
    passages: u64,
    paused: bool,
    /// Why the provider refused a text.
    refused: Option<EmbedError>,
    /// Why the provider failed.
    failure: Option<EmbedError>,
}

/// The embeddings of one window.
#[derive(Default)]
struct Batch {
    vectors: Vec<(ContentHash, Vec<f32>)>,
    /// Why the provider refused a text.
    refused: Option<EmbedError>,
    /// Why the provider failed.
    failure: Option<EmbedError>,
    /// Whether every text was tried.
    is_complete: bool,
}

impl EmbeddingPass<'_> {
    /// Embeds every pending passage, newest first, unless the watcher has a walk due.
    ///
    /// If the provider fails, the remaining passages stay pending. If it refuses one text, only that text is left out.
    pub(crate) fn run(&self) -> Result<EmbeddingOutcome, IndexError> {
        self.context.progress.set_to_embed(self.count_missing()?);
        let sweep = self.sweep()?;
        let mut outcome = EmbeddingOutcome {
            passages: sweep.passages,
            paused: sweep.paused,
            missing: None,
        };
        if sweep.paused {
            return Ok(outcome);
        }
        if let Some(reason) = sweep.failure.or(sweep.refused) {
            let passages = self.count_missing()?;
            outcome.missing = (passages > 0).then_some(MissingEmbeddings { passages, reason });
        } else if self.target == Target::Next {
            self.store.promote()?;
        }
        Ok(outcome)
    }

    fn sweep(&self) -> Result<Sweep, IndexError> {
        let mut sweep = Sweep::default();
        let mut before = None;
        let mut window = match self.target {
            Target::Serving => FIRST_WINDOW,
            Target::Next => NEXT_MODEL_WINDOW,
        };
        while sweep.failure.is_none() {
            self.context.cancel.check()?;
            let pending = self.pending(before, window)?;
            let Some(last) = pending.last().map(|passage| passage.id) else {
                // Re-embedding takes long. Passages may have been added meanwhile, so look for newer ones at the
                // end.
                if self.target == Target::Next && before.take().is_some() && sweep.refused.is_none() {
                    continue;
                }
                break;
            };
            if self.context.is_walk_due() {
                sweep.paused = true;
                break;
            }
            let batch = self.embed_texts(&self.texts(&pending))?;
            sweep.passages += self.save(&batch.vectors)?;
            sweep.refused = sweep.refused.or(batch.refused);
            sweep.failure = batch.failure;
            // An incomplete window keeps its vectors. The next turn checks why it ended before it embeds the
            // remaining texts.
            if batch.is_complete {
                before = Some(last);
                if self.target == Target::Serving {
                    window = WINDOW;
                }
            }
        }
        Ok(sweep)
    }

    fn count_missing(&self) -> Result<u64, IndexError> {
        let counts = self.store.snapshot()?.counts();
        let embedded = match self.target {
            Target::Serving => counts.embedded,
            Target::Next => self
                .store
                .reembedding()?
                .map_or(0, |reembedding| reembedding.done),
        };
        Ok(counts.passages.saturating_sub(embedded))
    }

    /// Up to `limit` pending passages older than `before`, newest first.
    fn pending(&self, before: Option<PassageId>, limit: usize) -> Result<Vec<PendingPassage>, IndexError> {
        Ok(match self.target {
            Target::Serving => self.store.pending_embeddings(before, limit)?,
            Target::Next => self.store.pending_for_next_model(before, limit)?,
        })
    }

    /// Stores vectors. Returns how many passages have one now.
    fn save(&self, vectors: &[(ContentHash, Vec<f32>)]) -> Result<u64, IndexError> {
        match self.target {
            Target::Serving if vectors.is_empty() => Ok(0),
            Target::Serving => {
                let passages = self.store.put_embeddings(vectors)?;
                // Until here, a text that several passages share was counted once.
                self.context
                    .progress
                    .add_embedded(passages.saturating_sub(vectors.len()));
                self.store.refresh_vectors()?;
                Ok(passages as u64)
            }
            Target::Next => {
                let dimensions = self.embedder.model().dimensions;
                self.store.put_next_model_embeddings(vectors, dimensions)?;
                Ok(vectors.len() as u64)
            }
        }
    }

    /// The distinct texts of `pending`, longest first: texts of similar length waste no padding together, and
    /// the last batches to finish are short.
    fn texts(&self, pending: &[PendingPassage]) -> Vec<Text> {
        let window = self.embedder.passage_tokens();
        let tokenizer = self.embedder.tokenizer();
        let mut seen = HashSet::new();
        let mut texts: Vec<Text> = pending
            .iter()
            .filter(|passage| seen.insert(passage.embed_hash))
            .map(|passage| {
                let title = passage.title.as_deref();
                let mut text =
                    embedding_input(title, &passage.heading_path, &passage.text, tokenizer, window);
                if self.target == Target::Next {
                    truncate(&mut text, self.embedder, window);
                }
                (passage.embed_hash, text)
            })
            .collect();
        texts.sort_by_key(|(_, text)| std::cmp::Reverse(text.len()));
        texts
    }

    /// Embeds `texts` in concurrent calls.
    fn embed_texts(&self, texts: &[Text]) -> Result<Batch, IndexError> {
        let batches: Vec<&[Text]> = texts.chunks(self.embedder.batching().texts).collect();
        let next = AtomicUsize::new(0);
        let has_failed = AtomicBool::new(false);
        let patience = || self.patience();
        let work = || {
            let mut done = Batch {
                is_complete: true,
                ..Batch::default()
            };
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                if patience() != Patience::Full || has_failed.load(Ordering::Relaxed) {
                    done.is_complete = false;
                    break;
                }
                let inputs: Vec<&str> = batch.iter().map(|(_, text)| text.as_str()).collect();
                let result =
                    self.embedder
                        .embed_each(&inputs, &patience, &mut |index, outcome| match outcome {
                            Ok(vector) => {
                                done.vectors.push((batch[index].0, vector));
                                self.context.progress.add_embedded(1);
                            }
                            Err(refused) => done.refused = Some(refused),
                        });
                if let Err(error) = result {
                    done.is_complete = false;
                    has_failed.store(true, Ordering::Relaxed);
                    done.failure = Some(error).filter(|error| *error != EmbedError::Interrupted);
                    break;
                }
            }
            done
        };
        let mut all = Batch {
            is_complete: true,
            ..Batch::default()
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.calls().min(batches.len()).max(1))
                .map(|_| scope.spawn(work))
                .collect();
            for thread in threads {
                let done = thread.join().map_err(|_| IndexError::Panicked)?;
                all.vectors.extend(done.vectors);
                all.refused = all.refused.take().or(done.refused);
                all.failure = all.failure.take().or(done.failure);
                all.is_complete &= done.is_complete;
            }
            match all.failure {
                // Not the provider's fault: something is wrong in this process.
                Some(error) if !error.is_provider_failure() => Err(error.into()),
                _ => Ok(all),
            }
        })
    }

    /// How long a call to the model may still take.
    fn patience(&self) -> Patience {
        if self.context.cancel.is_cancelled() {
            Patience::None
        } else if self.context.is_walk_due() {
            Patience::FinishRequests
        } else {
            Patience::Full
        }
    }

    /// Number of concurrent calls. While a provider is down, a single call probes it.
    fn calls(&self) -> usize {
        match self.embedder.outage() {
            Some(_) => 1,
            None => self.embedder.batching().calls.unwrap_or(self.threads),
        }
    }
}

/// Cuts `text` to at most `window` tokens.
fn truncate(text: &mut String, embedder: &Embedder, window: usize) {
    let tokenizer = embedder.tokenizer();
    let mut keep = window;
    // The loop is needed because a cut word may have more tokens than the whole word.
    while tokenizer.count(text) > window && keep > 0 {
        if let Some(span) = tokenizer.token_spans(text).get(keep) {
            text.truncate(span.start);
        }
        keep -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_text_fits_the_window() {
        let embedder = Embedder::built_in().unwrap();
        let tokenizer = embedder.tokenizer();
        let whole = "Antidisestablishmentarianism is a floccinaucinihilipilification of words.";
        for window in 4..tokenizer.count(whole) + 2 {
            let mut text = whole.to_owned();
            truncate(&mut text, &embedder, window);
            assert!(
                whole.starts_with(&text) && tokenizer.count(&text) <= window,
                "{text:?}"
            );
        }
    }
}
