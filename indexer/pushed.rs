//! Documents that a caller pushes into the store, without a file.

use autorag_store::{ChangeBatch, ContentHash, DocumentKey, FileStat};

use crate::parse::parse;
use crate::source::NO_STAT;
use crate::{Cancel, IndexError, Indexer, Progress, RunContext, Stage};

/// Documents per transaction.
const BATCH: usize = 512;

/// A document without a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedDocument {
    /// Key in the store. A document with the same key is replaced.
    pub key: DocumentKey,
    /// Title. If `None`, the parser may derive one from the text.
    pub title: Option<String>,
    /// Plain text.
    pub text: String,
}

impl Indexer {
    /// Puts documents into the store and embeds them. Returns how many have text.
    ///
    /// A document without text is left out.
    ///
    /// # Errors
    /// [`IndexError::Cancelled`] if `cancel` stops the run, and the errors of the store and the model.
    pub fn push(
        &self,
        documents: &[PushedDocument],
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<u64, IndexError> {
        progress.enter(Stage::Indexing);
        progress.set_files_to_index(documents.len());
        let mut stored = 0;
        self.store.begin_run()?;
        for batch in documents.chunks(BATCH) {
            cancel.check()?;
            let mut upserts = Vec::with_capacity(batch.len());
            for document in batch {
                progress.add_file_done();
                let bytes = document.text.as_bytes();
                // A name without a known extension: the text is parsed as plain text.
                let Ok(mut parsed) = parse("pushed.text", bytes) else {
                    continue;
                };
                parsed.title = document.title.clone().or(parsed.title);
                let stat = FileStat {
                    size: bytes.len() as u64,
                    ..NO_STAT
                };
                upserts.push(self.new_document(&document.key, stat, ContentHash::of(bytes), parsed));
            }
            stored += upserts.len() as u64;
            self.store.apply(&ChangeBatch {
                upserts,
                ..ChangeBatch::default()
            })?;
        }
        self.store.refresh_lexical()?;
        progress.enter(Stage::Embedding);
        let embedded = self.embed(&RunContext::new(progress, cancel))?;
        self.store.finish_run(stored)?;
        if let Some(missing) = embedded.missing {
            return Err(missing.reason.into());
        }
        progress.enter(Stage::Done);
        Ok(stored)
    }
}
