//! One run: find, compare, parse, make searchable, embed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use autorag_embedder::Embedder;
use autorag_store::{
    ChangeBatch, DocumentKey, ItemAction, ItemStatus, ModelIdentity, NewDocument, NewJobItem, Store,
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::compare::{Changes, Task};
use crate::embedding::{Embedded, embed_for_next_model, embed_pending};
use crate::options::Globs;
use crate::progress::{Cancel, Progress, Stage};
use crate::reading::Outcome;
use crate::source::{Listing, list};
use crate::worker::ParserPool;
use crate::{IndexError, IndexOptions, Journal, RunReport, Watcher};

/// Documents in a transaction, at most …
const BATCH_DOCUMENTS: usize = 256;
/// … and bytes of text.
const BATCH_BYTES: usize = 8 << 20;
/// How long parsed documents wait for their transaction.
const BATCH_AGE: Duration = Duration::from_millis(400);
/// How often what was committed is made searchable. The first time comes at once.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// Parsed documents that wait for the writer. With each at most a file's largest size, this bounds memory.
const WAITING: usize = 16;
/// Keys removed in a transaction.
const BATCH_REMOVALS: usize = 4096;

/// Brings a store up to date with its folders.
pub struct Indexer {
    pub(crate) store: Arc<Store>,
    pub(crate) embedder: Arc<Embedder>,
    /// The model that is to take the place of that of `embedder`.
    next: Option<Arc<Embedder>>,
    pub(crate) options: IndexOptions,
    pub(crate) parsers: Option<ParserPool>,
    globs: Globs,
}

impl Indexer {
    /// An indexer for `store`. Passages are measured in the tokens of `embedder`, and embedded with it where it is of the store's model.
    ///
    /// # Errors
    /// [`IndexError::Setting`] naming an option that cannot be used.
    pub fn new(
        store: Arc<Store>,
        embedder: Arc<Embedder>,
        options: IndexOptions,
    ) -> Result<Indexer, IndexError> {
        let globs = Globs::new(&options)?;
        let setting = |setting, message: String| Err(IndexError::Setting { setting, message });
        let most = embedder.passage_tokens();
        if options.chunk_tokens == 0 || options.chunk_tokens > most {
            return setting(
                "index.chunk_tokens",
                format!("{} is outside 1 to {}", options.chunk_tokens, most),
            );
        }
        if options.chunk_overlap_percent > 50 {
            return setting(
                "index.chunk_overlap_percent",
                format!("{} is over 50", options.chunk_overlap_percent),
            );
        }
        Ok(Indexer {
            store,
            embedder,
            parsers: options.parser.clone().map(ParserPool::new),
            next: None,
            options,
            globs,
        })
    }

    /// The same with the model that is to take the place of the store's, see [`Store::promote`].
    #[must_use]
    pub fn with_next_model(self, next: Option<Arc<Embedder>>) -> Indexer {
        Indexer { next, ..self }
    }

    /// Brings the store up to date with its folders. Text is searchable before its vectors are built.
    ///
    /// With a `watcher`, files that change meanwhile need not wait for the vectors: as soon as it says so, embedding pauses for
    /// another walk. It is told which folders to watch. The `journal` has what was done, if anything was.
    ///
    /// # Errors
    /// [`IndexError::Root`] where a folder is gone, [`IndexError::Cancelled`] and its like when asked to stop, and whatever the store or the
    /// model says. What was done up to there is kept. A remote model whose provider fails is no error: the report has the
    /// passages that wait for it.
    pub fn run(
        &self,
        progress: &Progress,
        cancel: &Cancel,
        watcher: Option<&Watcher>,
        journal: &Journal,
    ) -> Result<RunReport, IndexError> {
        let started = Instant::now();
        let mut report = RunReport::default();
        let mut unchanged = None;
        while let Some(seen) = self.update_text(progress, cancel, watcher, journal, &mut report)? {
            // To a later walk, what the run has added is unchanged as well.
            progress.set_unchanged(*unchanged.get_or_insert(report.unchanged));
            progress.enter(Stage::Embedding);
            let embedding = Instant::now();
            let threads = self.options.threads.max(1);
            let pause = || watcher.is_some_and(Watcher::is_due);
            let done = self.embed(threads, progress, cancel, &pause)?;
            report.embedded += done.passages;
            report.unembedded = done.unembedded;
            if !done.paused {
                // Every file was seen; passages that wait for a provider do so in the catalog.
                self.store.finish_run(seen)?;
            }
            report.took_embed += embedding.elapsed();
            if !done.paused {
                break;
            }
        }
        report.unchanged = unchanged.unwrap_or(report.unchanged);
        progress.set_unchanged(report.unchanged);
        report.took_total = started.elapsed();
        progress.enter(Stage::Done);
        Ok(report)
    }

    /// Embeds what waits: with the store's model, then with the one that is to take its place.
    pub(crate) fn embed(
        &self,
        threads: usize,
        progress: &Progress,
        cancel: &Cancel,
        pause: &(dyn Fn() -> bool + Sync),
    ) -> Result<Embedded, IndexError> {
        let mut done = Embedded::default();
        if Self::is_of(&self.embedder, self.store.snapshot()?.model()) {
            done = embed_pending(&self.store, &self.embedder, threads, progress, cancel, pause)?;
        }
        let next = self.next.as_ref().filter(|_| !done.paused);
        if let (Some(next), Some(wanted)) = (next, self.store.reembedding()?)
            && Self::is_of(next, &wanted.model)
        {
            let embedded = embed_for_next_model(&self.store, next, threads, progress, cancel, pause)?;
            done.passages += embedded.passages;
            done.paused = embedded.paused;
            done.unembedded = done.unembedded.or(embedded.unembedded);
        }
        Ok(done)
    }

    /// Finds what has changed and makes it searchable by BM25. How many files there are; `None` where the store is as the
    /// folders are already.
    fn update_text(
        &self,
        progress: &Progress,
        cancel: &Cancel,
        watcher: Option<&Watcher>,
        journal: &Journal,
        report: &mut RunReport,
    ) -> Result<Option<u64>, IndexError> {
        let scanning = Instant::now();
        progress.scan();
        if let Some(watcher) = watcher {
            watcher.walking(progress.snapshot().stage == Stage::Checking);
        }
        let listing = self.scan(progress, cancel, watcher)?;
        if let Some(watcher) = watcher {
            watcher.walked(&listing.folders, scanning.elapsed());
        }
        let recipe = self.options.recipe();
        let known = self.store.known_files()?;
        if known.is_empty() {
            self.store.set_recipe(&recipe)?;
        }
        let same_recipe = self.store.recipe()?.is_some_and(|kept| kept == recipe);
        let mut changes = Changes::between(listing, known, same_recipe);
        if same_recipe {
            self.look_again(&mut changes, cancel)?;
        }
        report.unchanged = changes.unchanged;
        report.took_scan += scanning.elapsed();
        if same_recipe && changes.is_empty() && self.store.run_state()?.finished {
            let counts = self.store.snapshot()?.counts();
            let only_vectors = counts.embedded < counts.passages || self.store.reembedding()?.is_some();
            if only_vectors {
                journal.begin()?;
            }
            // Walks that nothing asked for come often; they leave no trace where there is nothing to do.
            if watcher.is_some() {
                return Ok(only_vectors.then_some(changes.seen));
            }
        } else {
            journal.begin()?;
        }

        self.store.begin_run()?;
        progress.enter(Stage::Indexing);
        progress.set_files_to_index(changes.tasks.len());
        let indexing = Instant::now();
        let indexed = self.index(changes.tasks, same_recipe, progress, cancel, report);
        if let Some(parsers) = &self.parsers {
            parsers.rest();
        }
        indexed?;
        report.removed += changes.removed.len() as u64;
        for removals in changes.removed.chunks(BATCH_REMOVALS) {
            self.store.apply(&ChangeBatch {
                removals: removals.to_vec(),
                log: removals.iter().map(|key| removed(key)).collect(),
                ..ChangeBatch::default()
            })?;
        }
        self.store.set_recipe(&recipe)?;
        self.store.refresh_lexical()?;
        report.took_index += indexing.elapsed();
        Ok(Some(changes.seen))
    }

    fn scan(
        &self,
        progress: &Progress,
        cancel: &Cancel,
        watcher: Option<&Watcher>,
    ) -> Result<Listing, IndexError> {
        let mut listing = Listing::default();
        for source in self.store.sources() {
            if watcher.is_some_and(|watcher| watcher.is_unmounted(&source.path)) {
                return Err(IndexError::Root {
                    path: source.path.clone(),
                    reason: "it is empty, and the disk that it was on is no longer mounted there".into(),
                });
            }
            list(
                source,
                self.store.dir(),
                &self.options,
                &self.globs,
                progress,
                cancel,
                &mut listing,
            )?;
        }
        Ok(listing)
    }

    /// Parses on several threads and stores on this one.
    fn index(
        &self,
        tasks: Vec<Task>,
        same_recipe: bool,
        progress: &Progress,
        cancel: &Cancel,
        report: &mut RunReport,
    ) -> Result<(), IndexError> {
        if tasks.is_empty() {
            return Ok(());
        }
        let (give, take) = bounded::<Task>(WAITING);
        let (done, parsed) = bounded::<Outcome>(WAITING);
        std::thread::scope(|scope| {
            for _ in 0..self.options.threads.max(1) {
                let (take, done) = (take.clone(), done.clone());
                scope.spawn(move || self.work(&take, &done, same_recipe, cancel));
            }
            drop((take, done));
            scope.spawn(move || {
                for task in tasks {
                    // The receivers are gone only when the run is over.
                    if give.send(task).is_err() || cancel.is_cancelled() {
                        break;
                    }
                }
            });
            // Dropping the receiver on an error ends the other threads.
            self.collect(parsed, progress, cancel, report)
        })
    }

    fn work(&self, tasks: &Receiver<Task>, done: &Sender<Outcome>, same_recipe: bool, cancel: &Cancel) {
        for task in tasks {
            if cancel.is_cancelled() || done.send(self.process(task, same_recipe)).is_err() {
                break;
            }
        }
    }

    /// Whether a model makes the vectors that a store expects.
    fn is_of(embedder: &Embedder, model: &ModelIdentity) -> bool {
        let own = embedder.model();
        model.matches(&own.id, &own.version, own.dimensions)
    }

    fn collect(
        &self,
        parsed: Receiver<Outcome>,
        progress: &Progress,
        cancel: &Cancel,
        report: &mut RunReport,
    ) -> Result<(), IndexError> {
        let (mut batch, mut bytes) = (ChangeBatch::default(), 0);
        let mut begun = Instant::now();
        let mut refreshed: Option<Instant> = None;
        loop {
            let outcome = parsed.recv_timeout(BATCH_AGE);
            cancel.check()?;
            let open = !matches!(outcome, Err(RecvTimeoutError::Disconnected));
            if let Ok(outcome) = outcome {
                if batch.is_empty() {
                    begun = Instant::now();
                }
                progress.finished_file();
                match outcome {
                    // To go on would take every other file for unreadable, and its text out of the index.
                    Outcome::NoDescriptors => return Err(IndexError::NoDescriptors),
                    Outcome::Same { key, stat } => {
                        report.unchanged += 1;
                        batch.touched.push((key, stat));
                    }
                    Outcome::New {
                        document,
                        known,
                        took,
                        retry,
                    } => {
                        count(report, &document, known);
                        bytes += document.text.len();
                        batch.log.push(logged(&document, known, took));
                        batch.retries.extend(retry);
                        batch.upserts.push(*document);
                    }
                }
            }
            let full = batch.upserts.len() + batch.touched.len() >= BATCH_DOCUMENTS || bytes >= BATCH_BYTES;
            if !batch.is_empty() && (full || !open || begun.elapsed() >= BATCH_AGE) {
                self.store.apply(&batch)?;
                (batch, bytes) = (ChangeBatch::default(), 0);
                if refreshed.is_none_or(|at| at.elapsed() >= REFRESH_EVERY) {
                    self.store.refresh_lexical()?;
                    refreshed = Some(Instant::now());
                }
            }
            if !open {
                return Ok(());
            }
        }
    }
}

fn count(report: &mut RunReport, document: &NewDocument, known: bool) {
    match known {
        true => report.changed += 1,
        false => report.added += 1,
    }
    match document.status {
        ItemStatus::Completed => report.passages += document.passages.len() as u64,
        ItemStatus::Error => report.errors += 1,
        ItemStatus::Skipped => report.skipped += 1,
    }
}

fn logged(document: &NewDocument, known: bool, took: Duration) -> NewJobItem {
    NewJobItem {
        key: document.key.clone(),
        action: match (document.status, known) {
            (ItemStatus::Completed, false) => ItemAction::Added,
            (ItemStatus::Completed, true) => ItemAction::Changed,
            (ItemStatus::Error, _) => ItemAction::Failed,
            (ItemStatus::Skipped, _) => ItemAction::Skipped,
        },
        reason: document.reason.clone(),
        passages: document.passages.len() as u64,
        milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }
}

fn removed(key: &DocumentKey) -> NewJobItem {
    NewJobItem {
        key: key.clone(),
        action: ItemAction::Removed,
        reason: None,
        passages: 0,
        milliseconds: 0,
    }
}
