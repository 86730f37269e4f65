//! Measures of this machine, as ratios and percentiles of one run.
//!
//! Everything is made up from a seed, so that two runs do the same work; nothing here asserts, it only tells.

mod clusters;
mod embed;
mod filling;
mod http;
mod index;
mod plain_scan;
mod prose;
mod search;
mod timing;
mod vectors;
mod wrk;

pub use embed::{EmbedBench, embed, embed_once};
pub use index::{IndexBench, index};
pub use search::{SearchBench, search};
pub use vectors::{VectorsBench, vectors};
