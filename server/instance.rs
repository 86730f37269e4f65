//! An opened index with whoever fills it: the one thing that the command line, HTTP and MCP all ask.

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

/// One in so many tokens of a passage is left to its headings.
const HEADINGS_SHARE: usize = 8;

/// What to open.
#[derive(Debug, Clone)]
pub struct InstanceConfig {
    /// The folders that documents come from.
    pub sources: Vec<SourceRoot>,
    /// Where the index lives.
    pub data_dir: PathBuf,
    /// How files are read and cut.
    pub options: IndexOptions,
    /// What holds for a search that does not say otherwise.
    pub search: SearchSettings,
    /// Who reranks for searches that want it.
    pub reranker: Option<RerankerOptions>,
    /// The models it may be made with.
    pub models: Models,
    /// How the nearest vectors are found, where this process keeps the index. A follower looks at all.
    pub vector_index: VectorIndex,
}

/// Who may change the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// This process, alone; an error where another one has the index.
    Write,
    /// This process where the index is free, else the one that has it, whose work is then followed.
    WriteOrFollow,
    /// No one here: the index as it is, or as another process makes it.
    Read,
}

/// A folder's index, open.
pub struct Instance {
    engine: Engine,
    config: InstanceConfig,
    writes: bool,
    unwritable: bool,
    run: Mutex<Run>,
    /// A job that someone has asked for and that no run has taken up yet.
    requested: Mutex<Option<JobId>>,
    opened: Instant,
}

/// The indexing run of this process.
#[derive(Default)]
struct Run {
    /// Counters of the run under way.
    under_way: Option<Arc<Progress>>,
    /// Why the last one failed.
    failure: Option<String>,
    /// When the last one that did not ended. The store knows only of those that found something to do.
    ended: Option<String>,
}

impl Instance {
    /// Opens the index of `plan`, made where there is none.
    ///
    /// # Errors
    /// When the model or the store cannot be opened, or, for [`Access::Write`], another process has it.
    pub fn open(config: InstanceConfig, access: Access) -> anyhow::Result<Instance> {
        if access == Access::Read {
            if !config.data_dir.is_dir() {
                let dir = config.data_dir;
                return Err(StoreError::NoStore { dir }.into());
            }
        }
        let mut wanted = None;
        let opened = match access {
            Access::Read => Store::open_read_only(&config.data_dir).map(|store| (store, false)),
            Access::Write | Access::WriteOrFollow => {
                match autorag_store::replace_damaged_catalog(&config.data_dir) {
                    // Who has it mends it when it is opened next.
                    Err(StoreError::LockHeld { .. } | StoreError::Unwritable { .. }) => {}
                    mended => mended?,
                }
                let (embedder, model) = config.models.open_wanted(&config.data_dir)?;
                wanted = Some((embedder, model.clone()));
                let sources = config.sources.clone();
                Store::open(&config.data_dir, StoreOptions { model, sources }).map(|store| (store, true))
            }
        };
        let mut unwritable = false;
        let (store, writes) = match opened {
            Err(StoreError::LockHeld { pid, .. }) if access == Access::WriteOrFollow => {
                let other = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
                tracing::info!(data_dir = %config.data_dir.display(), "{other} is updating this index; reading it");
                (Store::open_read_only(&config.data_dir)?, false)
            }
            Err(error @ StoreError::Unwritable { .. }) if access == Access::WriteOrFollow => {
                tracing::warn!(
                    "searching without updating: {}",
                    with_hint(&error, Interface::CommandLine)
                );
                unwritable = true;
                (Store::open_read_only(&config.data_dir)?, false)
            }
            opened => opened?,
        };
        if writes {
            store.use_vector_index(config.vector_index)?;
        }
        let mut models: Vec<Arc<Embedder>> =
            wanted.iter().map(|(embedder, _)| Arc::clone(embedder)).collect();
        for model in models_of(&store)? {
            let is_open = wanted
                .as_ref()
                .is_some_and(|(_, open)| open.is_same_model(&model));
            if is_open {
                continue;
            }
            match config.models.reopen(&model) {
                Ok(embedder) => models.push(embedder),
                Err(error) => tracing::warn!(
                    "the model of this index, {}, cannot be opened: {error:#}",
                    model.id
                ),
            }
        }
        let first = match models.first() {
            Some(_) => models.remove(0),
            // Words can be searched without a model; what the vectors miss, answers say.
            None => Arc::new(Embedder::built_in()?),
        };
        let mut engine = Engine::new(Arc::new(store), first).with_others(models);
        if let Some(options) = config.reranker.clone() {
            engine = engine.with_reranker(Reranker::new(options)?);
        }
        Ok(Instance {
            engine,
            config,
            writes,
            unwritable,
            run: Mutex::default(),
            requested: Mutex::default(),
            opened: Instant::now(),
        })
    }

    /// Whether this process is the one that changes the index.
    pub fn writes(&self) -> bool {
        self.writes
    }

    /// Whether this process could not change the index if no other did.
    pub fn is_unwritable(&self) -> bool {
        self.unwritable
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

    /// Brings the index up to date with the folders. Answers keep coming meanwhile, and say how far it is. With a `watcher`,
    /// as [`Indexer::run`] has it. What is done is a job, for this `cause` unless it was asked for or goes on with one.
    ///
    /// # Errors
    /// When the run cannot start or go on; what was indexed before stays.
    pub fn update(
        &self,
        progress: &Arc<Progress>,
        cancel: &Cancel,
        watcher: Option<&Watcher>,
        cause: JobCause,
    ) -> Result<RunReport, IndexError> {
        self.run().under_way = Some(Arc::clone(progress));
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
        run.under_way = None;
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

    /// The job of the next run, or the way to one.
    fn journal(&self, cause: JobCause) -> Result<Journal, IndexError> {
        let store = Arc::clone(self.engine.store());
        // Held to the end, so that no job is asked for that would pass for one of before.
        let mut requested = self.requested();
        Ok(match requested.take() {
            Some(job) => Journal::for_job(store, job)?,
            None => Journal::new(store, cause)?,
        })
    }

    /// A job that was asked for.
    pub(crate) fn requested(&self) -> MutexGuard<'_, Option<JobId>> {
        self.requested.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts documents that no folder holds into the index.
    ///
    /// # Errors
    /// Those of [`Indexer::push`].
    pub fn push(
        &self,
        documents: &[PushedDocument],
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<u64, IndexError> {
        self.indexer()?.push(documents, progress, cancel)
    }

    /// One run, and another where a change of models in it asks for shorter passages.
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

    /// Passages are measured for the model that serves, so that its vectors stay complete until the next one has all of its own.
    fn indexer(&self) -> Result<Indexer, IndexError> {
        let (embedder, options) = self.passage_options()?;
        let store = Arc::clone(self.engine.store());
        let next = Some(Arc::clone(self.engine.embedder()));
        Ok(Indexer::new(store, embedder, options)?.with_next_model(next))
    }

    /// In whose tokens passages are measured, and how many of those they have.
    fn passage_options(&self) -> Result<(Arc<Embedder>, IndexOptions), IndexError> {
        let store = self.engine.store();
        let serving = self.engine.embedder_of(&*store.snapshot()?);
        let embedder = Arc::clone(serving.unwrap_or_else(|| self.engine.embedder()));
        let mut options = self.config.options.clone();
        let most = embedder.passage_tokens() - embedder.passage_tokens() / HEADINGS_SHARE;
        if options.chunk_tokens > most {
            tracing::debug!(
                "passages are cut at {most} tokens: the model reads {}",
                embedder.model().max_tokens
            );
            options.chunk_tokens = most;
        }
        Ok((embedder, options))
    }

    /// What is being done to the index at this moment, by this process or the one it follows.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn activity(&self) -> Result<Activity, QueryError> {
        let state = self.engine.store().run_state()?;
        let run = self.run();
        let mut activity = activity::of(
            &state,
            run.under_way.as_deref(),
            run.failure.as_deref(),
            self.writes,
            self.is_paused(),
        );
        if run.ended.is_some() {
            activity.last_run.clone_from(&run.ended);
        }
        Ok(activity)
    }

    /// How much of the folders is searchable.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn index_state(&self) -> Result<IndexState, QueryError> {
        self.engine.index_state(&self.activity()?)
    }

    /// Searches. What the request leaves open is as the settings have it.
    ///
    /// # Errors
    /// Those of [`Engine::search`].
    pub fn search(&self, request: &Request) -> Result<Answer, QueryError> {
        let threshold = Some(self.config.search.score_threshold).filter(|threshold| *threshold > 0.0);
        let mut request = request.clone();
        request.score_threshold = request.score_threshold.or(threshold);
        self.engine.search(&request, &self.activity()?)
    }

    /// Reads a document or some of its lines.
    ///
    /// # Errors
    /// Those of [`Engine::read`].
    pub fn read(&self, key: &str, range: LineRange) -> Result<DocumentText, QueryError> {
        self.engine.read(key, range, &self.activity()?)
    }

    /// Lists documents.
    ///
    /// # Errors
    /// Those of [`Engine::documents`].
    pub fn documents(&self, query: &DocumentQuery) -> Result<Vec<Arc<DocumentEntry>>, QueryError> {
        self.engine.documents(query)
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        // The counters stay meaningful whatever a panicking thread was doing with them.
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The model that a store's vectors come from, and the one that is to take its place.
fn models_of(store: &Store) -> Result<Vec<ModelIdentity>, StoreError> {
    let mut models = vec![store.snapshot()?.model().clone()];
    models.extend(store.reembedding()?.map(|reembedding| reembedding.model));
    Ok(models)
}
