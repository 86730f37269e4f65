//! Opening and changing a store.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use crate::catalog::{self, Catalog};
use crate::lexical::LexicalIndex;
use crate::lock::{self, Lock};
use crate::publish::{CurrentSnapshot, Publisher};
use crate::{
    DocumentKey, ErrorChain, FileStat, FileState, JobId, ModelIdentity, NewDocument, NewJobItem, RunState,
    Seq, Snapshot, SourceRoot, StoreError, UnixMs, VectorIndex, run_state, salvage,
};

/// Keys of the table `meta`.
const SOURCES: &str = "sources";
const RECIPE: &str = "recipe";
/// Folder of the lexical index.
pub(crate) const LEXICAL: &str = "lexical";

/// Options of [`Store::open`].
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The model to embed with. Searches use the vectors of the previous model until every passage is re-embedded; see
    /// [`Store::promote`].
    pub model: ModelIdentity,
    /// Where documents come from.
    pub sources: Vec<SourceRoot>,
}

/// Changes to apply in one transaction.
#[derive(Debug, Clone, Default)]
pub struct ChangeBatch {
    /// Documents to add, or to replace by key.
    pub upserts: Vec<NewDocument>,
    /// Keys of documents to remove.
    pub removals: Vec<DocumentKey>,
    /// New stats of files whose bytes did not change.
    pub touched: Vec<(DocumentKey, FileStat)>,
    /// Attempts at files that could not be read. Their documents are in `upserts`.
    pub retries: Vec<Retry>,
    /// Log entries for the current job.
    pub log: Vec<NewJobItem>,
}

/// Next attempt at a file that could not be read for a transient reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Key of the document.
    pub key: DocumentKey,
    /// Number of failed attempts at this version of the file.
    pub attempts: u32,
    /// Time of the next attempt. `None` if only a change of the file triggers one.
    pub at: Option<UnixMs>,
}

impl ChangeBatch {
    /// Whether the batch changes no document. Retries and log entries do not count.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removals.is_empty() && self.touched.is_empty()
    }
}

/// A corpus on disk: catalog, lexical index and vectors.
///
/// ```
/// use autorag_store::{
///     ChangeBatch, ContentHash, FileStat, ItemStatus, Kind, Matching, Metadata, ModelIdentity, NewDocument,
///     NewPassage, Span, Store, StoreOptions,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let dir = tempfile::tempdir()?;
/// let model = ModelIdentity { id: "toy".into(), dimensions: 2, ..ModelIdentity::default() };
/// let store = Store::open(dir.path(), StoreOptions { model, sources: Vec::new() })?;
///
/// // A document of one passage.
/// let text = "Penguins live in the south.";
/// let hash = ContentHash::of(text.as_bytes());
/// let span = Span { start_byte: 0, end_byte: text.len(), start_line: 1, end_line: 1, page: None };
/// let document = NewDocument {
///     key: "birds/penguins.txt".into(),
///     stat: FileStat { size: text.len() as u64, modified_ns: 0, inode: 0 },
///     source_hash: hash,
///     status: ItemStatus::Completed,
///     reason: None,
///     kind: Kind::TEXT,
///     language: None,
///     title: None,
///     metadata: Metadata::new(),
///     text: text.into(),
///     passages: vec![NewPassage { span, heading_path: Vec::new(), embed_hash: hash }],
/// };
/// store.apply(&ChangeBatch { upserts: vec![document], ..ChangeBatch::default() })?;
/// store.put_embeddings(&[(hash, vec![0.6, 0.8])])?;
/// store.finish_run(1)?;
///
/// // Both indexes find the passage in the same snapshot.
/// let snapshot = store.snapshot()?;
/// let by_keyword = snapshot.lexical("penguins", Matching::Any, None, 10)?;
/// let by_vector = snapshot.nearest(&[0.6, 0.8], None, 10);
/// assert_eq!(by_keyword[0].passage, by_vector[0].passage);
/// assert_eq!(snapshot.passages(&[by_keyword[0].passage])?[0].text, text);
/// # Ok(())
/// # }
/// ```
pub struct Store {
    dir: PathBuf,
    sources: Vec<SourceRoot>,
    /// A reader swaps in the new catalog after the writer has replaced a damaged one.
    catalog: RwLock<Arc<Catalog>>,
    /// The job that changes are logged under.
    pub(crate) current_job: Mutex<Option<JobId>>,
    publisher: Mutex<Publisher>,
    pub(crate) current: CurrentSnapshot,
    /// Whether a background thread is rebuilding the lexical index.
    pub(crate) rebuilding: AtomicBool,
    /// Earliest time of the next integrity check of the lexical index.
    pub(crate) lexical_check_due: Mutex<Option<Instant>>,
    /// The writer's lock. `None` in a reader.
    lock: Option<Lock>,
}

impl Store {
    /// Opens the store in `dir` for writing, and creates it if there is none.
    ///
    /// Indexes behind the catalog catch up. Damaged indexes are rebuilt from the catalog. A damaged catalog is moved aside; a new
    /// one starts with the intact parts of the old one.
    ///
    /// # Errors
    /// [`StoreError::LockHeld`] if another process has the store open for writing. [`StoreError::NewerFormat`] if a newer version
    /// wrote it. [`StoreError::InvalidSource`] for a source whose path is not UTF-8. Any other error means that the disk failed.
    pub fn open(dir: &Path, options: StoreOptions) -> Result<Store, StoreError> {
        fs_err::create_dir_all(dir).map_err(|error| lock::write_error(dir, error))?;
        let lock = lock::acquire(dir)?;
        let catalog = Arc::new(salvage::open_or_replace(dir)?);
        record_options(&catalog, &options)?;
        if catalog.read(catalog::has_running_jobs)? {
            catalog.write(|transaction| catalog::interrupt_running_jobs(transaction))?;
        }
        let model = catalog.read(catalog::serving_model)?.unwrap_or(options.model);
        let lexical = LexicalIndex::open(&dir.join(LEXICAL))?;
        let mut publisher = Publisher::new(dir, Arc::clone(&catalog), Some(lexical), model);
        publisher.recover()?;
        Ok(Store::new(dir, options.sources, catalog, publisher, Some(lock)))
    }

    /// Opens the store in `dir` for reading. Each [`Store::snapshot`] then shows the latest commit of the writer.
    ///
    /// # Errors
    /// [`StoreError::NoStore`] if there is none. [`StoreError::NewerFormat`] or [`StoreError::OlderFormat`] if another version
    /// wrote it. Any other error means that the disk failed.
    pub fn open_read_only(dir: &Path) -> Result<Store, StoreError> {
        let (catalog, publisher, sources) = open_follower(dir)?;
        Ok(Store::new(dir, sources, catalog, publisher, None))
    }

    fn new(
        dir: &Path,
        sources: Vec<SourceRoot>,
        catalog: Arc<Catalog>,
        publisher: Publisher,
        lock: Option<Lock>,
    ) -> Store {
        let current = CurrentSnapshot::new(publisher.snapshot());
        Store {
            dir: dir.to_owned(),
            sources,
            catalog: catalog.into(),
            current_job: Mutex::default(),
            publisher: publisher.into(),
            current,
            rebuilding: AtomicBool::default(),
            lexical_check_due: Mutex::default(),
            lock,
        }
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

    /// Folder of the store.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether any process, including this one, has the store open for writing.
    pub fn has_writer(&self) -> bool {
        self.lock.is_some() || lock::is_held(&self.dir)
    }

    /// The current snapshot. A reader first checks for a newer commit of the writer.
    ///
    /// # Errors
    /// When a reader cannot read a newer commit.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        if self.lock.is_none() {
            let mut publisher = self.publisher();
            if self.catalog().is_replaced() {
                match open_follower(&self.dir) {
                    Ok((catalog, other, _)) => {
                        tracing::info!(
                            "the catalog of {} was replaced; reading the new one",
                            self.dir.display()
                        );
                        self.current.replace(other.snapshot());
                        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = catalog;
                        *publisher = other;
                    }
                    // The writer is still creating the new catalog. Until then, searches use the old snapshot.
                    Err(error) => {
                        tracing::debug!("the new catalog cannot be read yet: {}", ErrorChain(&error));
                    }
                }
            } else if publisher.follow()? {
                self.current.replace(publisher.snapshot());
            }
        }
        Ok(self.current.get())
    }

    /// Sets how vectors are searched. Without this call, searches use a flat scan. A background thread reads or builds the
    /// graph, and rebuilds it after runs that added many vectors.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`] in a reader, which always scans.
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

    /// The state of every file by key, including files without text.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn known_files(&self) -> Result<HashMap<DocumentKey, FileState>, StoreError> {
        self.catalog().read(catalog::known_files)
    }

    /// Commits a batch to the catalog in one transaction, and returns its sequence number. Searches see the changes after
    /// [`Store::refresh_lexical`] and [`Store::refresh_vectors`].
    ///
    /// # Errors
    /// When the catalog cannot be written. The transaction is then rolled back.
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
                catalog::insert_job_items(transaction, job, &batch.log)?;
            }
            Ok(seq)
        })
    }

    /// Applies the catalog's changes to the lexical index and publishes a snapshot.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn refresh_lexical(&self) -> Result<(), StoreError> {
        self.publish(Publisher::refresh_lexical)
    }

    /// Records the start of a run. Until [`Store::finish_run`] the index counts as incomplete.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn begin_run(&self) -> Result<(), StoreError> {
        self.catalog().write(|transaction| run_state::begin(transaction))
    }

    /// Finishes a run that saw every file. Applies all changes to both indexes, deletes retired rows, publishes a snapshot and
    /// records the end of the run.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn finish_run(&self, files_seen: u64) -> Result<(), StoreError> {
        let mut publisher = self.publisher();
        publisher.refresh_lexical()?;
        publisher.refresh_vectors()?;
        publisher.prune()?;
        publisher.refresh_graph();
        self.current.replace(publisher.snapshot());
        self.catalog()
            .write(|transaction| run_state::finish(transaction, files_seen))?;
        publisher.close_lexical_writer()?;
        self.catalog().checkpoint()
    }

    /// The recorded recipe: a description of how documents were parsed and chunked. The caller defines its format.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn recipe(&self) -> Result<Option<String>, StoreError> {
        self.catalog()
            .read(|connection| catalog::meta(connection, RECIPE))
    }

    /// Records the recipe.
    ///
    /// # Errors
    /// When the catalog cannot be written.
    pub fn set_recipe(&self, recipe: &str) -> Result<(), StoreError> {
        self.catalog()
            .write(|transaction| catalog::set_meta(transaction, RECIPE, recipe))
    }

    /// State of the last run.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn run_state(&self) -> Result<RunState, StoreError> {
        self.catalog().read(run_state::read)
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether this process has the store open for writing.
    pub fn is_writer(&self) -> bool {
        self.lock.is_some()
    }

    /// Applies `change` to the indexes, then publishes a snapshot.
    pub(crate) fn publish(
        &self,
        change: impl FnOnce(&mut Publisher) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut publisher = self.publisher();
        change(&mut publisher)?;
        self.current.replace(publisher.snapshot());
        Ok(())
    }

    pub(crate) fn publisher(&self) -> MutexGuard<'_, Publisher> {
        // A thread that panicked may have left work half done. Each index records how far it is, so the work resumes.
        self.publisher.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the store in `dir` as a follower of its writer. Also returns the recorded sources.
fn open_follower(dir: &Path) -> Result<(Arc<Catalog>, Publisher, Vec<SourceRoot>), StoreError> {
    let catalog = Arc::new(Catalog::open_read_only(dir)?);
    let (model, sources) = catalog.read(|connection| {
        Ok((
            catalog::serving_model(connection)?,
            catalog::meta(connection, SOURCES)?,
        ))
    })?;
    let sources = sources.and_then(|json| serde_json::from_str::<Vec<SourceRoot>>(&json).ok());
    let (Some(model), Some(sources)) = (model, sources) else {
        return Err(StoreError::NoStore { dir: dir.to_owned() });
    };
    let mut publisher = Publisher::new(dir, Arc::clone(&catalog), None, model);
    publisher.follow()?;
    Ok((catalog, publisher, sources))
}

/// The model of the store in `dir`, or `None` if there is no store. Also reads stores of older formats.
///
/// # Errors
/// [`StoreError::NewerFormat`] if a newer version wrote the store. Any other error means that the disk failed.
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

/// Records the sources and the wanted model, unless both are recorded already.
fn record_options(catalog: &Catalog, options: &StoreOptions) -> Result<(), StoreError> {
    let sources = encode_sources(&options.sources)?;
    let (serving, next, known) = catalog.read(|connection| {
        let (serving, next) = (
            catalog::serving_model(connection)?,
            catalog::next_model(connection)?,
        );
        Ok((serving, next, catalog::meta(connection, SOURCES)?))
    })?;
    let wanted = next.or(serving.clone());
    if wanted.as_ref() == Some(&options.model) && known.as_ref() == Some(&sources) {
        return Ok(());
    }
    if let Some(serving) = serving.filter(|serving| !serving.is_same_model(&options.model)) {
        let (old, new) = (&serving.id, &options.model.id);
        tracing::info!("the embedding model changes from {old} to {new}; passages are re-embedded");
    }
    catalog.write(|transaction| {
        catalog::set_wanted_model(transaction, &options.model)?;
        catalog::set_meta(transaction, SOURCES, &sources)
    })
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::StoreErrorKind;

    #[test]
    fn a_source_whose_path_is_not_utf8_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = PathBuf::from(OsStr::from_bytes(b"/caf\xe9"));
        let source = SourceRoot {
            name: None,
            path: path.clone(),
        };
        let options = StoreOptions {
            model: ModelIdentity::default(),
            sources: vec![source],
        };
        let error = Store::open(dir.path(), options).err().unwrap();
        assert_eq!(error.kind(), StoreErrorKind::InvalidInput);
        assert!(matches!(error, StoreError::InvalidSource { path: named, .. } if named == path));
    }
}
