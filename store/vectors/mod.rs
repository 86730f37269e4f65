//! The vector index: int8 codes in an append-only file, and blocks of vectors in memory for searching. It can
//! be rebuilt from the catalog.

mod block;
mod codes;
mod document_rows;
mod file;
mod graph;
mod huge_pages;
pub(crate) mod kernels;
mod prefilter;
mod quantize;
mod scan;
mod sign_bits;
#[cfg(any(test, feature = "bench"))]
mod standalone;
#[cfg(test)]
mod test_support;
mod top_rows;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use block::{Block, Vectors};
pub(crate) use file::{FRAME_VECTORS, VectorFile, read_frames};
pub(crate) use graph::{BackgroundGraph, Graph, path_of as graph_path_of};
pub(crate) use quantize::quantize;
pub(crate) use scan::{nearest, nearest_by_graph};
pub(crate) use sign_bits::{SignBits, SignBitsQuery};
#[cfg(feature = "bench")]
pub use standalone::StandaloneVectors;

use crate::{DocumentId, PassageId};

/// A vector as stored: 8 bits per value and one scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct QuantizedVector<'a> {
    pub passage: PassageId,
    pub document: DocumentId,
    /// A value is its code times the scale.
    pub scale: f32,
    pub codes: &'a [i8],
}

/// Path of the vector file of a generation.
pub(crate) fn path_of(dir: &Path, generation: u64) -> PathBuf {
    dir.join("vectors").join(format!("{generation}.vec"))
}

/// An empty set of vectors.
pub(crate) fn empty(dimensions: usize) -> Arc<Vectors> {
    Arc::new(Vectors::new(dimensions, None))
}
