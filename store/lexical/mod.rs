//! The lexical index: BM25 over passages and their documents, on tantivy. It can be rebuilt from the catalog.

mod analyzer;
mod change;
mod doc_runs;
mod highlight;
mod language;
mod maxscore;
mod query;
mod query_parser;
mod read_only_directory;
mod score_documents;
mod statistics;
mod term_scorer;
mod terms;
#[cfg(test)]
mod tests;
mod top_collector;
mod top_k;
mod view;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use tantivy::directory::MmapDirectory;
use tantivy::directory::error::LockError;
use tantivy::error::DataCorruption;
use tantivy::index::SegmentId;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyError};

pub(crate) use change::Change;
pub use highlight::Highlighter;
use read_only_directory::ReadOnlyDirectory;
use statistics::StatisticsCache;
pub use terms::TermMatch;
pub(crate) use view::{LexicalView, Restriction};

use crate::error::LexicalError;
use crate::lock::is_refusal;
use crate::{ErrorChain, Seq, StoreError};

/// Memory for postings that are not on disk yet. Writing uses one thread, because parsing and embedding need
/// the others.
const WRITER_BYTES: usize = 24 << 20;
/// Indexes up to this size are verified on open and periodically, in well under a second. Damage in a larger
/// index surfaces in a search or in `doctor`.
const MAX_CHECKED_BYTES: u64 = 512 << 20;

/// Fields of a passage.
#[derive(Clone, Copy)]
struct Fields {
    passage: Field,
    document: Field,
    title: Field,
    headings: Field,
    path: Field,
    body: Field,
    /// Title and text of the whole document. Only its first passage has this field.
    whole: Field,
    /// Code of the language whose stemmer was used.
    language: Field,
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let indexed = |record| {
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(analyzer::NAME)
            .set_index_option(record);
        TextOptions::default().set_indexing_options(indexing)
    };
    let text = || indexed(IndexRecordOption::WithFreqsAndPositions);
    let fields = Fields {
        passage: schema.add_u64_field("passage", FAST),
        document: schema.add_u64_field("document", FAST | INDEXED),
        title: schema.add_text_field("title", text()),
        headings: schema.add_text_field("headings", text()),
        path: schema.add_text_field("path", text()),
        body: schema.add_text_field("body", text()),
        whole: schema.add_text_field("whole", indexed(IndexRecordOption::WithFreqs)),
        language: schema.add_text_field("language", STRING),
    };
    (schema.build(), fields)
}

/// A lexical index on disk.
pub(crate) struct LexicalIndex {
    path: PathBuf,
    index: Index,
    fields: Fields,
    /// Opened on first use: an index that is about to be rebuilt may be unreadable.
    reader: OnceLock<IndexReader>,
    writer: Mutex<Option<IndexWriter>>,
    statistics: StatisticsCache,
}

impl LexicalIndex {
    /// Opens the index at `path` for writing, and creates it if it is missing.
    ///
    /// An index that is damaged, or has another schema or analyzer, is replaced by an empty one. The caller
    /// then fills it from the catalog.
    pub(crate) fn open(path: &Path) -> Result<LexicalIndex, StoreError> {
        let opened = LexicalIndex::open_existing(path).and_then(|index| {
            index.quick_check()?;
            Ok(index)
        });
        match opened {
            Ok(index) => Ok(index),
            // Missing permissions or too many open files do not mean damage.
            Err(error) if path.exists() && !error.is_damage() => Err(error),
            Err(error) => {
                if path.exists() {
                    tracing::warn!(path = %path.display(), "rebuilding the lexical index: {}", ErrorChain(&error));
                }
                LexicalIndex::create(path)
            }
        }
    }

    /// Opens the index at `path` to overwrite its contents. Reads only the list of segments; if that is
    /// damaged too, creates an empty index.
    pub(crate) fn open_for_rebuild(path: &Path) -> Result<LexicalIndex, StoreError> {
        let opened = catch_panic(path, || {
            let index = Index::open_in_dir(path).map_err(|source| StoreError::lexical(path, source))?;
            LexicalIndex::from_index(path, index)
        });
        match opened {
            Err(error) if error.is_damage() => LexicalIndex::create(path),
            opened => opened,
        }
    }

    /// Creates an empty index at `path`, replacing whatever is there.
    fn create(path: &Path) -> Result<LexicalIndex, StoreError> {
        if path.exists() {
            fs_err::remove_dir_all(path)?;
        }
        fs_err::create_dir_all(path)?;
        let created = Index::create_in_dir(path, schema().0);
        created.map_err(|source| StoreError::lexical(path, source))?;
        LexicalIndex::open_existing(path)
    }

    /// Opens the index at `path`. An index with another schema or analyzer is an error.
    pub(crate) fn open_existing(path: &Path) -> Result<LexicalIndex, StoreError> {
        catch_panic(path, || LexicalIndex::try_open(path))
    }

    /// Opens the index. On a read-only disk, does so without tantivy's lock.
    fn try_open(path: &Path) -> Result<LexicalIndex, StoreError> {
        let with_path = |source| StoreError::lexical(path, source);
        let open_reader = |index| {
            let lexical = LexicalIndex::from_index(path, index)?;
            lexical.reader()?;
            Ok(lexical)
        };
        match open_reader(Index::open_in_dir(path).map_err(with_path)?) {
            Err(StoreError::Lexical {
                source: LexicalError(TantivyError::LockFailure(LockError::IoError(refusal), _)),
                ..
            }) if is_refusal(&refusal) => {
                let directory = MmapDirectory::open(path).map_err(|error| with_path(error.into()))?;
                open_reader(Index::open(ReadOnlyDirectory(directory)).map_err(with_path)?)
            }
            opened => opened,
        }
    }

    fn from_index(path: &Path, index: Index) -> Result<LexicalIndex, StoreError> {
        let with_path = |source| StoreError::lexical(path, source);
        let (schema, fields) = schema();
        if index.schema() != schema {
            return Err(with_path(TantivyError::SchemaError(
                "written by another version".into(),
            )));
        }
        index
            .tokenizers()
            .register(analyzer::NAME, analyzer::analyzer(language::ENGLISH));
        Ok(LexicalIndex {
            path: path.to_owned(),
            index,
            fields,
            reader: OnceLock::new(),
            writer: Mutex::default(),
            statistics: StatisticsCache::default(),
        })
    }

    fn reader(&self) -> Result<&IndexReader, StoreError> {
        if let Some(reader) = self.reader.get() {
            return Ok(reader);
        }
        let builder = self.index.reader_builder().reload_policy(ReloadPolicy::Manual);
        let reader = builder.try_into().map_err(|source| self.error(source))?;
        Ok(self.reader.get_or_init(|| reader))
    }

    /// Identifiers of the segments of the last commit, in ascending order.
    pub(crate) fn segment_ids(&self) -> Result<Vec<SegmentId>, StoreError> {
        let segments = self.index.searchable_segment_ids();
        let mut segments = segments.map_err(|source| self.error(source))?;
        segments.sort_unstable();
        Ok(segments)
    }

    /// Whether the last commit has any of `segments`.
    pub(crate) fn has_any_segment(&self, segments: &[SegmentId]) -> Result<bool, StoreError> {
        Ok(self
            .segment_ids()?
            .iter()
            .any(|segment| segments.contains(segment)))
    }

    /// Catalog sequence number that the last commit has applied.
    pub(crate) fn applied_seq(&self) -> Result<Seq, StoreError> {
        let metas = self.index.load_metas().map_err(|source| self.error(source))?;
        Ok(metas
            .payload
            .and_then(|payload| payload.parse().ok())
            .unwrap_or(0))
    }

    /// Verifies the checksums of an index of up to [`MAX_CHECKED_BYTES`]. Does nothing for a larger one.
    pub(crate) fn quick_check(&self) -> Result<(), StoreError> {
        let entries = fs_err::read_dir(&self.path)?.flatten();
        let bytes: u64 = entries
            .filter_map(|entry| Some(entry.metadata().ok()?.len()))
            .sum();
        if bytes > MAX_CHECKED_BYTES {
            return Ok(());
        }
        match self.damaged_files()?.first() {
            None => Ok(()),
            Some(file) => Err(self.error(corruption(format!("the checksum of {file} does not match")))),
        }
    }

    /// Files of the last commit that fail their checksum or cannot be checked.
    pub(crate) fn damaged_files(&self) -> Result<Vec<String>, StoreError> {
        let failed = catch_panic(&self.path, || {
            self.index
                .validate_checksum()
                .map_err(|source| self.error(source))
        })?;
        let unmanaged = self.unmanaged_files()?;
        let damaged = failed.iter().chain(&unmanaged);
        let mut files: Vec<String> = damaged.map(|path| path.display().to_string()).collect();
        files.sort_unstable();
        Ok(files)
    }

    /// Files of the last commit that are missing in `.managed.json`, tantivy's list of its files. tantivy
    /// checks only listed files, so damage to the list would hide damage to the files.
    fn unmanaged_files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let commit = catch_panic(&self.path, || {
            self.index.load_metas().map_err(|source| self.error(source))
        })?;
        // Read the list from disk: another process may have extended it since this one opened the index.
        // tantivy lists a file before it creates it, and deletes it before it removes the entry.
        let list = fs_err::read(self.path.join(".managed.json"))?;
        let managed: HashSet<PathBuf> = serde_json::from_slice(&list).unwrap_or_default();
        let files = commit.list_segment_files().into_iter();
        let is_unmanaged = |file: &PathBuf| !managed.contains(file) && self.path.join(file).exists();
        Ok(files.filter(is_unmanaged).collect())
    }

    /// Number of passages in the last commit.
    pub(crate) fn passage_count(&self) -> Result<u64, StoreError> {
        Ok(self.reader()?.searcher().num_docs())
    }

    /// Starts a change. [`Change::commit`] makes all of it visible at once.
    pub(crate) fn change(&self) -> Result<Change<'_>, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.is_none() {
            let created = self.index.writer_with_num_threads(1, WRITER_BYTES);
            let created = created.map_err(|source| self.error(source))?;
            // Delete the files of an uncommitted change of a killed process. Their names could collide with
            // new ones.
            let collected = created.garbage_collect_files().wait();
            collected.map_err(|source| self.error(source))?;
            *writer = Some(created);
        }
        Ok(Change::new(self, writer))
    }

    /// Waits for merges and frees the writer's memory.
    pub(crate) fn close_writer(&self) -> Result<(), StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        match writer {
            Some(writer) => writer.wait_merging_threads().map_err(|source| self.error(source)),
            None => Ok(()),
        }
    }

    /// A view of the last commit.
    pub(crate) fn view(&self) -> Result<LexicalView, StoreError> {
        catch_panic(&self.path, || {
            let reader = self.reader()?;
            reader.reload().map_err(|source| self.error(source))?;
            let searcher = reader.searcher();
            let statistics = self.statistics.statistics(&searcher);
            LexicalView::new(searcher, statistics, self.fields, &self.path)
        })
    }

    fn error(&self, source: TantivyError) -> StoreError {
        StoreError::lexical(&self.path, source)
    }
}

fn corruption(message: String) -> TantivyError {
    TantivyError::DataCorruption(DataCorruption::comment_only(message))
}

/// Runs `work` on the index at `path`, and reports a panic as damage. tantivy may panic on corrupt files,
/// because the footers of its files have no checksum.
fn catch_panic<T>(path: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let source = corruption("tantivy cannot read its files".into());
        Err(StoreError::lexical(path, source))
    })
}
