//! The sections of the settings, with their defaults.

use std::net::SocketAddr;
use std::time::Duration;

use autorag_indexer::{IndexOptions, WatchMode, WatchOptions};
use autorag_store::VectorIndex;
use serde::Deserialize;

/// What concerns HTTP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerSettings {
    /// Address to listen on; loopback only.
    pub addr: SocketAddr,
    /// Largest request body, bytes.
    pub max_body_bytes: usize,
    /// Requests worked on at once; more are turned away with 503.
    pub max_concurrent: usize,
    /// Longest a request may take, milliseconds.
    pub timeout_ms: u64,
}

/// What concerns reading and cutting files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IndexSettings {
    /// Only files that match one of these globs; all where empty.
    pub include: Vec<String>,
    /// No file that matches one of these globs.
    pub exclude: Vec<String>,
    /// Whether hidden files are read.
    pub hidden: bool,
    /// Whether `.gitignore`, `.ignore` and `.autoragignore` are honoured.
    pub respect_ignore: bool,
    /// Whether symbolic links are followed.
    pub follow_links: bool,
    /// Largest file that is read, bytes.
    pub max_file_size: u64,
    /// Most tokens in a passage.
    pub chunk_tokens: usize,
    /// How much of a passage its successor repeats, percent.
    pub chunk_overlap_percent: u8,
    /// Threads that parse and embed; 0 for one a core.
    pub threads: usize,
    /// How `serve` and `mcp` notice changes.
    pub watch: Watch,
    /// Seconds between walks that find what watching has missed; 0 for none.
    pub reconcile_secs: u64,
    /// Seconds until a file that could not be read, for a reason that may pass, is tried again; then 5, 30 and 120 times as long; 0 for
    /// not at all.
    pub retry_secs: u64,
}

/// What holds for a search that does not say otherwise.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchSettings {
    /// Least score of a hit, from 0 (any) to 1.
    pub score_threshold: f32,
}

/// What concerns the search of vectors.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VectorSettings {
    /// How the nearest are found.
    pub index: VectorChoice,
}

/// How the nearest vectors are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VectorChoice {
    /// By what was measured to win at the size of the index; so far flat at all of them.
    #[default]
    Auto,
    /// By looking at every vector.
    Flat,
    /// By a graph at any size.
    #[serde(alias = "hnsw")]
    Graph,
}

/// How changes are noticed while the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watch {
    /// By events of the file system, or by polling where those cannot be had.
    Auto,
    /// By a walk every few seconds.
    Poll,
    /// Not at all: folders are read at start only.
    Off,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What concerns logs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// `error`, `warn`, `info`, `debug` or `trace` for what autorag itself says, or a filter of tracing's such as
    /// `tantivy=info,autorag_store=debug`.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

impl ServerSettings {
    /// Longest a request may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl Default for ServerSettings {
    fn default() -> Self {
        ServerSettings {
            addr: SocketAddr::from(([127, 0, 0, 1], 7878)),
            max_body_bytes: 1 << 20,
            max_concurrent: 64,
            timeout_ms: 30_000,
        }
    }
}

impl Default for IndexSettings {
    fn default() -> Self {
        let options = IndexOptions::default();
        IndexSettings {
            include: options.include,
            exclude: options.exclude,
            hidden: options.hidden,
            respect_ignore: options.respect_ignore,
            follow_links: options.follow_links,
            max_file_size: options.max_file_size,
            chunk_tokens: options.chunk_tokens,
            chunk_overlap_percent: options.chunk_overlap_percent,
            threads: 0,
            watch: Watch::Auto,
            reconcile_secs: 300,
            retry_secs: 60,
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings {
            level: "info".into(),
            format: LogFormat::Text,
        }
    }
}

impl VectorSettings {
    /// What the store needs of them.
    pub fn index(&self) -> VectorIndex {
        match self.index {
            VectorChoice::Auto => VectorIndex::Auto,
            VectorChoice::Flat => VectorIndex::Flat,
            VectorChoice::Graph => VectorIndex::Graph,
        }
    }
}

/// How much longer each wait for another attempt at a file is than the first.
const RETRIES: [u64; 4] = [1, 5, 30, 120];

impl IndexSettings {
    /// How long to wait before each attempt at a file that could not be read.
    pub fn retry_after(&self) -> Vec<Duration> {
        let waits = RETRIES.iter().filter(|_| self.retry_secs > 0);
        waits
            .map(|times| Duration::from_secs(self.retry_secs * times))
            .collect()
    }

    /// How the folders are watched; `None` where they are not.
    pub fn watch_options(&self) -> Option<WatchOptions> {
        let mode = match self.watch {
            Watch::Auto => WatchMode::Auto,
            Watch::Poll => WatchMode::Poll,
            Watch::Off => return None,
        };
        Some(WatchOptions {
            mode,
            reconcile: (self.reconcile_secs > 0).then(|| Duration::from_secs(self.reconcile_secs)),
        })
    }
}
