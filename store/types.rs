//! Documents, passages, models and counts.

use std::fmt;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::{DocumentKey, Kind, UnixMs};

/// Sequence number of the catalog. Every write transaction takes the next one.
pub type Seq = u64;

/// Number of a document. A document that is replaced gets a new number, and numbers are never reused. Bitmaps of numbers therefore
/// stay valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DocumentId(pub u32);

/// Number of a passage. Passages are immutable, and numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PassageId(pub u64);

/// BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> ContentHash {
        ContentHash(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blake3:{}", blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Position of a passage in the extracted text of its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// Offset of the first byte, from 0.
    pub start_byte: usize,
    /// Offset after the last byte.
    pub end_byte: usize,
    /// Line of the first byte, from 1.
    pub start_line: u32,
    /// Line of the last byte, from 1.
    pub end_line: u32,
    /// Page of the first byte, from 1. Only in formats with pages, slides, sheets or cells.
    pub page: Option<u32>,
}

/// File metadata that reveals most changes without reading the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Length in bytes.
    pub size: u64,
    /// Time of the last modification in nanoseconds since the Unix epoch, negative before it.
    pub modified_ns: i64,
    /// Inode number; 0 on platforms without inodes.
    pub inode: u64,
}

impl FileStat {
    /// The stat of a file with the metadata `meta`.
    pub fn of(meta: &std::fs::Metadata) -> FileStat {
        let modified_ns = meta
            .modified()
            .map_or(0, |time| match time.duration_since(UNIX_EPOCH) {
                Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
                Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
            });
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(meta);
        #[cfg(not(unix))]
        let inode = 0;
        FileStat {
            size: meta.len(),
            modified_ns,
            inode,
        }
    }
}

string_enum! {
    /// Outcome of indexing a file.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    ItemStatus "status" {
        /// Parsed and searchable.
        Completed = "completed",
        /// Could not be read or parsed, for a recorded reason.
        Error = "error",
        /// Skipped (binary, too large, unsupported …), for a recorded reason.
        Skipped = "skipped",
    }
}

/// Metadata of a document (front matter, meta tags, document properties), by name.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// A document to store. A file whose text could not be extracted is stored with a reason and without passages.
#[derive(Debug, Clone)]
pub struct NewDocument {
    /// Key of the document. It replaces a document with the same key.
    pub key: DocumentKey,
    /// Stat of the file at the time of reading.
    pub stat: FileStat,
    /// Hash of the file's bytes. A file that could not be read has a substitute chosen by the caller.
    pub source_hash: ContentHash,
    /// Outcome of indexing the file.
    pub status: ItemStatus,
    /// Why there is no text. Set for `Error` and `Skipped`.
    pub reason: Option<String>,
    /// Kind of document.
    pub kind: Kind,
    /// Programming language of source code.
    pub language: Option<String>,
    /// Title, from the format's metadata or the first heading.
    pub title: Option<String>,
    /// Metadata of the document.
    pub metadata: Metadata,
    /// Extracted text, which the spans of passages refer to.
    pub text: String,
    /// Passages, in text order.
    pub passages: Vec<NewPassage>,
}

/// A passage to store. Its text is `document.text[span]`.
#[derive(Debug, Clone)]
pub struct NewPassage {
    /// Position in the document's text.
    pub span: Span,
    /// Headings above the passage, outermost first.
    pub heading_path: Vec<String>,
    /// Hash of the model's input for this passage. Passages with equal inputs share one embedding.
    pub embed_hash: ContentHash,
}

/// A stored passage.
#[derive(Debug, Clone)]
pub struct Passage {
    /// Number of the passage.
    pub id: PassageId,
    /// Number of its document.
    pub document: DocumentId,
    /// Index among the passages of the document, from 0.
    pub ordinal: u32,
    /// Position in the document's text.
    pub span: Span,
    /// Headings above the passage, outermost first.
    pub heading_path: Vec<String>,
    /// Text of the passage: the document's text within `span`.
    pub text: String,
}

/// A stored document without its text.
#[derive(Debug, Clone)]
pub struct DocumentEntry {
    /// Number of the document.
    pub id: DocumentId,
    /// Key of the document.
    pub key: DocumentKey,
    /// Stat of the file at the time of reading.
    pub stat: FileStat,
    /// Hash of the file's bytes.
    pub source_hash: ContentHash,
    /// Outcome of indexing the file.
    pub status: ItemStatus,
    /// Why there is no text.
    pub reason: Option<String>,
    /// Kind of document.
    pub kind: Kind,
    /// Programming language of source code.
    pub language: Option<String>,
    /// Title.
    pub title: Option<String>,
    /// Metadata of the document.
    pub metadata: Metadata,
    /// Number of passages.
    pub passages: u32,
}

/// State of a file in the catalog, to compare with a new listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    /// Stat of the file at the time of reading.
    pub stat: FileStat,
    /// Hash of the file's bytes, or a substitute; see [`NewDocument::source_hash`].
    pub source_hash: ContentHash,
    /// Outcome of indexing the file.
    pub status: ItemStatus,
    /// Why there is no text.
    pub reason: Option<String>,
    /// Number of attempts to read this version of the file that failed for a transient reason.
    pub attempts: u32,
    /// Time of the next attempt. `None` if only a change of the file triggers one.
    pub retry_at: Option<UnixMs>,
}

/// A source of documents: a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRoot {
    /// First component of the keys, set if the store has several sources.
    pub name: Option<String>,
    /// Absolute path of the folder.
    pub path: PathBuf,
}

impl SourceRoot {
    /// The key of the document at `relative`, a path within the folder with `/` between components.
    pub fn key_of(&self, relative: &str) -> DocumentKey {
        match &self.name {
            Some(name) => DocumentKey::from(format!("{name}/{relative}")),
            None => DocumentKey::from(relative),
        }
    }

    /// The path of the document `key` within the folder. None for a document of another source.
    pub fn relative<'k>(&self, key: &'k DocumentKey) -> Option<&'k str> {
        match &self.name {
            Some(name) => key.as_str().strip_prefix(name.as_str())?.strip_prefix('/'),
            None => Some(key.as_str()),
        }
    }
}

/// The embedding model that vectors come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Name, such as `all-MiniLM-L6-v2`.
    pub id: String,
    /// Hash of everything that determines the vectors.
    pub version: String,
    /// Length of a vector.
    pub dimensions: usize,
    /// Pooling of token vectors into one, if known.
    #[serde(default)]
    pub pooling: Option<String>,
    /// Text that the model expects before a query.
    #[serde(default)]
    pub query_prefix: String,
    /// Text that the model expects before a passage.
    #[serde(default)]
    pub passage_prefix: String,
    /// Where to open the model, in a format that the caller defines. Empty for the built-in model.
    #[serde(default)]
    pub source: String,
}

impl ModelIdentity {
    /// Whether vectors of `other` can be compared with those of this model. Id, version and dimensions decide.
    pub fn is_same_model(&self, other: &ModelIdentity) -> bool {
        self.matches(&other.id, &other.version, other.dimensions)
    }

    /// Like [`ModelIdentity::is_same_model`], for a caller without the identity of the other model.
    pub fn matches(&self, id: &str, version: &str, dimensions: usize) -> bool {
        (self.id.as_str(), self.version.as_str(), self.dimensions) == (id, version, dimensions)
    }
}

/// Progress of re-embedding the passages with a new model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reembedding {
    /// The new model.
    pub model: ModelIdentity,
    /// Number of passages with an embedding of the new model.
    pub done: u64,
}

/// A passage without an embedding, and the parts of the model's input.
#[derive(Debug, Clone)]
pub struct PendingPassage {
    /// Number of the passage.
    pub id: PassageId,
    /// Hash of the model's input.
    pub embed_hash: ContentHash,
    /// Title of the document.
    pub title: Option<String>,
    /// Headings above the passage, outermost first.
    pub heading_path: Vec<String>,
    /// Text of the passage.
    pub text: String,
}

/// A passage found by a retriever. Scores of different retrievers are not comparable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Number of the passage.
    pub passage: PassageId,
    /// BM25 score of the lexical index, or cosine similarity of the vector index.
    pub score: f32,
}

/// Which passages match a keyword query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Matching {
    /// Passages with at least one of the keywords.
    #[default]
    Any,
    /// Passages with every keyword. Each may occur in the text, the title, the headings or the path.
    All,
}

/// Counts of a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Documents with text.
    pub documents: u64,
    /// Passages of these documents.
    pub passages: u64,
    /// Passages that have a vector.
    pub embedded: u64,
    /// Files that could not be read or parsed.
    pub errors: u64,
    /// Files that were skipped.
    pub skipped: u64,
    /// Sequence number of the snapshot.
    pub seq: Seq,
}

/// How the nearest vectors are found. Filters and deletions are exact in every case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VectorIndex {
    /// A graph from two million vectors on, a flat scan below.
    #[default]
    Auto,
    /// A flat scan of all vectors.
    Flat,
    /// A graph at any size. Searches with a filter, and searches before the graph is built, scan flat.
    #[serde(alias = "hnsw")]
    Graph,
}
