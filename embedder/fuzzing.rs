//! The readers of files that come from elsewhere, for the fuzzers in `fuzz/`: what is private otherwise, as it is.

use std::path::Path;

use crate::encoder::Encoder;
use crate::encoder::aligned::AlignedVec;
use crate::encoder::format::Header;
use crate::encoder::weights::{OwnedWeights, PackedBytes};
use crate::error::EmbedError;
use crate::model::Pooling;
use crate::tokenizer::Tokenizer;

/// Reads a `vocab.txt`.
///
/// # Errors
/// `UnusableModel`.
pub fn read_vocabulary(bytes: Vec<u8>, uncased: bool) -> Result<Tokenizer, EmbedError> {
    Tokenizer::read_vocabulary(Path::new("vocab.txt"), bytes, uncased)
}

/// Reads a `tokenizer.json`.
///
/// # Errors
/// `UnusableModel`.
pub fn read_published(bytes: &[u8]) -> Result<Tokenizer, EmbedError> {
    Tokenizer::read_published(Path::new("tokenizer.json"), bytes)
}

/// The ids that the model is given for a text, and what they must all be below.
pub fn ids_for_model(tokenizer: &Tokenizer, text: &str) -> (Vec<u32>, usize) {
    (tokenizer.encode_for_model(text), tokenizer.vocabulary())
}

/// Length of the packed file that a header announces, in bytes.
///
/// # Errors
/// `MalformedModel` where the bytes are no header.
pub fn packed_length(header: &[u8]) -> Result<usize, EmbedError> {
    Ok(Header::parse(header)?.shape.packed_length())
}

/// Reads packed weights and runs the first and the last word of the vocabulary through them.
///
/// # Errors
/// `MalformedModel` where they are not whole.
pub fn run_packed(bytes: &[u8]) -> Result<Vec<f32>, EmbedError> {
    let mut owned = AlignedVec::zeroed(bytes.len());
    owned.copy_from_slice(bytes);
    let weights = OwnedWeights::read(PackedBytes::Owned(owned))?;
    let last = weights.get().header.shape.vocabulary as u32 - 1;
    let encoder = Encoder::new(weights, Pooling::Mean);
    Ok(encoder.encode(&[vec![0, last]]).concat())
}
