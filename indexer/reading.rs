//! Processes one file: reads, parses and chunks it, and prepares the document to store.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use autorag_store::{
    ContentHash, DocumentKey, FileStat, ItemStatus, Kind, Metadata, NewDocument, NewPassage, Retry, UnixMs,
};

use crate::chunk::Chunker;
use crate::compare::{FileTask, is_same_outcome, is_unopened};
use crate::input::embedding_input;
use crate::parse::{Parsed, ReasonCode, Refusal, catch_panic, is_risky, parse};
use crate::racy::recorded_stat;
use crate::{Indexer, descriptors, retry};

/// The result of processing one file.
pub(crate) enum FileOutcome {
    /// The store already has this outcome; only the stat is recorded.
    Unchanged { key: DocumentKey, stat: FileStat },
    /// A document, or an item that says why the file has no text.
    Stored {
        document: Box<NewDocument>,
        /// Whether the store already has an entry for the file.
        is_known: bool,
        elapsed: Duration,
        retry: Option<Retry>,
    },
    /// The process can open no more files. This says nothing about the file itself.
    TooManyOpenFiles,
}

impl Indexer {
    /// Reads, parses and chunks one file. A file that gives no text becomes an item with a reason.
    pub(crate) fn process(&self, task: FileTask, same_recipe: bool) -> FileOutcome {
        let started = Instant::now();
        let FileTask { key, file, known } = task;
        let mut stat = file.stat;
        let is_known = known.is_some();
        let refused = |key: DocumentKey, stat: FileStat, hash: Option<ContentHash>, refusal: Refusal| {
            let is_recorded = known.as_ref().is_some_and(|known| {
                hash.is_none() && known.attempts == 0 && is_same_outcome(known, &refusal)
            });
            if is_recorded && same_recipe && !refusal.is_temporary {
                return FileOutcome::Unchanged { key, stat };
            }
            let waits = &self.options.retry_after;
            let retry = refusal
                .is_temporary
                .then(|| retry::next(&key, stat, known.as_ref(), waits, UnixMs::now()));
            FileOutcome::Stored {
                document: Box::new(item_without_text(key, stat, hash, refusal)),
                is_known,
                elapsed: started.elapsed(),
                retry,
            }
        };
        if let Some(refusal) = file.refusal {
            return refused(key, stat, None, refusal);
        }
        let bytes;
        (bytes, stat) = match read(&file.path, self.options.max_file_size) {
            Ok(read) => read,
            Err(ReadError::TooManyOpenFiles) => return FileOutcome::TooManyOpenFiles,
            Err(ReadError::Refused(refusal)) => return refused(key, stat, None, refusal),
        };
        let hash = ContentHash::of(&bytes);
        let is_same_content = known
            .as_ref()
            .is_some_and(|known| known.source_hash == hash && !is_unopened(known) && known.attempts == 0);
        if same_recipe && is_same_content {
            return FileOutcome::Unchanged { key, stat };
        }
        let parsed = match &self.parsers {
            Some(parsers) if is_risky(key.as_str(), &bytes) => parsers.parse(key.as_str(), &bytes),
            _ => catch_panic(|| parse(key.as_str(), &bytes)),
        };
        drop(bytes);
        let document =
            parsed.and_then(|parsed| catch_panic(|| Ok(self.new_document(&key, stat, hash, parsed))));
        match document {
            Ok(document) => FileOutcome::Stored {
                document: Box::new(document),
                is_known,
                elapsed: started.elapsed(),
                retry: None,
            },
            Err(refusal) => refused(key, stat, Some(hash), refusal),
        }
    }

    /// Chunks a parsed document and computes the hash of each passage's embedding input.
    pub(crate) fn new_document(
        &self,
        key: &DocumentKey,
        stat: FileStat,
        hash: ContentHash,
        parsed: Parsed,
    ) -> NewDocument {
        let tokenizer = self.embedder.tokenizer();
        let window = self.embedder.passage_tokens();
        let chunker = Chunker::new(
            tokenizer,
            self.options.chunk_tokens,
            self.options.chunk_overlap_percent,
        );
        let passages = chunker.chunk(&parsed).into_iter().map(|passage| {
            let text = &parsed.text[passage.span.start_byte..passage.span.end_byte];
            let input = embedding_input(
                parsed.title.as_deref(),
                &passage.heading_path,
                text,
                tokenizer,
                window,
            );
            NewPassage {
                span: passage.span,
                heading_path: passage.heading_path,
                embed_hash: ContentHash::of(input.as_bytes()),
            }
        });
        let passages = passages.collect();
        NewDocument {
            key: key.clone(),
            stat,
            source_hash: hash,
            status: ItemStatus::Completed,
            reason: None,
            kind: parsed.kind,
            language: parsed.language.map(Cow::into_owned),
            title: parsed.title,
            metadata: parsed.metadata,
            text: parsed.text,
            passages,
        }
    }
}

/// Why a file's bytes could not be read.
pub(crate) enum ReadError {
    /// Something is wrong with this file.
    Refused(Refusal),
    /// The process can open no more files.
    TooManyOpenFiles,
}

/// Reads a file and its stat. Both come from one open handle, because another file may have taken the path since
/// the walk.
///
/// A file that has grown past `limit` bytes is refused.
pub(crate) fn read(path: &Path, limit: u64) -> Result<(Vec<u8>, FileStat), ReadError> {
    let failed = |refusal: fn(&std::io::Error) -> Refusal| {
        move |error: std::io::Error| {
            if descriptors::are_exhausted(&error) {
                ReadError::TooManyOpenFiles
            } else {
                ReadError::Refused(refusal(&error))
            }
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the item has the path; an error with the path in it hides the system's error code"
    )]
    let mut file = std::fs::File::open(path).map_err(failed(Refusal::open_failed))?;
    // Taken before reading: a write during the read then shows as a change in the next walk.
    let stat = FileStat::of(&file.metadata().map_err(failed(Refusal::open_failed))?);
    let stat = recorded_stat(stat, SystemTime::now());
    let mut bytes = Vec::new();
    file.by_ref()
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed(Refusal::read_failed))?;
    if bytes.len() as u64 > limit {
        return Err(ReadError::Refused(Refusal::new(
            ReasonCode::GrewTooLarge,
            format!("grew past index.max_file_size ({limit} bytes) while it was read"),
        )));
    }
    Ok((bytes, stat))
}

/// An item of a file that gives no text. Without a content hash, the hash of the reason code stands in.
fn item_without_text(
    key: DocumentKey,
    stat: FileStat,
    hash: Option<ContentHash>,
    refusal: Refusal,
) -> NewDocument {
    NewDocument {
        key,
        stat,
        source_hash: hash.unwrap_or_else(|| refusal.code.stand_in_hash()),
        status: refusal.status(),
        reason: Some(refusal.reason),
        kind: Kind::UNKNOWN,
        language: None,
        title: None,
        metadata: Metadata::new(),
        text: String::new(),
        passages: Vec::new(),
    }
}
