//! What the built-in model gives in f32: the measure of its kernels. `README.md` beside says how the vectors were made.

#[cfg(test)]
mod tests;

use crate::error::EmbedError;

/// Length of the vectors.
const DIMENSIONS: usize = 384;

/// A text with the vector that the official weights give for it in f32.
#[derive(Debug, Clone)]
pub struct ReferenceVector {
    /// The text.
    pub text: String,
    /// Its vector, at length one, good to 1.5·10⁻⁵ a value.
    pub vector: Vec<f32>,
}

/// Texts of many kinds with their vectors, to measure how near the built-in model's kernels come.
///
/// # Errors
/// `MalformedModel` if the program was built with texts and vectors that do not belong together.
pub fn reference_vectors() -> Result<Vec<ReferenceVector>, EmbedError> {
    let malformed = EmbedError::MalformedModel {
        reason: "the reference vectors are not those of the reference texts",
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
