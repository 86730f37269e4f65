//! One run: find, compare, parse, make searchable, embed.

use std::collections::HashMap;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use autorag_embedder::Embedder;
use autorag_store::{
    ChangeBatch, ContentHash, FileStat, FileState, ItemStatus, Metadata, NewDocument, NewPassage, Store,
};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use crate::chunk::Chunker;
use crate::input::embedding_input;
use crate::options::Globs;
use crate::parse::{Parsed, Refusal, parse};
use crate::progress::{Cancel, Progress, Stage};
use crate::source::{Found, Listing, list};
use crate::{IndexError, IndexOptions, RunReport, embedding};

/// Documents in a transaction, at most …
const BATCH_DOCUMENTS: usize = 256;
/// … and bytes of text.
const BATCH_BYTES: usize = 8 << 20;
/// How long parsed documents wait for their transaction.
const BATCH_AGE: Duration = Duration::from_millis(400);
/// How often what was committed is made searchable. The first time comes at once.
const REFRESH_EVERY: Duration = Duration::from_secs(1);
/// Parsed documents that wait for the writer. With each at most a file's largest size, this bounds memory.
const WAITING: usize = 16;
/// Keys removed in a transaction.
const BATCH_REMOVALS: usize = 4096;

/// Brings a store up to date with its folders.
pub struct Indexer {
    pub(crate) store: Arc<Store>,
    pub(crate) embedder: Arc<Embedder>,
    pub(crate) options: IndexOptions,
    globs: Globs,
}

/// A file to be read, and what is known of it.
struct Job {
    key: String,
    found: Found,
    known: Option<FileState>,
}

/// What came of it.
enum Outcome {
    /// The same bytes as before.
    Same { key: String, stat: FileStat },
    /// Something to store.
    New { document: Box<NewDocument>, known: bool },
}

impl Indexer {
    /// An indexer for `store`, whose vectors must come from the model of `embedder`.
    ///
    /// # Errors
    /// [`IndexError::Setting`] naming an option that cannot be used.
    pub fn new(
        store: Arc<Store>,
        embedder: Arc<Embedder>,
        options: IndexOptions,
    ) -> Result<Indexer, IndexError> {
        let globs = Globs::new(&options)?;
        let setting = |setting, message: String| Err(IndexError::Setting { setting, message });
        let most = embedder.model().max_tokens;
        if options.chunk_tokens == 0 || options.chunk_tokens + 2 > most {
            return setting(
                "index.chunk_tokens",
                format!("{} is outside 1 to {}", options.chunk_tokens, most - 2),
            );
        }
        if options.chunk_overlap_percent > 50 {
            return setting(
                "index.chunk_overlap_percent",
                format!("{} is over 50", options.chunk_overlap_percent),
            );
        }
        Ok(Indexer {
            store,
            embedder,
            options,
            globs,
        })
    }

    /// Runs once over every folder of the store. Text is searchable before its vectors are built.
    ///
    /// # Errors
    /// [`IndexError::Root`] where a folder is gone, [`IndexError::Cancelled`] when asked to stop, and whatever the store or the
    /// model says. What was done up to there is kept.
    pub fn run(&self, progress: &Progress, cancel: &Cancel) -> Result<RunReport, IndexError> {
        let started = Instant::now();
        let mut report = RunReport::default();
        progress.enter(Stage::Scanning);
        let listing = self.scan(progress, cancel)?;
        let recipe = self.options.recipe();
        let mut known = self.store.known_files()?;
        if known.is_empty() {
            self.store.set_recipe(&recipe)?;
        }
        let same_recipe = self.store.recipe()?.is_some_and(|kept| kept == recipe);
        let (jobs, seen) = compare(listing.files, &mut known, same_recipe, &mut report);
        let removed = vanished(known, &listing.unreadable);
        self.store.begin_run()?;
        report.took_scan = started.elapsed();

        progress.enter(Stage::Indexing);
        progress.set_files_to_index(jobs.len());
        let indexing = Instant::now();
        self.index(jobs, same_recipe, progress, cancel, &mut report)?;
        report.removed = removed.len() as u64;
        for removals in removed.chunks(BATCH_REMOVALS) {
            self.store.apply(&ChangeBatch {
                removals: removals.to_vec(),
                ..ChangeBatch::default()
            })?;
        }
        self.store.set_recipe(&recipe)?;
        self.store.refresh_lexical()?;
        report.took_index = indexing.elapsed();

        progress.enter(Stage::Embedding);
        let embedding = Instant::now();
        let threads = self.options.threads.max(1);
        report.embedded = embedding::embed_pending(&self.store, &self.embedder, threads, progress, cancel)?;
        self.store.finish_run(seen)?;
        report.took_embed = embedding.elapsed();
        report.took_total = started.elapsed();
        progress.enter(Stage::Done);
        Ok(report)
    }

    fn scan(&self, progress: &Progress, cancel: &Cancel) -> Result<Listing, IndexError> {
        let mut listing = Listing::default();
        for source in self.store.sources() {
            list(
                source,
                self.store.dir(),
                &self.options,
                &self.globs,
                progress,
                cancel,
                &mut listing,
            )?;
        }
        Ok(listing)
    }

    /// Parses on several threads and stores on this one.
    fn index(
        &self,
        jobs: Vec<Job>,
        same_recipe: bool,
        progress: &Progress,
        cancel: &Cancel,
        report: &mut RunReport,
    ) -> Result<(), IndexError> {
        if jobs.is_empty() {
            return Ok(());
        }
        let (give, take) = bounded::<Job>(WAITING);
        let (done, parsed) = bounded::<Outcome>(WAITING);
        std::thread::scope(|scope| {
            for _ in 0..self.options.threads.max(1) {
                let (take, done) = (take.clone(), done.clone());
                scope.spawn(move || self.work(&take, &done, same_recipe, cancel));
            }
            drop((take, done));
            scope.spawn(move || {
                for job in jobs {
                    // The receivers are gone only when the run is over.
                    if give.send(job).is_err() || cancel.is_cancelled() {
                        break;
                    }
                }
            });
            // Dropping the receiver on an error ends the other threads.
            self.collect(parsed, progress, cancel, report)
        })
    }

    fn work(&self, jobs: &Receiver<Job>, done: &Sender<Outcome>, same_recipe: bool, cancel: &Cancel) {
        for job in jobs {
            if cancel.is_cancelled() || done.send(self.process(job, same_recipe)).is_err() {
                break;
            }
        }
    }

    fn collect(
        &self,
        parsed: Receiver<Outcome>,
        progress: &Progress,
        cancel: &Cancel,
        report: &mut RunReport,
    ) -> Result<(), IndexError> {
        let (mut batch, mut bytes) = (ChangeBatch::default(), 0);
        let mut begun = Instant::now();
        let mut refreshed: Option<Instant> = None;
        loop {
            let outcome = parsed.recv_timeout(BATCH_AGE);
            cancel.check()?;
            let open = !matches!(outcome, Err(RecvTimeoutError::Disconnected));
            if let Ok(outcome) = outcome {
                if batch.is_empty() {
                    begun = Instant::now();
                }
                progress.finished_file();
                match outcome {
                    Outcome::Same { key, stat } => {
                        report.unchanged += 1;
                        batch.touched.push((key, stat));
                    }
                    Outcome::New { document, known } => {
                        count(report, &document, known);
                        bytes += document.text.len();
                        batch.upserts.push(*document);
                    }
                }
            }
            let full = batch.upserts.len() + batch.touched.len() >= BATCH_DOCUMENTS || bytes >= BATCH_BYTES;
            if !batch.is_empty() && (full || !open || begun.elapsed() >= BATCH_AGE) {
                self.store.apply(&batch)?;
                (batch, bytes) = (ChangeBatch::default(), 0);
                if refreshed.is_none_or(|at| at.elapsed() >= REFRESH_EVERY) {
                    self.store.refresh_lexical()?;
                    refreshed = Some(Instant::now());
                }
            }
            if !open {
                return Ok(());
            }
        }
    }

    /// Reads and parses one file. Whatever is wrong with it becomes an item.
    fn process(&self, job: Job, same_recipe: bool) -> Outcome {
        let Job { key, found, known } = job;
        let stat = found.stat;
        let is_known = known.is_some();
        let refused = |key: String, hash: ContentHash, refusal: Refusal| {
            let as_before = known.as_ref().is_some_and(|known| {
                known.source_hash == hash
                    && known.status == refusal.status
                    && known.reason.as_ref() == Some(&refusal.reason)
            });
            if as_before && same_recipe {
                return Outcome::Same { key, stat };
            }
            Outcome::New {
                document: Box::new(without_text(key, stat, hash, refusal)),
                known: is_known,
            }
        };
        if let Some(refusal) = found.refusal {
            return refused(key, unread_hash(), refusal);
        }
        let bytes = match read(&found.path, self.options.max_file_size) {
            Ok(bytes) => bytes,
            Err(refusal) => return refused(key, unread_hash(), refusal),
        };
        let hash = ContentHash::of(&bytes);
        let known_bytes = known
            .as_ref()
            .is_some_and(|known| known.source_hash == hash && !is_unread(known));
        if same_recipe && known_bytes {
            return Outcome::Same { key, stat };
        }
        // A parser's panic costs the file, not the run. It has no state that could be left half done.
        let parsed = catch_unwind(AssertUnwindSafe(|| {
            parse(&key, &bytes).map(|parsed| self.document(&key, stat, hash, parsed))
        }));
        match parsed {
            Ok(Ok(document)) => Outcome::New {
                document: Box::new(document),
                known: is_known,
            },
            Ok(Err(refusal)) => refused(key, hash, refusal),
            Err(_) => refused(key, hash, Refusal::error("the parser met a bug on this file")),
        }
    }

    /// What the store is to keep of a document whose text is known.
    pub(crate) fn document(
        &self,
        key: &str,
        stat: FileStat,
        hash: ContentHash,
        parsed: Parsed,
    ) -> NewDocument {
        let tokenizer = self.embedder.tokenizer();
        let window = self.embedder.model().max_tokens;
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
            key: key.to_owned(),
            stat,
            source_hash: hash,
            status: ItemStatus::Completed,
            reason: None,
            kind: parsed.kind.to_owned(),
            language: parsed.language.map(str::to_owned),
            title: parsed.title,
            metadata: parsed.metadata,
            text: parsed.text,
            passages,
        }
    }
}

/// Splits what was found into files to read and files as they were. What is left of `known` was not found. Also how many files
/// were seen.
fn compare(
    files: std::collections::BTreeMap<String, Found>,
    known: &mut HashMap<String, FileState>,
    same_recipe: bool,
    report: &mut RunReport,
) -> (Vec<Job>, u64) {
    let seen = files.len() as u64;
    let mut jobs = Vec::new();
    for (key, found) in files {
        let known = known.remove(&key);
        let settled = known
            .as_ref()
            .is_some_and(|known| same_recipe && known.stat == found.stat && !is_unread(known));
        if settled {
            report.unchanged += 1;
        } else {
            jobs.push(Job { key, found, known });
        }
    }
    (jobs, seen)
}

/// Stands for the bytes of a file that could not be read.
fn unread_hash() -> ContentHash {
    ContentHash::of(b"")
}

/// Whether a file could not be read last time. That may come right without a change of the file, by other permissions say.
fn is_unread(known: &FileState) -> bool {
    known.status == ItemStatus::Error && known.source_hash == unread_hash()
}

/// The bytes of a file, unless it has grown past `limit` since it was found.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Refusal> {
    let failed = |error: std::io::Error| Refusal::error(cause(&error));
    let file = fs_err::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(Refusal::error(
            "it grew past index.max_file_size while it was being read",
        ));
    }
    Ok(bytes)
}

/// Keys of documents whose file is gone: not those in a folder that could not be looked into.
fn vanished(known: HashMap<String, FileState>, unreadable: &[String]) -> Vec<String> {
    let unseen = |key: &String| unreadable.iter().any(|folder| key.starts_with(folder.as_str()));
    let mut gone: Vec<String> = known.into_keys().filter(|key| !unseen(key)).collect();
    gone.sort_unstable();
    gone
}

fn count(report: &mut RunReport, document: &NewDocument, known: bool) {
    match known {
        true => report.changed += 1,
        false => report.added += 1,
    }
    match document.status {
        ItemStatus::Completed => report.passages += document.passages.len() as u64,
        ItemStatus::Error => report.errors += 1,
        ItemStatus::Skipped => report.skipped += 1,
    }
}

fn without_text(key: String, stat: FileStat, hash: ContentHash, refusal: Refusal) -> NewDocument {
    NewDocument {
        key,
        stat,
        source_hash: hash,
        status: refusal.status,
        reason: Some(refusal.reason),
        kind: "unknown".into(),
        language: None,
        title: None,
        metadata: Metadata::new(),
        text: String::new(),
        passages: Vec::new(),
    }
}

/// What the system said, without the path, which the item has already.
fn cause(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => std::io::Error::from_raw_os_error(code).to_string(),
        None => error.kind().to_string(),
    }
}
