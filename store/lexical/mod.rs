//! The lexical index: BM25 over passages, by tantivy. Derived from the catalog and rebuilt from it where need be.

mod analyzer;
mod query;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tantivy::collector::{FilterCollector, TopDocs};
use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, Schema, TextFieldIndexing, TextOptions};
use tantivy::{
    DocAddress, Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, TantivyError, Term,
};

use crate::catalog::LexicalRow;
use crate::{Candidate, DocumentEntry, DocumentId, DocumentSet, PassageId, Seq, StoreError};

/// Memory for postings on their way to disk. One thread writes: parsing and embedding need the others.
const WRITER_BYTES: usize = 24 << 20;
/// Candidates fetched beyond those asked for, so that equal scores at the cut can be put in an order of their own.
const TIES: usize = 32;
/// What a match in a field is worth against one in the passage's text.
const TITLE_WEIGHT: f32 = 1.6;
const HEADING_WEIGHT: f32 = 1.3;
const PATH_WEIGHT: f32 = 0.8;

/// Fields of a passage.
#[derive(Clone, Copy)]
struct Fields {
    passage: Field,
    document: Field,
    title: Field,
    headings: Field,
    path: Field,
    body: Field,
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let text = || {
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(analyzer::NAME)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        TextOptions::default().set_indexing_options(indexing)
    };
    let fields = Fields {
        passage: schema.add_u64_field("passage", FAST),
        document: schema.add_u64_field("document", FAST | INDEXED),
        title: schema.add_text_field("title", text()),
        headings: schema.add_text_field("headings", text()),
        path: schema.add_text_field("path", text()),
        body: schema.add_text_field("body", text()),
    };
    (schema.build(), fields)
}

/// An index on disk.
pub(crate) struct Lexical {
    path: PathBuf,
    index: Index,
    fields: Fields,
    reader: IndexReader,
    writer: Mutex<Option<IndexWriter>>,
}

impl Lexical {
    /// Opens the index at `path`, made where there is none. An index of another schema or analyzer, or one that does not
    /// open, is replaced by an empty one, for the catalog to fill.
    pub(crate) fn open(path: &Path) -> Result<Lexical, StoreError> {
        match Lexical::open_existing(path) {
            Ok(opened) => Ok(opened),
            Err(error) => {
                if path.exists() {
                    tracing::warn!(path = %path.display(), "the lexical index is rebuilt: {error}");
                    fs_err::remove_dir_all(path)?;
                }
                fs_err::create_dir_all(path)?;
                let made = Index::create_in_dir(path, schema().0);
                made.map_err(|source| StoreError::Lexical {
                    path: path.to_owned(),
                    source,
                })?;
                Lexical::open_existing(path)
            }
        }
    }

    /// Opens the index at `path`, which must be one of ours.
    pub(crate) fn open_existing(path: &Path) -> Result<Lexical, StoreError> {
        let named = |source| StoreError::Lexical {
            path: path.to_owned(),
            source,
        };
        let index = Index::open_in_dir(path).map_err(named)?;
        let (schema, fields) = schema();
        if index.schema() != schema {
            return Err(named(TantivyError::SchemaError(
                "it was written by another version".into(),
            )));
        }
        index.tokenizers().register(analyzer::NAME, analyzer::analyzer());
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()
            .map_err(named)?;
        Ok(Lexical {
            path: path.to_owned(),
            index,
            fields,
            reader,
            writer: Mutex::default(),
        })
    }

    /// Up to where the history of the catalog is in the last commit.
    pub(crate) fn applied(&self) -> Result<Seq, StoreError> {
        let metas = self.index.load_metas().map_err(|source| self.failed(source))?;
        Ok(metas
            .payload
            .and_then(|payload| payload.parse().ok())
            .unwrap_or(0))
    }

    /// Starts a change that becomes visible, whole, with [`Change::commit`].
    pub(crate) fn change(&self) -> Result<Change<'_>, StoreError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.is_none() {
            let made = self.index.writer_with_num_threads(1, WRITER_BYTES);
            *writer = Some(made.map_err(|source| self.failed(source))?);
        }
        Ok(Change {
            lexical: self,
            writer,
        })
    }

    /// Ends merging and gives the writer's memory back.
    pub(crate) fn rest(&self) -> Result<(), StoreError> {
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
        self.reader.reload().map_err(|source| self.failed(source))?;
        Ok(LexicalView {
            searcher: self.reader.searcher(),
            fields: self.fields,
            path: self.path.clone(),
        })
    }

    fn failed(&self, source: TantivyError) -> StoreError {
        StoreError::Lexical {
            path: self.path.clone(),
            source,
        }
    }
}

/// A change on its way. Dropped without a commit, it never was.
pub(crate) struct Change<'a> {
    lexical: &'a Lexical,
    writer: std::sync::MutexGuard<'a, Option<IndexWriter>>,
}

impl Change<'_> {
    /// Adds a passage of `entry`.
    pub(crate) fn add(&mut self, entry: &DocumentEntry, row: &LexicalRow) -> Result<(), StoreError> {
        let fields = self.lexical.fields;
        let mut document = TantivyDocument::default();
        document.add_u64(fields.passage, row.passage.0);
        document.add_u64(fields.document, u64::from(row.document.0));
        if let Some(title) = &entry.title {
            document.add_text(fields.title, title);
        }
        // The outermost heading is the title again, most of the time.
        for heading in row
            .heading_path
            .iter()
            .filter(|heading| Some(*heading) != entry.title.as_ref())
        {
            document.add_text(fields.headings, heading);
        }
        document.add_text(fields.path, &entry.key);
        document.add_text(fields.body, &row.text);
        self.writer()?
            .add_document(document)
            .map(drop)
            .map_err(|source| self.lexical.failed(source))
    }

    /// Removes every passage of a document.
    pub(crate) fn remove(&mut self, document: DocumentId) -> Result<(), StoreError> {
        let term = Term::from_field_u64(self.lexical.fields.document, u64::from(document.0));
        self.writer()?.delete_term(term);
        Ok(())
    }

    /// Makes the change durable and visible, and records that it reaches `seq`.
    pub(crate) fn commit(mut self, seq: Seq) -> Result<(), StoreError> {
        let lexical = self.lexical;
        let writer = self.writer()?;
        let committed = writer.prepare_commit().and_then(|mut commit| {
            commit.set_payload(&seq.to_string());
            commit.commit()
        });
        committed.map(drop).map_err(|source| {
            // After a failed commit the writer cannot be relied on; the next change makes a new one.
            *self.writer = None;
            lexical.failed(source)
        })
    }

    fn writer(&mut self) -> Result<&mut IndexWriter, StoreError> {
        let lexical = self.lexical;
        self.writer
            .as_mut()
            .ok_or_else(|| lexical.failed(TantivyError::ErrorInThread("no writer".into())))
    }
}

/// One commit, as a snapshot sees it.
#[derive(Clone)]
pub(crate) struct LexicalView {
    searcher: Searcher,
    fields: Fields,
    path: PathBuf,
}

impl LexicalView {
    /// The best `limit` passages and a few more, of documents `within`, with the document of each.
    pub(crate) fn search(
        &self,
        text: &str,
        within: &DocumentSet,
        restricted: bool,
        limit: usize,
    ) -> Result<Vec<(Candidate, DocumentId)>, StoreError> {
        let typed = query::Typed::parse(text);
        let fields = self.fields;
        let query = typed.query(&[
            (fields.body, 1.0),
            (fields.title, TITLE_WEIGHT),
            (fields.headings, HEADING_WEIGHT),
            (fields.path, PATH_WEIGHT),
        ]);
        let best = TopDocs::with_limit(limit + TIES).order_by_score();
        let found = if restricted {
            let allowed = within.clone();
            let inside =
                move |document: u64| u32::try_from(document).is_ok_and(|id| allowed.contains(DocumentId(id)));
            self.searcher
                .search(&query, &FilterCollector::new("document".to_owned(), inside, best))
        } else {
            self.searcher.search(&query, &best)
        };
        let found = found.and_then(|found| {
            found
                .into_iter()
                .map(|(score, at)| self.candidate(score, at))
                .collect()
        });
        found.map_err(|source| StoreError::Lexical {
            path: self.path.clone(),
            source,
        })
    }

    fn candidate(&self, score: f32, at: DocAddress) -> tantivy::Result<(Candidate, DocumentId)> {
        let fast = self.searcher.segment_reader(at.segment_ord).fast_fields();
        let value =
            |name: &str| -> tantivy::Result<u64> { Ok(fast.u64(name)?.first(at.doc_id).unwrap_or_default()) };
        let passage = PassageId(value("passage")?);
        Ok((
            Candidate { passage, score },
            DocumentId(value("document")? as u32),
        ))
    }
}

/// Where `text` has words of `query`, in order and apart from one another.
pub(crate) fn highlight(text: &str, query: &str) -> Vec<Range<usize>> {
    let typed = query::Typed::parse(query);
    let sought: std::collections::HashSet<&str> = typed.sought().collect();
    let mut analyzer = analyzer::analyzer();
    let mut stream = analyzer.token_stream(text);
    let mut ranges: Vec<Range<usize>> = Vec::new();
    while stream.advance() {
        let token = stream.token();
        if !sought.contains(token.text.as_str()) {
            continue;
        }
        match ranges.last_mut() {
            // Pairs of characters overlap, and so do identifiers and their parts.
            Some(last) if token.offset_from <= last.end => last.end = last.end.max(token.offset_to),
            _ => ranges.push(token.offset_from..token.offset_to),
        }
    }
    ranges
}
