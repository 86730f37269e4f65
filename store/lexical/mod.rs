//! The lexical index: BM25 over passages and their documents, by tantivy. Derived from the catalog and rebuilt from it where
//! need be.

mod among;
mod analyzer;
mod best;
mod change;
mod highlight;
mod language;
mod leaves;
mod maxscore;
mod places;
mod query;
mod statistics;
mod terms;
#[cfg(test)]
mod tests;
mod top;
mod typed;
mod unwritable;
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
use statistics::SegmentCounts;
pub use terms::TermMatch;
use unwritable::Unwritable;
pub(crate) use view::{LexicalView, Restriction};

use crate::error::LexicalError;
use crate::lock::is_refusal;
use crate::{ErrorChain, Seq, StoreError};

/// Memory for postings on their way to disk. One thread writes: parsing and embedding need the others.
const WRITER_BYTES: usize = 24 << 20;
/// An index of so many bytes at most is read whole when it is opened for writing and now and then, which takes a fraction of a second;
/// of larger ones it is a search or `doctor` that finds damage.
const CHECKED_BYTES: u64 = 512 << 20;
/// Fields of a passage.
#[derive(Clone, Copy)]
struct Fields {
    passage: Field,
    document: Field,
    title: Field,
    headings: Field,
    path: Field,
    body: Field,
    /// Title and text of the whole document, at its first passage only.
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

/// An index on disk.
pub(crate) struct LexicalIndex {
    path: PathBuf,
    index: Index,
    fields: Fields,
    /// Made when it is first asked: an index that is to be made anew is not read.
    reader: OnceLock<IndexReader>,
    writer: Mutex<Option<IndexWriter>>,
    counts: SegmentCounts,
}

impl LexicalIndex {
    /// Opens the index at `path`, made where there is none. An index of another schema or analyzer, or one that does not
    /// open, is replaced by an empty one, for the catalog to fill.
    pub(crate) fn open(path: &Path) -> Result<LexicalIndex, StoreError> {
        match LexicalIndex::open_existing(path).and_then(LexicalIndex::checked) {
            Ok(opened) => Ok(opened),
            // It may be whole: permissions or too many open files say nothing of it.
            Err(error) if path.exists() && !error.is_damage() => Err(error),
            Err(error) => {
                if path.exists() {
                    tracing::warn!(path = %path.display(), "the lexical index is rebuilt: {}", ErrorChain(&error));
                }
                LexicalIndex::create(path)
            }
        }
    }

    /// Opens the index at `path` to be made anew, so that only its list of segments has to be there. Where that is damaged too, an
    /// empty one takes its place.
    pub(crate) fn open_for_rebuild(path: &Path) -> Result<LexicalIndex, StoreError> {
        let opened = contained(path, || {
            let index = Index::open_in_dir(path).map_err(|source| StoreError::lexical(path, source))?;
            LexicalIndex::of(path, index)
        });
        match opened {
            Err(error) if error.is_damage() => LexicalIndex::create(path),
            opened => opened,
        }
    }

    /// An empty index in the place of whatever is there.
    fn create(path: &Path) -> Result<LexicalIndex, StoreError> {
        if path.exists() {
            fs_err::remove_dir_all(path)?;
        }
        fs_err::create_dir_all(path)?;
        let made = Index::create_in_dir(path, schema().0);
        made.map_err(|source| StoreError::lexical(path, source))?;
        LexicalIndex::open_existing(path)
    }

    /// Opens the index at `path`, which must be one of ours.
    pub(crate) fn open_existing(path: &Path) -> Result<LexicalIndex, StoreError> {
        contained(path, || LexicalIndex::opened(path))
    }

    fn opened(path: &Path) -> Result<LexicalIndex, StoreError> {
        let named = |source| StoreError::lexical(path, source);
        let read = |index| {
            let lexical = LexicalIndex::of(path, index)?;
            lexical.reader()?;
            Ok(lexical)
        };
        match read(Index::open_in_dir(path).map_err(named)?) {
            Err(StoreError::Lexical {
                source: LexicalError(TantivyError::LockFailure(LockError::IoError(refused), _)),
                ..
            }) if is_refusal(&refused) => {
                let files = MmapDirectory::open(path).map_err(|error| named(error.into()))?;
                read(Index::open(Unwritable(files)).map_err(named)?)
            }
            opened => opened,
        }
    }

    fn of(path: &Path, index: Index) -> Result<LexicalIndex, StoreError> {
        let named = |source| StoreError::lexical(path, source);
        let (schema, fields) = schema();
        if index.schema() != schema {
            return Err(named(TantivyError::SchemaError(
                "it was written by another version".into(),
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
            counts: SegmentCounts::default(),
        })
    }

    fn reader(&self) -> Result<&IndexReader, StoreError> {
        if let Some(reader) = self.reader.get() {
            return Ok(reader);
        }
        let builder = self.index.reader_builder().reload_policy(ReloadPolicy::Manual);
        let reader = builder.try_into().map_err(|source| self.failed(source))?;
        Ok(self.reader.get_or_init(|| reader))
    }

    /// The segments of the last commit.
    pub(crate) fn segment_ids(&self) -> Result<Vec<SegmentId>, StoreError> {
        let segments = self.index.searchable_segment_ids();
        let mut segments = segments.map_err(|source| self.failed(source))?;
        segments.sort_unstable();
        Ok(segments)
    }

    /// Whether one of these segments is in the last commit.
    pub(crate) fn has_any_segment(&self, segments: &[SegmentId]) -> Result<bool, StoreError> {
        Ok(self
            .segment_ids()?
            .iter()
            .any(|segment| segments.contains(segment)))
    }

    /// Up to where the history of the catalog is in the last commit.
    pub(crate) fn applied_seq(&self) -> Result<Seq, StoreError> {
        let metas = self.index.load_metas().map_err(|source| self.failed(source))?;
        Ok(metas
            .payload
            .and_then(|payload| payload.parse().ok())
            .unwrap_or(0))
    }

    /// The same, if it is what was written, so far as that can be said at once.
    fn checked(self) -> Result<LexicalIndex, StoreError> {
        self.quick_check().map(|()| self)
    }

    /// An error where it is not what was written. A large index is not looked at.
    pub(crate) fn quick_check(&self) -> Result<(), StoreError> {
        let sizes = fs_err::read_dir(&self.path)?.flatten();
        let bytes: u64 = sizes.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum();
        if bytes > CHECKED_BYTES {
            return Ok(());
        }
        match self.damaged_files()?.first() {
            None => Ok(()),
            Some(file) => Err(
                self.failed(TantivyError::DataCorruption(DataCorruption::comment_only(
                    format!("{file} is not what was written"),
                ))),
            ),
        }
    }

    /// Files of the last commit whose bytes are not those that were written.
    pub(crate) fn damaged_files(&self) -> Result<Vec<String>, StoreError> {
        let found = contained(&self.path, || {
            self.index
                .validate_checksum()
                .map_err(|source| self.failed(source))
        })?;
        let unlisted = self.unlisted_files()?;
        let all = found.iter().chain(&unlisted);
        let mut files: Vec<String> = all.map(|path| path.display().to_string()).collect();
        files.sort_unstable();
        Ok(files)
    }

    /// Files of the last commit that tantivy's list of its files has lost. It checks those alone that are on the list.
    fn unlisted_files(&self) -> Result<Vec<PathBuf>, StoreError> {
        let commit = contained(&self.path, || {
            self.index.load_metas().map_err(|source| self.failed(source))
        })?;
        // From the disk: another process may have added to it since this one opened it. A file is listed before it is made, and
        // gone before it is taken off.
        let list = fs_err::read(self.path.join(".managed.json"))?;
        let listed: HashSet<PathBuf> = serde_json::from_slice(&list).unwrap_or_default();
        let used = commit.list_segment_files().into_iter();
        let is_lost = |file: &PathBuf| !listed.contains(file) && self.path.join(file).exists();
        Ok(used.filter(is_lost).collect())
    }

    /// Number of passages in the last commit.
    pub(crate) fn passage_count(&self) -> Result<u64, StoreError> {
        Ok(self.reader()?.searcher().num_docs())
    }

    /// Starts a change that becomes visible, whole, with [`Change::commit`].
    pub(crate) fn change(&self) -> Result<Change<'_>, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.is_none() {
            let made = self.index.writer_with_num_threads(1, WRITER_BYTES);
            let made = made.map_err(|source| self.failed(source))?;
            // A change that the process died in has left files. Their names can be those of the next one.
            let cleaned = made.garbage_collect_files().wait();
            cleaned.map_err(|source| self.failed(source))?;
            *writer = Some(made);
        }
        Ok(Change::new(self, writer))
    }

    /// Ends merging and gives the writer's memory back.
    pub(crate) fn close_writer(&self) -> Result<(), StoreError> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        match writer {
            Some(writer) => writer
                .wait_merging_threads()
                .map_err(|source| self.failed(source)),
            None => Ok(()),
        }
    }

    /// A view of the last commit.
    pub(crate) fn view(&self) -> Result<LexicalView, StoreError> {
        contained(&self.path, || {
            let reader = self.reader()?;
            reader.reload().map_err(|source| self.failed(source))?;
            let searcher = reader.searcher();
            let statistics = self.counts.of(&searcher);
            LexicalView::new(searcher, statistics, self.fields, &self.path)
        })
    }

    fn failed(&self, source: TantivyError) -> StoreError {
        StoreError::lexical(&self.path, source)
    }
}

/// What `work` on the index at `path` gives. On bytes that are not what it wrote, tantivy may panic as well as fail: its files end
/// with a part that no checksum is of.
fn contained<T>(path: &Path, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let source = TantivyError::DataCorruption(DataCorruption::comment_only("it is not what was written"));
        Err(StoreError::lexical(path, source))
    })
}
