//! The vectors: int8 codes in an append-only file and, for searching, in blocks in memory. Derived from the catalog.

mod block;
mod file;
pub(crate) mod kernels;
mod quantize;
mod scan;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use block::{Block, Vectors};
pub(crate) use file::{VectorFile, read_frames};
pub(crate) use quantize::quantize;
pub(crate) use scan::nearest;

use crate::{DocumentId, PassageId};

/// A vector as stored: one scale, 8 bits a value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Coded {
    pub passage: PassageId,
    pub document: DocumentId,
    /// What a code is worth.
    pub scale: f32,
    pub codes: Vec<i8>,
}

/// The file of a generation.
pub(crate) fn path_of(dir: &Path, generation: u64) -> PathBuf {
    dir.join("vectors").join(format!("{generation}.vec"))
}

/// An empty set of vectors of `dimensions`.
pub(crate) fn empty(dimensions: usize) -> Arc<Vectors> {
    Arc::new(Vectors::new(dimensions))
}
