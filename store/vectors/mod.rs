//! The vectors: int8 codes in an append-only file and, for searching, blocks of them with their signs. Derived from the catalog.

mod block;
mod codes;
mod file;
mod gathered;
mod graph;
pub(crate) mod kernels;
mod prefilter;
mod quantize;
mod rows;
mod scan;
mod shortlist;
mod signs;
#[cfg(any(test, feature = "bench"))]
mod standalone;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use block::{Block, Vectors};
pub(crate) use file::{FRAME_VECTORS, VectorFile, read_frames};
pub(crate) use graph::{BackgroundGraph, Graph, path_of as graph_path_of};
pub(crate) use quantize::quantize;
pub(crate) use scan::{nearest, nearest_by_graph};
pub(crate) use signs::{SignQuery, Signs};
#[cfg(feature = "bench")]
pub use standalone::StandaloneVectors;

use crate::{DocumentId, PassageId};

/// A vector as stored: one scale, 8 bits a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct QuantizedVector<'a> {
    pub passage: PassageId,
    pub document: DocumentId,
    /// What a code is worth.
    pub scale: f32,
    pub codes: &'a [i8],
}

/// The file of a generation.
pub(crate) fn path_of(dir: &Path, generation: u64) -> PathBuf {
    dir.join("vectors").join(format!("{generation}.vec"))
}

/// An empty set of vectors of `dimensions`.
pub(crate) fn empty(dimensions: usize) -> Arc<Vectors> {
    Arc::new(Vectors::new(dimensions, None))
}
