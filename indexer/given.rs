//! Documents that come from a program, not from a folder.

use autorag_store::{ChangeBatch, ContentHash, DocumentKey, FileStat};

use crate::parse::parse;
use crate::{Cancel, IndexError, Indexer, Progress, Stage};

/// Documents in a transaction.
const BATCH: usize = 512;

/// A document that no file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenDocument {
    /// Its name in the store.
    pub key: DocumentKey,
    /// Its title.
    pub title: Option<String>,
    /// Its text.
    pub text: String,
}

impl Indexer {
    /// Puts documents into the store, in place of those of their keys, and embeds them.
    ///
    /// A text that no parser would read (an empty one) is left out. How many were put.
    ///
    /// # Errors
    /// [`IndexError::Cancelled`] when asked to stop, and whatever the store or the model says.
    pub fn put(
        &self,
        documents: &[GivenDocument],
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<u64, IndexError> {
        progress.enter(Stage::Indexing);
        progress.set_files_to_index(documents.len());
        let mut put = 0;
        self.store.begin_run()?;
        for batch in documents.chunks(BATCH) {
            cancel.check()?;
            let mut upserts = Vec::with_capacity(batch.len());
            for given in batch {
                progress.finished_file();
                let bytes = given.text.as_bytes();
                let Ok(mut parsed) = parse("given.text", bytes) else {
                    continue;
                };
                parsed.title = given.title.clone().or(parsed.title);
                let stat = FileStat {
                    size: bytes.len() as u64,
                    modified_ns: 0,
                    inode: 0,
                };
                upserts.push(self.document(&given.key, stat, ContentHash::of(bytes), parsed));
            }
            put += upserts.len() as u64;
            self.store.apply(&ChangeBatch {
                upserts,
                ..ChangeBatch::default()
            })?;
        }
        self.store.refresh_lexical()?;
        progress.enter(Stage::Embedding);
        let never = || false;
        let done = self.embed(self.options.threads.max(1), progress, cancel, &never)?;
        self.store.finish_run(put)?;
        if let Some(unembedded) = done.unembedded {
            return Err(unembedded.reason.into());
        }
        progress.enter(Stage::Done);
        Ok(put)
    }
}
