//! Vectors in memory: full blocks shared by every snapshot, and a last one that a commit copies to add to it.

use std::sync::Arc;

use super::Coded;
use crate::{DocumentId, PassageId};

/// Vectors in a block: 1.5 MiB of codes, so that adding to the last one copies little.
pub(crate) const BLOCK: usize = 4096;

/// Some vectors, column by column.
#[derive(Debug, Clone, Default)]
pub(crate) struct Block {
    pub passages: Vec<PassageId>,
    pub documents: Vec<DocumentId>,
    pub scales: Vec<f32>,
    /// Sum of each vector's codes, which the kernels need to work with unsigned queries.
    pub sums: Vec<i32>,
    /// All codes, vector after vector.
    pub codes: Vec<i8>,
}

impl Block {
    pub(crate) fn len(&self) -> usize {
        self.passages.len()
    }

    fn push(&mut self, vector: &Coded) {
        self.passages.push(vector.passage);
        self.documents.push(vector.document);
        self.scales.push(vector.scale);
        self.sums
            .push(vector.codes.iter().map(|&code| i32::from(code)).sum());
        self.codes.extend_from_slice(&vector.codes);
    }
}

/// Every vector of a generation, up to some point of the history.
#[derive(Debug, Clone)]
pub(crate) struct Vectors {
    pub dimensions: usize,
    pub blocks: Vec<Arc<Block>>,
    pub len: usize,
}

impl Vectors {
    pub(crate) fn new(dimensions: usize) -> Vectors {
        Vectors {
            dimensions,
            blocks: Vec::new(),
            len: 0,
        }
    }

    /// Adds a vector. A snapshot that shares the last block keeps its own.
    pub(crate) fn push(&mut self, vector: &Coded) {
        if self.len.is_multiple_of(BLOCK) {
            self.blocks.push(Arc::default());
        }
        if let Some(last) = self.blocks.last_mut() {
            Arc::make_mut(last).push(vector);
            self.len += 1;
        }
    }

    /// The documents of all vectors, one entry a vector.
    pub(crate) fn documents(&self) -> impl Iterator<Item = DocumentId> {
        self.blocks
            .iter()
            .flat_map(|block| block.documents.iter().copied())
    }
}
