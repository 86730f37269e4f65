//! Vectors without a catalog, for measuring at sizes where a catalog is not what is measured.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{Coded, FRAME_VECTORS, Graph, VectorFile, Vectors, nearest, nearest_by_graph, quantize};
use crate::{Candidate, DocumentId, DocumentSet, PassageId, StoreError};

/// Passages of a document.
const PASSAGES: usize = 5;

/// Vectors of passages numbered from 0, five to a document, in a file and searched as a store searches its own.
pub struct BareVectors {
    file: VectorFile,
    vectors: Arc<Vectors>,
    all: DocumentSet,
    graph: Option<Graph>,
}

impl BareVectors {
    /// Makes an empty file at `path`, in place of any there was.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(path: &Path, dimensions: usize) -> Result<BareVectors, StoreError> {
        let file = VectorFile::create(path, dimensions)?;
        let vectors = Arc::new(Vectors::new(dimensions, Some(file.reader()?)));
        Ok(BareVectors {
            file,
            vectors,
            all: DocumentSet::default(),
            graph: None,
        })
    }

    /// Adds vectors and makes them durable.
    ///
    /// # Errors
    /// When the file cannot be written, or a vector is of other dimensions.
    pub fn append(&mut self, added: &[Vec<f32>]) -> Result<(), StoreError> {
        let expected = self.vectors.dimensions;
        if let Some(other) = added.iter().find(|vector| vector.len() != expected) {
            let found = other.len();
            return Err(StoreError::Dimensions { found, expected });
        }
        let vectors = Arc::make_mut(&mut self.vectors);
        for part in added.chunks(FRAME_VECTORS) {
            let quantized: Vec<(f32, Vec<i8>)> = part.iter().map(|vector| quantize(vector)).collect();
            let coded: Vec<Coded<'_>> = (vectors.len..)
                .zip(&quantized)
                .map(|(number, (scale, codes))| Coded {
                    passage: PassageId(number as u64),
                    document: DocumentId((number / PASSAGES) as u32),
                    scale: *scale,
                    codes,
                })
                .collect();
            let places = self.file.append(vectors.len as u64 + 1, &coded)?;
            for (vector, at) in coded.iter().zip(places) {
                vectors.push(vector, at);
            }
        }
        let documents = vectors.len.div_ceil(PASSAGES) as u32;
        self.all = (0..documents).map(DocumentId).collect();
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.vectors.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.vectors.len == 0
    }

    /// Builds the graph on so many threads; searches without a filter use it from here on.
    pub fn build_graph(&mut self, threads: usize) {
        self.graph = Graph::build(&self.vectors, threads, &AtomicBool::new(false));
    }

    /// The `limit` nearest to `query`, a vector of length 1, of documents `within`, or of all.
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
    fn finds_with_and_without_a_graph() {
        let dir = tempfile::tempdir().unwrap();
        let mut bare = BareVectors::create(&dir.path().join("1.vec"), 2).unwrap();
        let angle = |number: u32| {
            let (sin, cos) = (number as f32 / 100.0).sin_cos();
            vec![sin, cos]
        };
        let all: Vec<Vec<f32>> = (0..100).map(angle).collect();
        bare.append(&all).unwrap();
        let second: DocumentSet = [DocumentId(1)].into_iter().collect();
        for _ in 0..2 {
            assert_eq!(bare.nearest(&all[42], None, 1)[0].passage, PassageId(42));
            assert_eq!(bare.nearest(&all[42], Some(&second), 1)[0].passage, PassageId(9));
            bare.build_graph(2);
        }
        assert!(bare.append(&[vec![1.0]]).is_err());
        assert_eq!(bare.len(), 100);
    }
}
