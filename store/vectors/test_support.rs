//! Random vectors for tests.

use super::{QuantizedVector, Vectors, quantize};
use crate::{DocumentId, DocumentSet, PassageId};

/// Passages per document.
pub(super) const PASSAGES: usize = 2;

/// A vector of values in [-1, 1).
pub(super) fn random_vector(rng: &mut fastrand::Rng, dimensions: usize) -> Vec<f32> {
    (0..dimensions).map(|_| rng.f32() * 2.0 - 1.0).collect()
}

/// A random vector of length 1.
pub(super) fn unit_vector(rng: &mut fastrand::Rng, dimensions: usize) -> Vec<f32> {
    normalize(random_vector(rng, dimensions))
}

pub(super) fn normalize(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.into_iter().map(|value| value / length).collect()
}

/// Appends a vector as the next passage.
pub(super) fn push(vectors: &mut Vectors, vector: &[f32]) {
    let (scale, codes) = quantize(vector);
    push_codes(vectors, scale, &codes);
}

/// Appends quantized values as the next passage.
pub(super) fn push_codes(vectors: &mut Vectors, scale: f32, codes: &[i8]) {
    let number = vectors.len;
    let vector = QuantizedVector {
        passage: PassageId(number as u64),
        document: DocumentId((number / PASSAGES) as u32),
        scale,
        codes,
    };
    vectors.push(&vector, 0);
}

/// The documents of `vectors` that `keep` selects by number.
pub(super) fn documents(vectors: &Vectors, keep: impl Fn(u32) -> bool) -> DocumentSet {
    (0..vectors.len.div_ceil(PASSAGES) as u32)
        .filter(|&id| keep(id))
        .map(DocumentId)
        .collect()
}
