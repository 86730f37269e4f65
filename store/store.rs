//! Opening and changing a store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use crate::catalog::{self, Catalog};
use crate::lexical::LexicalIndex;
use crate::lock::{self, Lock};
use crate::publish::{Published, Publisher};
use crate::{
    DocumentKey, ErrorChain, FileStat, FileState, JobId, ModelIdentity, NewDocument, NewJobItem, RunState,
    Seq, Snapshot, SourceRoot, StoreError, UnixMs, VectorIndex, run, salvage,
};

/// Keys of the table `meta`.
const SOURCES: &str = "sources";
const RECIPE: &str = "recipe";
/// Folder of the lexical index.
pub(crate) const LEXICAL: &str = "lexical";

/// What a store is opened with.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where vectors are to come from. Those of another model serve until every passage has one of this, see [`Store::promote`].
    pub model: ModelIdentity,
    /// Where documents come from.
    pub sources: Vec<SourceRoot>,
}

/// Changes that are kept all together or not at all.
#[derive(Debug, Clone, Default)]
pub struct ChangeBatch {
    /// Documents that are new, or replace the one of their key.
    pub upserts: Vec<NewDocument>,
    /// Keys of documents that are gone.
    pub removals: Vec<DocumentKey>,
    /// Files whose bytes did not change, with what the file system says of them now.
    pub touched: Vec<(DocumentKey, FileStat)>,
    /// Of the documents above, those that are to be tried again though they may not change.
    pub retries: Vec<Retry>,
    /// What to say of all this in the log of the job under way.
    pub log: Vec<NewJobItem>,
}

/// A file that could not be read, for a reason that may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Key of its document.
    pub key: DocumentKey,
    /// How often it was tried as it is.
    pub attempts: u32,
    /// When it is tried again, milliseconds since the Unix epoch; only when it has changed where there is no time.
    pub at: Option<UnixMs>,
}

impl ChangeBatch {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removals.is_empty() && self.touched.is_empty()
    }
}

/// A corpus on disk.
pub struct Store {
    dir: PathBuf,
    sources: Vec<SourceRoot>,
    /// Another one for a reader, once the one that it has opened is put aside.
    catalog: RwLock<Arc<Catalog>>,
    /// The job that changes are logged under, if one is running.
    pub(crate) job: Mutex<Option<JobId>>,
    publisher: Mutex<Publisher>,
    pub(crate) published: Published,
    /// Whether a thread is making the lexical index anew.
    pub(crate) rebuilding: AtomicBool,
    /// When it is worth to look for damage in the lexical index again.
    pub(crate) lexical_check_due: Mutex<Option<Instant>>,
    lock: Option<Lock>,
}

impl Store {
    /// Opens the store in `dir` for writing, made where there is none. Indexes that are behind the catalog catch up; ones that
    /// are damaged are rebuilt from it. A damaged catalog is put aside, and a new one begins with what is intact of it.
    ///
    /// # Errors
    /// [`StoreError::LockHeld`] where another process writes it, [`StoreError::NewerFormat`] where a newer version did, and
    /// whatever the disk says.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Store, StoreError> {
        fs_err::create_dir_all(dir).map_err(|error| lock::unwritable(dir, error))?;
        let lock = lock::acquire(dir)?;
        let catalog = Arc::new(salvage::open(dir)?);
        pin(&catalog, &options)?;
        if catalog.read(catalog::has_running_jobs)? {
            catalog.write(|transaction| catalog::interrupt_jobs(transaction))?;
        }
        let model = catalog.read(catalog::serving)?.unwrap_or(options.model);
        let lexical = LexicalIndex::open(&dir.join(LEXICAL))?;
        let mut publisher = Publisher::new(dir, Arc::clone(&catalog), Some(lexical), model);
        publisher.recover()?;
        let published = Published::new(publisher.snapshot()?);
        let sources = options.sources;
        Ok(Store {
            dir: dir.to_owned(),
            sources,
            catalog: catalog.into(),
            job: Mutex::default(),
            publisher: publisher.into(),
            published,
            rebuilding: AtomicBool::default(),
            lexical_check_due: Mutex::default(),
            lock: Some(lock),
        })
    }

    /// Opens the store in `dir` for reading. It follows whatever process writes it.
    ///
    /// # Errors
    /// [`StoreError::NoStore`] where there is none, [`StoreError::NewerFormat`] where a newer version made it.
    pub fn open_read_only(dir: &Path) -> Result<Store, StoreError> {
        let (catalog, publisher, sources) = followed(dir)?;
        let published = Published::new(publisher.snapshot()?);
        Ok(Store {
            dir: dir.to_owned(),
            sources,
            catalog: catalog.into(),
            job: Mutex::default(),
            publisher: publisher.into(),
            published,
            rebuilding: AtomicBool::default(),
            lexical_check_due: Mutex::default(),
            lock: None,
        })
    }

    /// The folders that documents come from.
    pub fn sources(&self) -> &[SourceRoot] {
        &self.sources
    }

    /// The folder of the source that `key` belongs to, and the path of the document's file. Neither need exist.
    pub fn resolve(&self, key: &DocumentKey) -> Option<(&Path, PathBuf)> {
        self.sources.iter().find_map(|source| {
            let file = source.path.join(source.relative(key)?);
            Some((source.path.as_path(), file))
        })
    }

    /// Where the store lives.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether some process, perhaps this one, has the store open for writing.
    pub fn has_writer(&self) -> bool {
        self.lock.is_some() || lock::is_held(&self.dir)
    }

    /// The state that a query is to see: the last published one. A store opened for reading looks whether the writer has
    /// moved on.
    ///
    /// # Errors
    /// When the writer has, and what it wrote cannot be read.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        if self.lock.is_none() {
            let mut publisher = self.publisher();
            if self.catalog().is_replaced() {
                match followed(&self.dir) {
                    Ok((catalog, other, _)) => {
                        tracing::info!(
                            "the catalog of {} is another one; following that",
                            self.dir.display()
                        );
                        self.published.replace(other.snapshot()?);
                        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = catalog;
                        *publisher = other;
                    }
                    // It is just being begun. Until it is there, the other one answers.
                    Err(error) => {
                        tracing::debug!("the new catalog cannot be followed yet: {}", ErrorChain(&error))
                    }
                }
            } else if publisher.follow()? {
                self.published.replace(publisher.snapshot()?);
            }
        }
        Ok(self.published.current())
    }

    /// Sets how vectors are searched, which is flat until then. A graph is read or built in the background, and again after a run
    /// once many vectors have come since.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] where the store was opened for reading: its searches stay flat.
    pub fn use_vector_index(&self, index: VectorIndex) -> Result<(), StoreError> {
        if self.lock.is_none() {
            let dir = self.dir.clone();
            return Err(StoreError::ReadOnly { dir });
        }
        self.publish(|publisher| {
            publisher.use_vector_index(index);
            Ok(())
        })
    }

    /// What is remembered of every file, by key: those that gave no text too.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn known_files(&self) -> Result<HashMap<DocumentKey, FileState>, StoreError> {
        self.catalog().read(catalog::known_files)
    }

    /// Makes changes durable, in one transaction. They are found once the indexes are refreshed.
    ///
    /// # Errors
    /// When the catalog cannot be written; nothing of the batch is kept then.
    pub fn apply(&self, batch: &ChangeBatch) -> Result<Seq, StoreError> {
        self.catalog().write(|transaction| {
            let seq = catalog::next_seq(transaction)?;
            for key in &batch.removals {
                catalog::retire(transaction, seq, key)?;
            }
            for new in &batch.upserts {
                catalog::upsert(transaction, seq, new)?;
            }
            for (key, stat) in &batch.touched {
                catalog::touch(transaction, seq, key, stat)?;
            }
            for Retry { key, attempts, at } in &batch.retries {
                catalog::set_retry(transaction, key, *attempts, *at)?;
            }
            if let Some(job) = self.current_job() {
                catalog::log_items(transaction, job, &batch.log)?;
            }
            Ok(seq)
        })
    }

    /// Brings the lexical index up to the catalog and publishes the state.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn refresh_lexical(&self) -> Result<(), StoreError> {
        self.publish(Publisher::refresh_lexical)
    }

    /// Marks that a run is under way: until [`Store::finish_run`], the index is not known to be complete.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn begin_run(&self) -> Result<(), StoreError> {
        self.catalog().write(|transaction| run::begin(transaction))
    }

    /// Ends a run that saw every file: both indexes are brought up to the catalog, what was retired is deleted for good, and
    /// the run is marked as finished.
    ///
    /// # Errors
    /// When something cannot be written.
    pub fn finish_run(&self, files_seen: u64) -> Result<(), StoreError> {
        let mut publisher = self.publisher();
        publisher.refresh_lexical()?;
        publisher.refresh_vectors()?;
        publisher.prune()?;
        publisher.accelerate();
        self.published.replace(publisher.snapshot()?);
        self.catalog()
            .write(|transaction| run::finish(transaction, files_seen))?;
        publisher.rest()?;
        self.catalog().checkpoint()
    }

    /// How documents were parsed and cut, in the words of whoever did.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn recipe(&self) -> Result<Option<String>, StoreError> {
        self.catalog()
            .read(|connection| catalog::meta(connection, RECIPE))
    }

    /// Records how documents are parsed and cut.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn set_recipe(&self, recipe: &str) -> Result<(), StoreError> {
        self.catalog()
            .write(|transaction| catalog::set_meta(transaction, RECIPE, recipe))
    }

    /// What is known of the last run.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn run_state(&self) -> Result<RunState, StoreError> {
        self.catalog().read(run::state)
    }

    /// The truth.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether this process is the one that writes.
    pub fn is_writer(&self) -> bool {
        self.lock.is_some()
    }

    /// Publishes the state that `change` leaves.
    pub(crate) fn publish(
        &self,
        change: impl FnOnce(&mut Publisher) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut publisher = self.publisher();
        change(&mut publisher)?;
        self.published.replace(publisher.snapshot()?);
        Ok(())
    }

    pub(crate) fn publisher(&self) -> MutexGuard<'_, Publisher> {
        // Whatever a panicking thread left half done, the indexes say themselves how far they have got.
        self.publisher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What follows the writer of the store in `dir`, and the sources that it says.
fn followed(dir: &Path) -> Result<(Arc<Catalog>, Publisher, Vec<SourceRoot>), StoreError> {
    let catalog = Arc::new(Catalog::open_read_only(dir)?);
    let (model, sources) = catalog
        .read(|connection| Ok((catalog::serving(connection)?, catalog::meta(connection, SOURCES)?)))?;
    let sources = sources.and_then(|json| serde_json::from_str::<Vec<SourceRoot>>(&json).ok());
    let (Some(model), Some(sources)) = (model, sources) else {
        return Err(StoreError::NoStore { dir: dir.to_owned() });
    };
    let mut publisher = Publisher::new(dir, Arc::clone(&catalog), None, model);
    publisher.follow()?;
    Ok((catalog, publisher, sources))
}

/// The model of the store in `dir`, if there is a store. It may be one of an older version that opening for writing brings up.
///
/// # Errors
/// [`StoreError::NewerFormat`] where a newer version made it, and whatever the disk says.
pub fn read_model(dir: &Path) -> Result<Option<ModelIdentity>, StoreError> {
    Catalog::read_model(dir)
}

/// The sources as JSON.
fn encode_sources(sources: &[SourceRoot]) -> Result<String, StoreError> {
    let encode = |source: &SourceRoot| {
        serde_json::to_value(source).map_err(|error| StoreError::InvalidSource {
            path: source.path.clone(),
            source: error,
        })
    };
    let sources: Vec<serde_json::Value> = sources.iter().map(encode).collect::<Result<_, _>>()?;
    Ok(serde_json::Value::from(sources).to_string())
}

/// Records sources, and the model that vectors are to come from.
fn pin(catalog: &Catalog, options: &StoreOptions) -> Result<(), StoreError> {
    let sources = encode_sources(&options.sources)?;
    let (serving, next, known) = catalog.read(|connection| {
        let (serving, next) = (catalog::serving(connection)?, catalog::next(connection)?);
        Ok((serving, next, catalog::meta(connection, SOURCES)?))
    })?;
    let wanted = next.or(serving.clone());
    if wanted.as_ref() == Some(&options.model) && known.as_ref() == Some(&sources) {
        return Ok(());
    }
    if let Some(serving) = serving.filter(|serving| !serving.is_same_model(&options.model)) {
        let (old, new) = (&serving.id, &options.model.id);
        tracing::info!("the embedding model changes from {old} to {new}: passages are embedded anew");
    }
    catalog.write(|transaction| {
        catalog::want(transaction, &options.model)?;
        catalog::set_meta(transaction, SOURCES, &sources)
    })
}
