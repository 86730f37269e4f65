//! From one file to what the store keeps of it.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use autorag_store::{
    ContentHash, DocumentKey, FileStat, ItemStatus, Kind, Metadata, NewDocument, NewPassage, Retry, UnixMs,
};

use crate::Indexer;
use crate::chunk::Chunker;
use crate::compare::{Task, half_read_hash, is_unread, unread_hash};
use crate::input::embedding_input;
use crate::parse::{Parsed, Refusal, contained, is_risky, parse};
use crate::racy::remembered;
use crate::retry;

/// What came of a file.
pub(crate) enum Outcome {
    /// The same bytes as before.
    Same { key: DocumentKey, stat: FileStat },
    /// Something to store.
    New {
        document: Box<NewDocument>,
        known: bool,
        took: Duration,
        retry: Option<Retry>,
    },
    /// No file can be opened any more, which says nothing of this one.
    NoDescriptors,
}

impl Indexer {
    /// Reads and parses one file. Whatever is wrong with it becomes an item.
    pub(crate) fn process(&self, task: Task, same_recipe: bool) -> Outcome {
        let begun = Instant::now();
        let Task { key, found, known } = task;
        let mut stat = found.stat;
        let is_known = known.is_some();
        let refused = |key: DocumentKey, stat: FileStat, hash: ContentHash, refusal: Refusal| {
            let as_before = known.as_ref().is_some_and(|known| {
                known.source_hash == hash
                    && known.status == refusal.status
                    && known.reason.as_ref() == Some(&refusal.reason)
            });
            if as_before && same_recipe && !refusal.may_pass {
                return Outcome::Same { key, stat };
            }
            let waits = &self.options.retry_after;
            let retry = refusal
                .may_pass
                .then(|| retry::next(&key, stat, known.as_ref(), waits, UnixMs::now()));
            Outcome::New {
                document: Box::new(without_text(key, stat, hash, refusal)),
                known: is_known,
                took: begun.elapsed(),
                retry,
            }
        };
        if let Some(refusal) = found.refusal {
            return refused(key, stat, unread_hash(), refusal);
        }
        let bytes;
        (bytes, stat) = match read(&found.path, self.options.max_file_size) {
            Ok(read) => read,
            Err(Unread::NoDescriptors) => return Outcome::NoDescriptors,
            Err(Unread::Refused(hash, refusal)) => return refused(key, stat, hash, refusal),
        };
        let hash = ContentHash::of(&bytes);
        let known_bytes = known
            .as_ref()
            .is_some_and(|known| known.source_hash == hash && !is_unread(known) && known.attempts == 0);
        if same_recipe && known_bytes {
            return Outcome::Same { key, stat };
        }
        let parsed = match &self.parsers {
            Some(parsers) if is_risky(key.as_str(), &bytes) => parsers.parse(key.as_str(), &bytes),
            _ => contained(|| parse(key.as_str(), &bytes)),
        };
        drop(bytes);
        let document = parsed.and_then(|parsed| contained(|| Ok(self.document(&key, stat, hash, parsed))));
        match document {
            Ok(document) => Outcome::New {
                document: Box::new(document),
                known: is_known,
                took: begun.elapsed(),
                retry: None,
            },
            Err(refusal) => refused(key, stat, hash, refusal),
        }
    }

    /// What the store is to keep of a document whose text is known.
    pub(crate) fn document(
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
        let passages = chunker.chunk(&parsed).into_iter().map(|piece| {
            let text = &parsed.text[piece.span.start_byte..piece.span.end_byte];
            let input = embedding_input(
                parsed.title.as_deref(),
                &piece.heading_path,
                text,
                tokenizer,
                window,
            );
            NewPassage {
                span: piece.span,
                heading_path: piece.heading_path,
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

/// Codes of the system, on Linux and macOS alike, where the machine or this process has too many files open.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// Why there are no bytes of a file.
pub(crate) enum Unread {
    /// Something is wrong with it. The hash stands for its bytes, and says how far it could be read.
    Refused(ContentHash, Refusal),
    /// No file can be opened.
    NoDescriptors,
}

/// The bytes of a file, unless it has grown past `limit` since it was found, and what the system says of the file that they are of:
/// by now it may be another than the walk found.
pub(crate) fn read(path: &Path, limit: u64) -> Result<(Vec<u8>, FileStat), Unread> {
    let failed = |hash| {
        move |error: std::io::Error| match error.raw_os_error() {
            Some(ENFILE | EMFILE) => Unread::NoDescriptors,
            _ => Unread::Refused(hash, Refusal::for_now(cause(&error))),
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the item has the path; an error with it would hide the code of the system"
    )]
    let mut file = std::fs::File::open(path).map_err(failed(unread_hash()))?;
    // From before: what is written while it is read then shows as a change, to the next walk.
    let stat = FileStat::of(&file.metadata().map_err(failed(unread_hash()))?);
    let stat = remembered(stat, SystemTime::now());
    let mut bytes = Vec::new();
    file.by_ref()
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed(half_read_hash()))?;
    if bytes.len() as u64 > limit {
        let refusal = Refusal::error("it grew past index.max_file_size while it was being read");
        return Err(Unread::Refused(unread_hash(), refusal));
    }
    Ok((bytes, stat))
}

fn without_text(key: DocumentKey, stat: FileStat, hash: ContentHash, refusal: Refusal) -> NewDocument {
    NewDocument {
        key,
        stat,
        source_hash: hash,
        status: refusal.status,
        reason: Some(refusal.reason),
        kind: Kind::UNKNOWN,
        language: None,
        title: None,
        metadata: Metadata::new(),
        text: String::new(),
        passages: Vec::new(),
    }
}

/// What the system said.
fn cause(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => std::io::Error::from_raw_os_error(code).to_string(),
        None => error.kind().to_string(),
    }
}
