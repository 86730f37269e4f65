//! The nouns of a corpus: documents, passages, their spans and their states.

use std::fmt;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::{DocumentKey, Kind, UnixMs};

/// Position in the catalog's history. Every writing transaction takes the next one.
pub type Seq = u64;

/// A document's number. Never reused, so that a bitmap of them stays valid across replacements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DocumentId(pub u32);

/// A passage's number. Passages are immutable and their numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PassageId(pub u64);

/// BLAKE3 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Hashes `bytes`.
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

/// Where a passage lies in its document's extracted text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// First byte, counted from 0.
    pub start_byte: usize,
    /// One past the last byte.
    pub end_byte: usize,
    /// Line of the first byte, counted from 1.
    pub start_line: u32,
    /// Line of the last byte, counted from 1.
    pub end_line: u32,
    /// Page of the first byte, counted from 1, in formats that have pages.
    pub page: Option<u32>,
}

/// What the file system says of a file; cheap to compare before any hash is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// Length in bytes.
    pub size: u64,
    /// Last modification, nanoseconds since the Unix epoch (negative before it).
    pub modified_ns: i64,
    /// Inode number, 0 where the platform has none.
    pub inode: u64,
}

impl FileStat {
    /// What `meta` says.
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
    /// What became of a file.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    ItemStatus "status" {
        /// Parsed and searchable.
        Completed = "completed",
        /// Could not be read or parsed; the reason says why.
        Error = "error",
        /// Left out on purpose (binary, too large, unsupported …); the reason says why.
        Skipped = "skipped",
    }
}

/// Values that a document brings along (front matter, meta tags), by name.
pub type Metadata = serde_json::Map<String, serde_json::Value>;

/// A document on its way into the store. An item that gave no text has no passages, and a reason.
#[derive(Debug, Clone)]
pub struct NewDocument {
    /// Path within the source, with `/` between components.
    pub key: DocumentKey,
    /// What the file system said when the bytes were read.
    pub stat: FileStat,
    /// Hash of the file's bytes; of nothing where it could not be read.
    pub source_hash: ContentHash,
    /// Whether there is text, and if not, of what kind the obstacle is.
    pub status: ItemStatus,
    /// Why there is no text, for `Error` and `Skipped`.
    pub reason: Option<String>,
    /// Kind of document: `markdown`, `html`, `text`, `code` …
    pub kind: Kind,
    /// Programming language of code.
    pub language: Option<String>,
    /// Title, where the format or its first heading has one.
    pub title: Option<String>,
    /// Front matter and the like.
    pub metadata: Metadata,
    /// Extracted text: what spans count in.
    pub text: String,
    /// Passages in the order of the text.
    pub passages: Vec<NewPassage>,
}

/// A passage on its way into the store. Its text is `document.text[span]`.
#[derive(Debug, Clone)]
pub struct NewPassage {
    /// Where it lies in the document's text.
    pub span: Span,
    /// Headings above it, outermost first.
    pub heading_path: Vec<String>,
    /// Hash of exactly the text the model is to see for it.
    pub embed_hash: ContentHash,
}

/// A passage as stored.
#[derive(Debug, Clone)]
pub struct Passage {
    /// Its number.
    pub id: PassageId,
    /// Its document's number.
    pub document: DocumentId,
    /// Place among the document's passages, from 0.
    pub ordinal: u32,
    /// Where it lies in the document's text.
    pub span: Span,
    /// Headings above it, outermost first.
    pub heading_path: Vec<String>,
    /// Its text, equal to the document's text in `span`.
    pub text: String,
}

/// A document as listed: everything but its text.
#[derive(Debug, Clone)]
pub struct DocumentEntry {
    /// Its number.
    pub id: DocumentId,
    /// Path within the source.
    pub key: DocumentKey,
    /// What the file system said when it was read.
    pub stat: FileStat,
    /// Hash of the file's bytes.
    pub source_hash: ContentHash,
    /// What became of it.
    pub status: ItemStatus,
    /// Why it has no text.
    pub reason: Option<String>,
    /// Kind of document.
    pub kind: Kind,
    /// Programming language of code.
    pub language: Option<String>,
    /// Title.
    pub title: Option<String>,
    /// Front matter and the like.
    pub metadata: Metadata,
    /// How many passages it was cut into.
    pub passages: u32,
}

/// What the catalog remembers of a file, to compare a walk with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    /// What the file system said.
    pub stat: FileStat,
    /// Hash of the bytes.
    pub source_hash: ContentHash,
    /// What became of it.
    pub status: ItemStatus,
    /// Why it has no text.
    pub reason: Option<String>,
    /// How often it could not be read as it is, for a reason that may pass.
    pub attempts: u32,
    /// When it is to be tried again though it has not changed, milliseconds since the Unix epoch.
    pub retry_at: Option<UnixMs>,
}

/// A folder that documents come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRoot {
    /// First component of its keys, where a store has several sources.
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

/// Which model the vectors come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Name, such as `all-MiniLM-L6-v2`.
    pub id: String,
    /// Hash of all that its vectors depend on.
    pub version: String,
    /// Length of a vector.
    pub dimensions: usize,
    /// How the vectors of tokens become one, where that is known.
    #[serde(default)]
    pub pooling: Option<String>,
    /// What is put before a question.
    #[serde(default)]
    pub query_prefix: String,
    /// What is put before a passage.
    #[serde(default)]
    pub passage_prefix: String,
    /// Where it can be opened, in the words of whoever opens it; empty where it is part of the program.
    #[serde(default)]
    pub source: String,
}

impl ModelIdentity {
    /// Whether vectors of `other` can be compared with those of this model. Only what decides that is compared.
    pub fn is_same_model(&self, other: &ModelIdentity) -> bool {
        self.matches(&other.id, &other.version, other.dimensions)
    }

    /// [`ModelIdentity::is_same_model`] for a model of which only these properties are at hand.
    pub fn matches(&self, id: &str, version: &str, dimensions: usize) -> bool {
        (self.id.as_str(), self.version.as_str(), self.dimensions) == (id, version, dimensions)
    }
}

/// How far the embeddings of a model are that is to take another's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reembedding {
    /// The model that is to serve.
    pub model: ModelIdentity,
    /// Passages that have their embedding of it.
    pub done: u64,
}

/// A passage that has no embedding yet, with what its embedding is made of.
#[derive(Debug, Clone)]
pub struct PendingPassage {
    /// Its number.
    pub id: PassageId,
    /// Hash of the text the model is to see.
    pub embed_hash: ContentHash,
    /// Its document's title.
    pub title: Option<String>,
    /// Headings above it.
    pub heading_path: Vec<String>,
    /// Its text.
    pub text: String,
}

/// A passage that a retriever proposes. The score's scale is the retriever's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Which passage.
    pub passage: PassageId,
    /// BM25 for the lexical index, cosine for the vectors.
    pub score: f32,
}

/// Which passages words propose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Matching {
    /// Those with any of the words.
    #[default]
    Any,
    /// Those with all of them, wherever in a passage, its title, headings or path.
    All,
}

/// What a snapshot holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Documents with text.
    pub documents: u64,
    /// Their passages.
    pub passages: u64,
    /// Passages that have a vector.
    pub embedded: u64,
    /// Files that could not be read or parsed.
    pub errors: u64,
    /// Files left out on purpose.
    pub skipped: u64,
    /// Catalog position of the snapshot.
    pub seq: Seq,
}

/// How the nearest vectors are found. Filters and deletions are exact either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VectorIndex {
    /// By a graph from two million vectors on, flat below.
    #[default]
    Auto,
    /// By looking at every vector.
    Flat,
    /// By a graph at any size. Until it is built, and under a filter, flat.
    #[serde(alias = "hnsw")]
    Graph,
}
