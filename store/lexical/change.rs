//! Adds documents to the lexical index and removes them.

use std::collections::HashMap;
use std::sync::MutexGuard;

use tantivy::schema::Field;
use tantivy::tokenizer::{PreTokenizedString, TextAnalyzer, Token};
use tantivy::{IndexWriter, TantivyDocument, TantivyError, Term};

use super::language::{self, Profile};
use super::{LexicalIndex, analyzer};
use crate::catalog::LexicalRow;
use crate::{DocumentEntry, DocumentId, Kind, Seq, StoreError};

/// Limit of the field `whole`, in bytes of the document's text. It bounds memory. The field `body` of each
/// passage has no limit.
const WHOLE_BYTES: usize = 1 << 18;

/// An uncommitted change. Dropping it rolls it back.
pub(crate) struct Change<'a> {
    lexical: &'a LexicalIndex,
    writer: MutexGuard<'a, Option<IndexWriter>>,
    /// Analyzers in use, by language code.
    analyzers: HashMap<&'static str, TextAnalyzer>,
    committed: bool,
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if !self.committed {
            // The writer's next commit would include this change, so the next change gets a new writer.
            *self.writer = None;
        }
    }
}

impl<'a> Change<'a> {
    pub(super) fn new(lexical: &'a LexicalIndex, writer: MutexGuard<'a, Option<IndexWriter>>) -> Change<'a> {
        Change {
            lexical,
            writer,
            analyzers: HashMap::new(),
            committed: false,
        }
    }

    /// Adds the passages of `entry`.
    pub(crate) fn add(&mut self, entry: &DocumentEntry, rows: &[LexicalRow]) -> Result<(), StoreError> {
        let fields = self.lexical.fields;
        let language = language_of(entry, rows);
        let text_analyzer = self
            .analyzers
            .entry(language.code)
            .or_insert_with(|| analyzer::analyzer(language));
        let title = entry.title.as_deref().unwrap_or_default();
        let mut whole = analyzer::tokens(text_analyzer, title);
        let mut whole_bytes = 0;
        // Added last, because it also carries the tokens of all passages in the field `whole`.
        let mut first = None;
        for row in rows {
            let mut document = TantivyDocument::default();
            document.add_u64(fields.passage, row.passage.0);
            document.add_u64(fields.document, u64::from(row.document.0));
            document.add_text(fields.language, language.code);
            let mut add = |field: Field, text: &str| {
                let tokens = analyzer::tokens(text_analyzer, text);
                add_tokens(&mut document, field, tokens);
            };
            add(fields.title, title);
            // The outermost heading usually repeats the title.
            let headings = row.heading_path.iter().filter(|heading| *heading != title);
            for heading in headings {
                add(fields.headings, heading);
            }
            add(fields.path, entry.key.as_str());
            let body = analyzer::tokens(text_analyzer, &row.text);
            if whole_bytes < WHOLE_BYTES {
                whole_bytes += row.text.len();
                whole.extend_from_slice(&body);
            }
            add_tokens(&mut document, fields.body, body);
            match first {
                None => first = Some(document),
                Some(_) => add_document(self.lexical, &mut self.writer, document)?,
            }
        }
        if let Some(mut first) = first {
            add_tokens(&mut first, fields.whole, whole);
            add_document(self.lexical, &mut self.writer, first)?;
        }
        Ok(())
    }

    /// Removes all passages of a document.
    pub(crate) fn remove(&mut self, document: DocumentId) -> Result<(), StoreError> {
        let term = Term::from_field_u64(self.lexical.fields.document, u64::from(document.0));
        self.writer()?.delete_term(term);
        Ok(())
    }

    /// Removes all passages of the index. Reads no segment, so it works on a damaged index.
    pub(crate) fn remove_all(&mut self) -> Result<(), StoreError> {
        let lexical = self.lexical;
        let removed = self.writer()?.delete_all_documents();
        removed.map(drop).map_err(|source| lexical.error(source))
    }

    /// Commits the change durably and records `seq` as the catalog sequence number that the index has
    /// applied.
    pub(crate) fn commit(mut self, seq: Seq) -> Result<(), StoreError> {
        let lexical = self.lexical;
        let writer = self.writer()?;
        let committed = writer.prepare_commit().and_then(|mut commit| {
            commit.set_payload(&seq.to_string());
            commit.commit()
        });
        committed.map_err(|source| lexical.error(source))?;
        self.committed = true;
        Ok(())
    }

    fn writer(&mut self) -> Result<&mut IndexWriter, StoreError> {
        writer_of(self.lexical, &mut self.writer)
    }
}

fn writer_of<'w>(
    lexical: &LexicalIndex,
    writer: &'w mut Option<IndexWriter>,
) -> Result<&'w mut IndexWriter, StoreError> {
    let missing = || lexical.error(TantivyError::ErrorInThread("no writer".into()));
    writer.as_mut().ok_or_else(missing)
}

fn add_document(
    lexical: &LexicalIndex,
    writer: &mut Option<IndexWriter>,
    document: TantivyDocument,
) -> Result<(), StoreError> {
    let writer = writer_of(lexical, writer)?;
    let added = writer.add_document(document).map(drop);
    added.map_err(|error| lexical.error(root_cause(writer, error)))
}

/// The reason why `writer` refused a document.
///
/// After a failed write, tantivy only reports that its indexing thread has ended. `prepare_commit` joins the
/// thread and returns the thread's own error.
fn root_cause(writer: &mut IndexWriter, error: TantivyError) -> TantivyError {
    match error {
        TantivyError::ErrorInThread(_) => writer.prepare_commit().err().unwrap_or(error),
        _ => error,
    }
}

/// The language to stem a document in. Source code counts as English, because most comments and names are.
fn language_of(entry: &DocumentEntry, rows: &[LexicalRow]) -> &'static Profile {
    if entry.kind == Kind::CODE {
        return language::ENGLISH;
    }
    let mut sample = String::new();
    for row in rows {
        sample.push_str(&row.text);
        sample.push('\n');
        if sample.len() >= language::SAMPLE_BYTES {
            break;
        }
    }
    language::detect(&sample)
}

fn add_tokens(document: &mut TantivyDocument, field: Field, tokens: Vec<Token>) {
    if tokens.is_empty() {
        return;
    }
    // tantivy needs the text only for stored fields.
    let text = String::new();
    document.add_pre_tokenized_text(field, PreTokenizedString { text, tokens });
}
