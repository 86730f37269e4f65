//! An instance: an opened index with its engine, its settings and its current run. Command line, HTTP and MCP all use it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use autorag_embedder::{Embedder, Outage};
use autorag_indexer::{
    Cancel, IndexError, IndexOptions, Indexer, Journal, Progress, PushedDocument, RunContext, RunReport,
    Watcher,
};
use autorag_query::{
    Activity, Answer, DocumentText, Engine, IndexState, LineRange, QueryError, Request, Reranker,
    RerankerOptions,
};
use autorag_store::{
    DocumentEntry, DocumentKey, DocumentQuery, JobCause, JobId, ModelIdentity, SourceRoot, Store, StoreError,
    StoreOptions, UnixMs, VectorIndex,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::activity;
use crate::config::SearchSettings;
use crate::hint::{Interface, with_hint};
use crate::model::Models;

/// 1/N of a passage's tokens is reserved for its headings.
const HEADINGS_SHARE: usize = 8;

/// What to open, and how.
#[derive(Debug, Clone)]
pub struct InstanceConfig {
    /// The folders that documents come from.
    pub sources: Vec<SourceRoot>,
    /// The folder of the index.
    pub data_dir: PathBuf,
    /// How files are selected, parsed and chunked.
    pub options: IndexOptions,
    /// Defaults of searches.
    pub search: SearchSettings,
    /// The reranker of searches that ask for one.
    pub reranker: Option<RerankerOptions>,
    /// The models that the index can be made with.
    pub models: Models,
    /// Vector index to use if this process is the writer. A follower scans all vectors.
    pub vector_index: VectorIndex,
}

/// Access of this process to the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Open for writing. Fails if another process is the writer.
    Write,
    /// Open for writing if possible. If another process is the writer, or the folder is read-only, read the index and follow its
    /// changes.
    WriteOrFollow,
    /// Read the index and follow its changes.
    Read,
}

/// An opened index.
pub struct Instance {
    engine: Engine,
    config: InstanceConfig,
    is_writer: bool,
    is_read_only: bool,
    run: Mutex<CurrentRun>,
    /// A requested job that no run has started.
    requested: Mutex<Option<JobId>>,
    opened: Instant,
}

/// The indexing run of this process.
#[derive(Default)]
struct CurrentRun {
    /// Counters of the run in progress.
    progress: Option<Arc<Progress>>,
    /// Why the last run failed.
    failure: Option<String>,
    /// End of the last successful run, RFC 3339. The store records only runs that found changes.
    ended: Option<String>,
}

/// A store, and how this process may use it.
struct OpenedStore {
    store: Store,
    is_writer: bool,
    is_read_only: bool,
    /// The model of the settings, if it was opened.
    configured: Option<(Arc<Embedder>, ModelIdentity)>,
}

impl Instance {
    /// Opens the index of `config`, and creates it unless `access` is [`Access::Read`].
    ///
    /// # Errors
    /// When the model or the store cannot be opened, or another process is the writer and `access` is [`Access::Write`].
    pub fn open(config: InstanceConfig, access: Access) -> anyhow::Result<Instance> {
        let opened = open_store(&config, access)?;
        if opened.is_writer {
            opened.store.use_vector_index(config.vector_index)?;
        }
        let engine = build_engine(&config, opened.store, opened.configured)?;
        Ok(Instance {
            engine,
            config,
            is_writer: opened.is_writer,
            is_read_only: opened.is_read_only,
            run: Mutex::default(),
            requested: Mutex::default(),
            opened: Instant::now(),
        })
    }

    /// True if this process is the writer of the index.
    pub fn writes(&self) -> bool {
        self.is_writer
    }

    /// True if the index folder is read-only for this process.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        self.engine.store()
    }

    /// Time since this process opened the index.
    pub fn uptime(&self) -> Duration {
        self.opened.elapsed()
    }

    /// True if some process has the index open for writing.
    pub fn has_writer(&self) -> bool {
        self.store().has_writer()
    }

    /// When a file that could not be read is due for a retry.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn next_retry(&self) -> Result<Option<UnixMs>, StoreError> {
        self.store().next_retry()
    }

    /// Checks the lexical index for corruption, at intervals; see [`Store::verify_lexical`].
    ///
    /// # Errors
    /// When the check could not run.
    pub fn verify_lexical(&self) -> Result<(), StoreError> {
        self.store().verify_lexical()
    }

    /// The current outage of the embedding provider.
    pub fn outage(&self) -> Option<Outage> {
        self.engine.embedder().outage()
    }

    /// Path of the file that the document `key` came from.
    pub fn resolve(&self, key: &DocumentKey) -> Option<PathBuf> {
        self.store().resolve(key).map(|(_, path)| path)
    }

    /// Updates the index from its sources. Searches keep working meanwhile and report the progress.
    ///
    /// If the run finds work, it becomes a job with this `cause`, unless it runs a requested job or resumes one. `watcher` is passed
    /// to [`Indexer::run`].
    ///
    /// # Errors
    /// When the run cannot start or finish. Committed work is kept.
    pub fn update(
        &self,
        progress: &Arc<Progress>,
        cancel: &Cancel,
        watcher: Option<&Watcher>,
        cause: JobCause,
    ) -> Result<RunReport, IndexError> {
        self.run().progress = Some(Arc::clone(progress));
        let outcome = self.journal(cause).and_then(|journal| {
            journal.record(progress, cancel, |cancel| {
                self.run_indexer(&RunContext {
                    progress,
                    cancel,
                    watcher,
                    journal: Some(&journal),
                })
            })
        });
        let mut run = self.run();
        run.progress = None;
        run.failure = match &outcome {
            Ok(_) | Err(IndexError::Cancelled | IndexError::Paused | IndexError::JobCancelled) => None,
            Err(error) => Some(with_hint(error, Interface::CommandLine)),
        };
        if outcome.is_ok() {
            let now = OffsetDateTime::now_utc().replace_nanosecond(0);
            run.ended = now.ok().and_then(|now| now.format(&Rfc3339).ok());
        }
        outcome
    }

    /// The journal of the next run.
    fn journal(&self, cause: JobCause) -> Result<Journal, IndexError> {
        let store = Arc::clone(self.store());
        // Hold the lock until the journal exists. Otherwise a job could be requested between taking this one and starting it.
        let mut requested = self.requested();
        Ok(match requested.take() {
            Some(job) => Journal::for_job(store, job)?,
            None => Journal::new(store, cause)?,
        })
    }

    /// The requested job that no run has started.
    pub(crate) fn requested(&self) -> MutexGuard<'_, Option<JobId>> {
        self.requested.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds documents to the index that come from no folder.
    ///
    /// # Errors
    /// As [`Indexer::push`].
    pub fn push(
        &self,
        documents: &[PushedDocument],
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<u64, IndexError> {
        self.indexer()?.push(documents, progress, cancel)
    }

    /// Runs the indexer, and once more if the run completed a change to a model that needs shorter passages.
    fn run_indexer(&self, context: &RunContext<'_>) -> Result<RunReport, IndexError> {
        let tokens = self.passage_options()?.1.chunk_tokens;
        let mut report = self.indexer()?.run(context)?;
        if self.passage_options()?.1.chunk_tokens != tokens {
            let embedded = report.embedded;
            report = self.indexer()?.run(context)?;
            report.embedded += embedded;
        }
        Ok(report)
    }

    /// An indexer that measures passages with the tokenizer of the serving model. During a change of models, passages thus keep
    /// the vectors of that model until all of them are embedded with the next one.
    fn indexer(&self) -> Result<Indexer, IndexError> {
        let (embedder, options) = self.passage_options()?;
        let store = Arc::clone(self.store());
        let next = Some(Arc::clone(self.engine.embedder()));
        Ok(Indexer::new(store, embedder, options)?.with_next_model(next))
    }

    /// The model whose tokenizer measures passages, and the options with the limit of that model.
    fn passage_options(&self) -> Result<(Arc<Embedder>, IndexOptions), IndexError> {
        let serving = self.engine.embedder_of(&*self.store().snapshot()?);
        let embedder = Arc::clone(serving.unwrap_or_else(|| self.engine.embedder()));
        let mut options = self.config.options.clone();
        let max_tokens = embedder.passage_tokens() - embedder.passage_tokens() / HEADINGS_SHARE;
        if options.chunk_tokens > max_tokens {
            tracing::debug!(
                "chunking at {max_tokens} tokens, because the model reads at most {}",
                embedder.model().max_tokens
            );
            options.chunk_tokens = max_tokens;
        }
        Ok((embedder, options))
    }

    /// The current activity of the writer, which is this process or the one it follows.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn activity(&self) -> Result<Activity, QueryError> {
        let state = self.store().run_state()?;
        let run = self.run();
        let mut activity = activity::current(
            &state,
            run.progress.as_deref(),
            run.failure.as_deref(),
            self.is_writer,
            self.is_paused(),
        );
        if run.ended.is_some() {
            activity.last_run.clone_from(&run.ended);
        }
        Ok(activity)
    }

    /// How much is searchable.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn index_state(&self) -> Result<IndexState, QueryError> {
        self.engine.index_state(&self.activity()?)
    }

    /// Searches. The settings provide the score threshold if the request has none.
    ///
    /// # Errors
    /// As [`Engine::search`].
    pub fn search(&self, request: &Request) -> Result<Answer, QueryError> {
        let threshold = Some(self.config.search.score_threshold).filter(|threshold| *threshold > 0.0);
        let mut request = request.clone();
        request.score_threshold = request.score_threshold.or(threshold);
        self.engine.search(&request, &self.activity()?)
    }

    /// Reads a document, or a range of its lines.
    ///
    /// # Errors
    /// As [`Engine::read`].
    pub fn read(&self, key: &str, range: LineRange) -> Result<DocumentText, QueryError> {
        self.engine.read(key, range, &self.activity()?)
    }

    /// Lists documents, ordered by key.
    ///
    /// # Errors
    /// As [`Engine::documents`].
    pub fn documents(&self, query: &DocumentQuery) -> Result<Vec<Arc<DocumentEntry>>, QueryError> {
        self.engine.documents(query)
    }

    fn run(&self) -> MutexGuard<'_, CurrentRun> {
        // A panic leaves the state valid: every field is replaced as a whole.
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_store(config: &InstanceConfig, access: Access) -> anyhow::Result<OpenedStore> {
    let dir = &config.data_dir;
    let follow = |is_read_only, configured| {
        Ok(OpenedStore {
            store: Store::open_read_only(dir)?,
            is_writer: false,
            is_read_only,
            configured,
        })
    };
    if access == Access::Read {
        if !dir.is_dir() {
            return Err(StoreError::NoStore { dir: dir.clone() }.into());
        }
        return follow(false, None);
    }
    match autorag_store::replace_damaged_catalog(dir) {
        // The writer replaces a damaged catalog when it opens the store next.
        Err(StoreError::LockHeld { .. } | StoreError::Unwritable { .. }) => {}
        replaced => replaced?,
    }
    let (embedder, model) = config.models.open_configured(dir)?;
    let configured = Some((embedder, model.clone()));
    let sources = config.sources.clone();
    match Store::open(dir, StoreOptions { model, sources }) {
        Ok(store) => Ok(OpenedStore {
            store,
            is_writer: true,
            is_read_only: false,
            configured,
        }),
        Err(StoreError::LockHeld { pid, .. }) if access == Access::WriteOrFollow => {
            let writer = pid.map_or_else(
                || "another process".to_owned(),
                |pid| format!("another autorag (pid {pid})"),
            );
            tracing::info!(data_dir = %dir.display(), "{writer} is updating this index; reading it");
            follow(false, configured)
        }
        Err(error @ StoreError::Unwritable { .. }) if access == Access::WriteOrFollow => {
            tracing::warn!(
                "searching without updating: {}",
                with_hint(&error, Interface::CommandLine)
            );
            follow(true, configured)
        }
        Err(error) => Err(error.into()),
    }
}

/// An engine with the configured model and the models that the store has vectors of.
fn build_engine(
    config: &InstanceConfig,
    store: Store,
    configured: Option<(Arc<Embedder>, ModelIdentity)>,
) -> anyhow::Result<Engine> {
    let mut embedders: Vec<Arc<Embedder>> = Vec::new();
    if let Some((embedder, _)) = &configured {
        embedders.push(Arc::clone(embedder));
    }
    for model in models_of(&store)? {
        let is_configured = configured
            .as_ref()
            .is_some_and(|(_, identity)| identity.is_same_model(&model));
        if is_configured {
            continue;
        }
        match config.models.reopen(&model) {
            Ok(embedder) => embedders.push(embedder),
            Err(error) => tracing::warn!(
                "the model of this index, {}, cannot be opened: {}",
                model.id,
                with_hint(error.as_ref(), Interface::CommandLine)
            ),
        }
    }
    let mut embedders = embedders.into_iter();
    let first = match embedders.next() {
        Some(embedder) => embedder,
        // Keyword search works without the model. Answers report the missing part.
        None => Arc::new(Embedder::built_in()?),
    };
    let engine = Engine::new(Arc::new(store), first).with_other_embedders(embedders.collect());
    Ok(match config.reranker.clone() {
        Some(options) => engine.with_reranker(Reranker::new(options)?),
        None => engine,
    })
}

/// The model of a store's vectors, and the model that a re-embedding in progress changes to.
fn models_of(store: &Store) -> Result<Vec<ModelIdentity>, StoreError> {
    let mut models = vec![store.snapshot()?.model().clone()];
    models.extend(store.reembedding()?.map(|reembedding| reembedding.model));
    Ok(models)
}
