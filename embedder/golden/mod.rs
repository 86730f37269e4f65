//! Reference vectors of the built-in model in f32, to check its kernels. `README.md` in this folder explains how they are made.

#[cfg(test)]
mod tests;

use crate::error::EmbedError;

/// Length of the vectors.
const DIMENSIONS: usize = 384;

/// A text and its vector, computed with the official weights in f32.
#[derive(Debug, Clone)]
pub struct ReferenceVector {
    /// The text.
    pub text: String,
    /// The vector, of length one. Each value is accurate to 1.5·10⁻⁵.
    pub vector: Vec<f32>,
}

/// Texts of many kinds with their reference vectors.
///
/// # Errors
/// `MalformedModel` if the program was built with texts and vectors that do not match.
pub fn reference_vectors() -> Result<Vec<ReferenceVector>, EmbedError> {
    let malformed = EmbedError::MalformedModel {
        reason: "the reference vectors do not match the reference texts",
    };
    let texts: Vec<String> =
        serde_json::from_str(include_str!("texts.json")).map_err(|_| malformed.clone())?;
    let numbers = include_bytes!("vectors.i16").as_chunks().0.iter();
    let numbers: Vec<f32> = numbers
        .map(|two| f32::from(i16::from_le_bytes(*two)) / f32::from(i16::MAX))
        .collect();
    let vectors = numbers.chunks_exact(DIMENSIONS);
    if vectors.len() != texts.len() {
        return Err(malformed);
    }
    Ok(texts
        .into_iter()
        .zip(vectors)
        .map(|(text, vector)| ReferenceVector {
            text,
            vector: vector.to_vec(),
        })
        .collect())
}
