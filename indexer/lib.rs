//! Fills a store from folders.
//!
//! A walk honours ignore files, parsers extract text, and a chunker cuts the text into passages measured in the
//! model's tokens. Passages are searchable by keyword at once; embeddings follow.
//!
//! [`Indexer::run`] updates a store: a second run processes only what has changed. [`Watcher`] says when a run
//! is due, and [`Journal`] records runs as jobs.

mod chunk;
mod compare;
mod context;
mod descriptors;
mod embedding;
mod error;
mod input;
mod journal;
mod options;
mod parse;
mod pipeline;
mod progress;
mod pushed;
mod racy;
mod reading;
mod report;
mod retry;
mod source;
mod watch;
mod worker;

pub use chunk::{Chunker, PassageSpan};
pub use context::RunContext;
pub use error::IndexError;
pub use input::embedding_input;
pub use journal::{Journal, cancel_paused_job};
pub use options::{IndexOptions, MAX_CHUNK_OVERLAP_PERCENT};
pub use parse::{Heading, Parsed, ReasonCode, Refusal, Structure, parse};
pub use pipeline::Indexer;
pub use progress::{Cancel, Halt, Progress, ProgressSnapshot, Stage};
pub use pushed::PushedDocument;
pub use report::{MissingEmbeddings, RunReport};
pub use watch::{WalkReason, WatchMode, WatchOptions, Watcher};
pub use worker::{ParserCommand, serve_parser};
