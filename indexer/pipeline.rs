//! One run: list, compare, parse, index for keyword search, embed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use autorag_embedder::Embedder;
use autorag_store::{
    ChangeBatch, DocumentKey, ItemAction, ItemStatus, ModelIdentity, NewDocument, NewJobItem, Store,
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::compare::{Changes, FileTask};
use crate::embedding::{EmbeddingOutcome, EmbeddingPass, Target};
use crate::options::Globs;
use crate::progress::{Cancel, Stage};
use crate::reading::FileOutcome;
use crate::source::{FolderWalk, Listing};
use crate::worker::ParserPool;
use crate::{IndexError, IndexOptions, RunContext, RunReport};

/// Most documents per transaction.
const BATCH_DOCUMENTS: usize = 256;
/// A transaction is committed once it has this many bytes of text.
const BATCH_BYTES: usize = 8 << 20;
/// Longest time that a parsed document waits for its transaction.
const BATCH_AGE: Duration = Duration::from_millis(400);
/// How often committed documents are made searchable. The first batch is searchable at once.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// Capacity of the channels between parser threads and writer. Bounds memory, since each document may have the
/// largest size.
const CHANNEL_CAPACITY: usize = 16;
/// Keys removed per transaction.
const BATCH_REMOVALS: usize = 4096;

/// Updates a store from its folders.
///
/// # Example
/// Index a folder once:
/// ```
/// use std::sync::Arc;
///
/// use autorag_embedder::Embedder;
/// use autorag_indexer::{Cancel, IndexOptions, Indexer, Progress, RunContext};
/// use autorag_store::{ModelIdentity, SourceRoot, Store, StoreOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let (notes, data_dir) = (dir.path().join("notes"), dir.path().join("index"));
/// # std::fs::create_dir(&notes)?;
/// std::fs::write(notes.join("tides.md"), "# Tides\n\nThe water rises twice a day.\n")?;
///
/// let embedder = Arc::new(Embedder::built_in()?);
/// let model = ModelIdentity {
///     id: embedder.model().id.clone(),
///     version: embedder.model().version.clone(),
///     dimensions: embedder.model().dimensions,
///     ..ModelIdentity::default()
/// };
/// let sources = vec![SourceRoot { name: None, path: notes }];
/// let store = Arc::new(Store::open(&data_dir, StoreOptions { model, sources })?);
///
/// let indexer = Indexer::new(store, embedder, IndexOptions::default())?;
/// let (progress, cancel) = (Progress::default(), Cancel::default());
/// let report = indexer.run(&RunContext::new(&progress, &cancel))?;
/// assert_eq!((report.added, report.embedded), (1, 1));
/// # Ok(())
/// # }
/// ```
pub struct Indexer {
    pub(crate) store: Arc<Store>,
    pub(crate) embedder: Arc<Embedder>,
    /// The model that replaces the store's model once every passage is re-embedded.
    next: Option<Arc<Embedder>>,
    pub(crate) options: IndexOptions,
    pub(crate) parsers: Option<ParserPool>,
    globs: Globs,
}

impl Indexer {
    /// An indexer for `store`. The tokenizer of `embedder` measures the passages. If `embedder` is the store's
    /// model, it also embeds them.
    ///
    /// # Errors
    /// [`IndexError::Setting`] if an option is invalid.
    pub fn new(
        store: Arc<Store>,
        embedder: Arc<Embedder>,
        options: IndexOptions,
    ) -> Result<Indexer, IndexError> {
        options.validate(embedder.passage_tokens())?;
        let globs = Globs::new(&options)?;
        Ok(Indexer {
            store,
            embedder,
            parsers: options.parser.clone().map(ParserPool::new),
            next: None,
            options,
            globs,
        })
    }

    /// Sets the model that replaces the store's model once every passage is re-embedded; see [`Store::promote`].
    #[must_use]
    pub fn with_next_model(self, next: Option<Arc<Embedder>>) -> Indexer {
        Indexer { next, ..self }
    }

    /// Updates the store from its folders. Text is searchable before it is embedded.
    ///
    /// With a watcher, embedding pauses whenever a walk is due, so changed files need not wait for all embeddings.
    ///
    /// # Errors
    /// - [`IndexError::Root`] if a folder is gone,
    /// - [`IndexError::Cancelled`], [`IndexError::Paused`] or [`IndexError::JobCancelled`] if the run is asked to stop,
    /// - the errors of the store and the model.
    ///
    /// Committed work is kept. A failing embedding provider is not an error: the report counts the passages that
    /// wait for embeddings.
    pub fn run(&self, context: &RunContext<'_>) -> Result<RunReport, IndexError> {
        let RunContext { progress, .. } = context;
        let started = Instant::now();
        let mut report = RunReport::default();
        let mut unchanged = None;
        while let Some(seen) = self.update_text(context, &mut report)? {
            // A later walk also counts the files that this run has added. Keep the first count.
            progress.set_unchanged(*unchanged.get_or_insert(report.unchanged));
            progress.enter(Stage::Embedding);
            let embedding = Instant::now();
            let embedded = self.embed(context)?;
            report.embedded += embedded.passages;
            report.missing_embeddings = embedded.missing;
            if !embedded.paused {
                // Every file was seen. Passages without an embedding wait in the catalog.
                self.store.finish_run(seen)?;
            }
            report.took_embed += embedding.elapsed();
            if !embedded.paused {
                break;
            }
        }
        report.unchanged = unchanged.unwrap_or(report.unchanged);
        progress.set_unchanged(report.unchanged);
        report.took_total = started.elapsed();
        progress.enter(Stage::Done);
        Ok(report)
    }

    /// Embeds pending passages with the store's model, then with the model that is to replace it.
    pub(crate) fn embed(&self, context: &RunContext<'_>) -> Result<EmbeddingOutcome, IndexError> {
        let pass = |embedder: &Embedder, target| {
            let threads = self.options.threads.max(1);
            let store = &self.store;
            EmbeddingPass {
                store,
                embedder,
                target,
                threads,
                context,
            }
            .run()
        };
        let mut outcome = EmbeddingOutcome::default();
        if is_model(&self.embedder, self.store.snapshot()?.model()) {
            outcome = pass(&self.embedder, Target::Serving)?;
        }
        let next = self.next.as_ref().filter(|_| !outcome.paused);
        if let (Some(next), Some(reembedding)) = (next, self.store.reembedding()?)
            && is_model(next, &reembedding.model)
        {
            let embedded = pass(next, Target::Next)?;
            outcome.passages += embedded.passages;
            outcome.paused = embedded.paused;
            outcome.missing = outcome.missing.or(embedded.missing);
        }
        Ok(outcome)
    }

    /// Finds changes and indexes them for keyword search. Returns the number of listed files, or `None` if nothing
    /// is left to do.
    fn update_text(
        &self,
        context: &RunContext<'_>,
        report: &mut RunReport,
    ) -> Result<Option<u64>, IndexError> {
        let RunContext {
            progress, watcher, ..
        } = context;
        let scanning = Instant::now();
        progress.begin_scan();
        if let Some(watcher) = watcher {
            watcher.begin_walk(progress.snapshot().stage == Stage::Checking);
        }
        let listing = self.scan(context)?;
        if let Some(watcher) = watcher {
            watcher.end_walk(&listing.folders, scanning.elapsed());
        }
        let recipe = self.options.recipe();
        let known = self.store.known_files()?;
        if known.is_empty() {
            self.store.set_recipe(&recipe)?;
        }
        let same_recipe = self.store.recipe()?.is_some_and(|recorded| recorded == recipe);
        let mut changes = Changes::between(listing, known, same_recipe);
        if same_recipe {
            self.settle_racy_files(&mut changes, context.cancel)?;
        }
        report.unchanged = changes.unchanged;
        report.took_scan += scanning.elapsed();
        if same_recipe && changes.is_empty() && self.store.run_state()?.finished {
            let counts = self.store.snapshot()?.counts();
            let must_embed = counts.embedded < counts.passages || self.store.reembedding()?.is_some();
            if must_embed {
                context.begin_job()?;
            }
            // Walks on a schedule are frequent. If there is nothing to do, they leave no trace in the store.
            if watcher.is_some() {
                return Ok(must_embed.then_some(changes.seen));
            }
        } else {
            context.begin_job()?;
        }

        self.store.begin_run()?;
        progress.enter(Stage::Indexing);
        progress.set_files_to_index(changes.tasks.len());
        let indexing = Instant::now();
        let indexed = self.index(changes.tasks, same_recipe, context, report);
        if let Some(parsers) = &self.parsers {
            parsers.stop_idle();
        }
        indexed?;
        report.removed += changes.removed.len() as u64;
        for removals in changes.removed.chunks(BATCH_REMOVALS) {
            self.store.apply(&ChangeBatch {
                removals: removals.to_vec(),
                log: removals.iter().map(removal_log_item).collect(),
                ..ChangeBatch::default()
            })?;
        }
        self.store.set_recipe(&recipe)?;
        self.store.refresh_lexical()?;
        report.took_index += indexing.elapsed();
        Ok(Some(changes.seen))
    }

    fn scan(&self, context: &RunContext<'_>) -> Result<Listing, IndexError> {
        let walk = FolderWalk {
            data_dir: self.store.dir(),
            options: &self.options,
            globs: &self.globs,
            context,
        };
        let mut listing = Listing::default();
        for source in self.store.sources() {
            if context
                .watcher
                .is_some_and(|watcher| watcher.is_unmounted(&source.path))
            {
                return Err(IndexError::Root {
                    path: source.path.clone(),
                    reason: "the folder is empty and its disk is no longer mounted".into(),
                });
            }
            walk.list(source, &mut listing)?;
        }
        Ok(listing)
    }

    /// Parses on several threads and writes to the store on this one.
    fn index(
        &self,
        tasks: Vec<FileTask>,
        same_recipe: bool,
        context: &RunContext<'_>,
        report: &mut RunReport,
    ) -> Result<(), IndexError> {
        if tasks.is_empty() {
            return Ok(());
        }
        let cancel = context.cancel;
        let (send_task, receive_task) = bounded::<FileTask>(CHANNEL_CAPACITY);
        let (send_outcome, receive_outcome) = bounded::<FileOutcome>(CHANNEL_CAPACITY);
        std::thread::scope(|scope| {
            for _ in 0..self.options.threads.max(1) {
                let (tasks, outcomes) = (receive_task.clone(), send_outcome.clone());
                scope.spawn(move || self.work(&tasks, &outcomes, same_recipe, cancel));
            }
            drop((receive_task, send_outcome));
            scope.spawn(move || {
                for task in tasks {
                    // Sending fails only after the run has ended and dropped the receivers.
                    if send_task.send(task).is_err() || cancel.is_cancelled() {
                        break;
                    }
                }
            });
            // On an error, dropping the receiver ends the other threads.
            self.write(receive_outcome, context, report)
        })
    }

    fn work(
        &self,
        tasks: &Receiver<FileTask>,
        outcomes: &Sender<FileOutcome>,
        same_recipe: bool,
        cancel: &Cancel,
    ) {
        for task in tasks {
            if cancel.is_cancelled() || outcomes.send(self.process(task, same_recipe)).is_err() {
                break;
            }
        }
    }

    /// Writes outcomes to the store in batches, and makes them searchable from time to time.
    fn write(
        &self,
        outcomes: Receiver<FileOutcome>,
        context: &RunContext<'_>,
        report: &mut RunReport,
    ) -> Result<(), IndexError> {
        let (mut batch, mut bytes) = (ChangeBatch::default(), 0);
        let mut batch_started = Instant::now();
        let mut refreshed: Option<Instant> = None;
        loop {
            let outcome = outcomes.recv_timeout(BATCH_AGE);
            context.cancel.check()?;
            let is_open = !matches!(outcome, Err(RecvTimeoutError::Disconnected));
            if let Ok(outcome) = outcome {
                if batch.is_empty() {
                    batch_started = Instant::now();
                }
                context.progress.add_file_done();
                match outcome {
                    // Continuing would record every other file as unreadable and remove its text from the index.
                    FileOutcome::TooManyOpenFiles => return Err(IndexError::TooManyOpenFiles),
                    FileOutcome::Unchanged { key, stat } => {
                        report.unchanged += 1;
                        batch.touched.push((key, stat));
                    }
                    FileOutcome::Stored {
                        document,
                        is_known,
                        elapsed,
                        retry,
                    } => {
                        count(report, &document, is_known);
                        bytes += document.text.len();
                        batch.log.push(log_item(&document, is_known, elapsed));
                        batch.retries.extend(retry);
                        batch.upserts.push(*document);
                    }
                }
            }
            let is_full =
                batch.upserts.len() + batch.touched.len() >= BATCH_DOCUMENTS || bytes >= BATCH_BYTES;
            if !batch.is_empty() && (is_full || !is_open || batch_started.elapsed() >= BATCH_AGE) {
                self.store.apply(&batch)?;
                (batch, bytes) = (ChangeBatch::default(), 0);
                if refreshed.is_none_or(|at| at.elapsed() >= REFRESH_EVERY) {
                    self.store.refresh_lexical()?;
                    refreshed = Some(Instant::now());
                }
            }
            if !is_open {
                return Ok(());
            }
        }
    }
}

/// Whether `embedder` computes the vectors of `model`.
fn is_model(embedder: &Embedder, model: &ModelIdentity) -> bool {
    let own = embedder.model();
    model.matches(&own.id, &own.version, own.dimensions)
}

fn count(report: &mut RunReport, document: &NewDocument, is_known: bool) {
    if is_known {
        report.changed += 1;
    } else {
        report.added += 1;
    }
    match document.status {
        ItemStatus::Completed => report.passages += document.passages.len() as u64,
        ItemStatus::Error => report.errors += 1,
        ItemStatus::Skipped => report.skipped += 1,
    }
}

fn log_item(document: &NewDocument, is_known: bool, elapsed: Duration) -> NewJobItem {
    NewJobItem {
        key: document.key.clone(),
        action: match (document.status, is_known) {
            (ItemStatus::Completed, false) => ItemAction::Added,
            (ItemStatus::Completed, true) => ItemAction::Changed,
            (ItemStatus::Error, _) => ItemAction::Failed,
            (ItemStatus::Skipped, _) => ItemAction::Skipped,
        },
        reason: document.reason.clone(),
        passages: document.passages.len() as u64,
        milliseconds: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    }
}

fn removal_log_item(key: &DocumentKey) -> NewJobItem {
    NewJobItem {
        key: key.clone(),
        action: ItemAction::Removed,
        reason: None,
        passages: 0,
        milliseconds: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use autorag_store::{SourceRoot, StoreOptions};

    use super::*;
    use crate::{ParserCommand, Progress};

    /// An indexer for the folder `docs` in `dir`.
    fn indexer(dir: &Path, options: IndexOptions) -> Indexer {
        let docs = dir.join("docs");
        fs_err::create_dir_all(&docs).unwrap();
        let embedder = Arc::new(Embedder::built_in().unwrap());
        let model = ModelIdentity {
            id: embedder.model().id.clone(),
            version: embedder.model().version.clone(),
            dimensions: embedder.model().dimensions,
            ..ModelIdentity::default()
        };
        let sources = vec![SourceRoot {
            name: None,
            path: fs_err::canonicalize(docs).unwrap(),
        }];
        let store = Store::open(&dir.join("data"), StoreOptions { model, sources }).unwrap();
        Indexer::new(Arc::new(store), embedder, options).unwrap()
    }

    fn run(indexer: &Indexer) -> RunReport {
        let (progress, cancel) = (Progress::default(), Cancel::default());
        indexer.run(&RunContext::new(&progress, &cancel)).unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn files_that_may_crash_a_parser_are_parsed_in_another_process() {
        let dir = tempfile::tempdir().unwrap();
        let options = IndexOptions {
            // A process that exits at once.
            parser: Some(ParserCommand::new("/bin/true".into(), Vec::new())),
            ..IndexOptions::default()
        };
        let indexer = indexer(dir.path(), options);
        fs_err::write(dir.path().join("docs/a.json"), "{\"kiwi\": 1}").unwrap();
        fs_err::write(dir.path().join("docs/a.md"), "# Kiwi\n\nA bird.\n").unwrap();
        let report = run(&indexer);
        assert_eq!((report.added, report.errors), (2, 1));
        let known = indexer.store.known_files().unwrap();
        let status = |key: &str| known[&DocumentKey::new(key)].status;
        assert_eq!(status("a.json"), ItemStatus::Error);
        assert_eq!(status("a.md"), ItemStatus::Completed);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_second_run_processes_nothing_even_if_files_were_refused() {
        use std::os::unix::ffi::OsStrExt;
        let dir = tempfile::tempdir().unwrap();
        let indexer = indexer(dir.path(), IndexOptions::default());
        let docs = dir.path().join("docs");
        fs_err::write(docs.join("a.md"), "# Kiwi\n\nA bird.\n").unwrap();
        fs_err::write(docs.join("empty.md"), "").unwrap();
        fs_err::write(docs.join(std::ffi::OsStr::from_bytes(b"caf\xe9.md")), "text").unwrap();
        std::os::unix::fs::symlink(docs.join("a.md"), docs.join("link.md")).unwrap();
        let first = run(&indexer);
        assert_eq!((first.added, first.errors, first.skipped), (4, 1, 2));
        let second = run(&indexer);
        assert_eq!((second.added, second.changed, second.unchanged), (0, 0, 4));
    }
}
