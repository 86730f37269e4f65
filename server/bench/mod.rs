//! `autorag bench`: latencies and rates of this machine. Nothing here asserts.
//!
//! All data is generated from fixed seeds, and therefore two runs do the same work. Benchmarks for developers are
//! in `bench/`.

mod embed;
mod fill;
mod http;
mod index;
mod prose;
mod search;
mod serve_command;
mod timing;

pub use embed::{EmbedBench, embed, embed_once};
pub use index::{IndexBench, index};
pub use search::{SearchBench, search};
