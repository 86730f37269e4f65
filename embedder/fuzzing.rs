//! Private parsers of untrusted files, exposed for the targets in `fuzz/`.

use std::path::Path;

use crate::encoder::Encoder;
use crate::encoder::aligned::AlignedVec;
use crate::encoder::format::Header;
use crate::encoder::kernels::DetectedKernel;
use crate::encoder::weights::{OwnedWeights, PackedBytes};
use crate::error::EmbedError;
use crate::model::Pooling;
use crate::tokenizer::Tokenizer;

/// Parses a `vocab.txt`.
///
/// # Errors
/// `UnusableModel`.
pub fn read_vocabulary(bytes: Vec<u8>, uncased: bool) -> Result<Tokenizer, EmbedError> {
    Tokenizer::read_vocabulary(Path::new("vocab.txt"), bytes, uncased)
}

/// Parses a `tokenizer.json`.
///
/// # Errors
/// `UnusableModel`.
pub fn read_tokenizer_json(bytes: &[u8]) -> Result<Tokenizer, EmbedError> {
    Tokenizer::read_json(Path::new("tokenizer.json"), bytes)
}

/// The ids that the model gets for a text, and the vocabulary size, which every id must stay below.
pub fn ids_for_model(tokenizer: &Tokenizer, text: &str) -> (Vec<u32>, usize) {
    (tokenizer.encode_for_model(text), tokenizer.vocabulary_size())
}

/// Length in bytes of the packed file that a header describes.
///
/// # Errors
/// `MalformedModel` if the bytes are not a header.
pub fn packed_length(header: &[u8]) -> Result<usize, EmbedError> {
    Ok(Header::parse(header)?.shape.packed_length())
}

/// Parses packed weights and encodes the first and the last token of the vocabulary.
///
/// # Errors
/// `MalformedModel` if the weights are incomplete.
pub fn run_packed(bytes: &[u8]) -> Result<Vec<f32>, EmbedError> {
    let mut owned = AlignedVec::zeroed(bytes.len());
    owned.copy_from_slice(bytes);
    let weights = OwnedWeights::read(PackedBytes::Owned(owned))?;
    let last = weights.get().header.shape.vocabulary as u32 - 1;
    let encoder = Encoder::new(weights, Pooling::Mean, DetectedKernel::fastest());
    Ok(encoder.encode(&[vec![0, last]]).concat())
}
