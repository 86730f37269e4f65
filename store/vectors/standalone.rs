//! A vector index without a catalog, for benchmarks at sizes where a catalog would take most of the time to
//! fill.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{
    FRAME_VECTORS, Graph, QuantizedVector, VectorFile, Vectors, nearest, nearest_by_graph, quantize,
};
use crate::{Candidate, DocumentId, DocumentSet, PassageId, StoreError};

/// Passages per synthetic document.
const PASSAGES: usize = 5;

/// Vectors in a file of their own, searched by the same code as those of a store.
///
/// Passages are numbered from 0 in the order of insertion; every five of them form a document.
pub struct StandaloneVectors {
    file: VectorFile,
    vectors: Arc<Vectors>,
    all: DocumentSet,
    graph: Option<Graph>,
}

impl StandaloneVectors {
    /// Creates an empty file at `path`, replacing any other.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path, dimensions: usize) -> Result<StandaloneVectors, StoreError> {
        let file = VectorFile::create(path, dimensions)?;
        let vectors = Arc::new(Vectors::new(dimensions, Some(file.reader()?)));
        Ok(StandaloneVectors {
            file,
            vectors,
            all: DocumentSet::default(),
            graph: None,
        })
    }

    /// Appends vectors and syncs the file.
    ///
    /// # Errors
    /// When the file cannot be written, or a vector has other dimensions.
    pub fn append(&mut self, added: &[Vec<f32>]) -> Result<(), StoreError> {
        let expected = self.vectors.dimensions;
        if let Some(other) = added.iter().find(|vector| vector.len() != expected) {
            let found = other.len();
            return Err(StoreError::Dimensions { found, expected });
        }
        let vectors = Arc::make_mut(&mut self.vectors);
        for part in added.chunks(FRAME_VECTORS) {
            let codes: Vec<(f32, Vec<i8>)> = part.iter().map(|vector| quantize(vector)).collect();
            let quantized: Vec<QuantizedVector<'_>> = (vectors.len..)
                .zip(&codes)
                .map(|(number, (scale, codes))| QuantizedVector {
                    passage: PassageId(number as u64),
                    document: DocumentId((number / PASSAGES) as u32),
                    scale: *scale,
                    codes,
                })
                .collect();
            let offsets = self.file.append(vectors.len as u64 + 1, &quantized)?;
            for (vector, offset) in quantized.iter().zip(offsets) {
                vectors.push(vector, offset);
            }
        }
        let documents = vectors.len.div_ceil(PASSAGES) as u32;
        self.all = (0..documents).map(DocumentId).collect();
        Ok(())
    }

    /// Builds the graph on `threads` threads. Later searches without a filter use it.
    pub fn build_graph(&mut self, threads: usize) {
        self.graph = Graph::build(&self.vectors, threads, &AtomicBool::new(false));
    }

    /// The `limit` nearest passages to `query`, a unit vector, among the documents of `within` or among all.
    pub fn nearest(&self, query: &[f32], within: Option<&DocumentSet>, limit: usize) -> Vec<Candidate> {
        let flat = |within| nearest(&self.vectors, query, within, limit);
        let by_graph = |graph| nearest_by_graph(&self.vectors, graph, query, &self.all, limit);
        let found = match (within, &self.graph) {
            (Some(within), _) => flat(within),
            (None, Some(graph)) => by_graph(graph).unwrap_or_else(|| flat(&self.all)),
            (None, None) => flat(&self.all),
        };
        found.into_iter().map(|(candidate, _)| candidate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_flat_filtered_and_by_graph() {
        let dir = tempfile::tempdir().unwrap();
        let mut index = StandaloneVectors::create(&dir.path().join("1.vec"), 2).unwrap();
        let angle = |number: u32| {
            let (sin, cos) = (number as f32 / 100.0).sin_cos();
            vec![sin, cos]
        };
        let all: Vec<Vec<f32>> = (0..100).map(angle).collect();
        index.append(&all).unwrap();
        let second: DocumentSet = [DocumentId(1)].into_iter().collect();
        for _ in 0..2 {
            assert_eq!(index.nearest(&all[42], None, 1)[0].passage, PassageId(42));
            assert_eq!(index.nearest(&all[42], Some(&second), 1)[0].passage, PassageId(9));
            index.build_graph(2);
        }
        assert!(index.append(&[vec![1.0]]).is_err(), "other dimensions");
    }
}
