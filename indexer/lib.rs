//! From folders to a filled store: a walk that honours ignore files, parsers, chunking in the model's own tokens, and a
//! pipeline that makes text searchable first and embeds it after.
//!
//! [`Indexer::run`] brings a store up to date. A second run touches only what has changed. [`Watcher`] says when one is due.

mod chunk;
mod compare;
mod embedding;
mod error;
mod given;
mod input;
mod journal;
mod options;
mod parse;
mod pipeline;
mod progress;
mod racy;
mod reading;
mod report;
mod retry;
mod source;
mod watch;
mod worker;

pub use chunk::{Chunker, Piece};
pub use error::IndexError;
pub use given::GivenDocument;
pub use input::embedding_input;
pub use journal::{Journal, end_held};
pub use options::IndexOptions;
pub use parse::{Heading, Parsed, Refusal, Structure, parse};
pub use pipeline::Indexer;
pub use progress::{Cancel, Halt, Progress, ProgressSnapshot, Stage};
pub use report::{RunReport, Unembedded};
pub use watch::{Reason, WatchMode, WatchOptions, Watcher};
pub use worker::{ParserCommand, serve_parser};
