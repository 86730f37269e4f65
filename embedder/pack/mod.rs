//! Weights of 32 or 16 bits to packed ones of 8: what turns a published model into one that the encoder runs.
//!
//! Layer by layer: each is read, shown what texts of random words bring to it, and written, so that memory holds one layer in
//! f32 and never the model.

mod calibrate;
mod checkpoint;
mod quantize;
mod reference;

use crate::encoder::aligned::AlignedVec;
use crate::encoder::format::{HEADER_LENGTH, Header};
use crate::encoder::shape::Shape;
use crate::error::EmbedError;

pub use calibrate::Alphabet;
pub use checkpoint::Checkpoint;
pub use reference::Reference;

/// Packs a model, calibrated with texts of random words of `alphabet`. The digest in the header is of all that follows it and then of
/// `vocabulary`. `each_layer` is told the number of every layer that is done.
///
/// # Errors
/// `UnusableModel` where a tensor is missing or has another shape.
pub fn pack(
    checkpoint: &Checkpoint,
    shape: Shape,
    alphabet: &Alphabet,
    vocabulary: &[u8],
    mut each_layer: impl FnMut(usize),
) -> Result<AlignedVec<u8>, EmbedError> {
    let texts = alphabet.texts(shape.positions);
    let mut reference = Reference::start(checkpoint, shape, &texts)?;
    checkpoint.check_length(shape.packed_length())?;
    let mut file = quantize::Sections::new(shape);
    file.embeddings(checkpoint)?;
    for number in 0..shape.layers {
        let layer = reference::Layer::read(checkpoint, shape, number)?;
        let largest = reference.pass(&layer);
        file.layer(&layer, &largest);
        each_layer(number + 1);
    }
    let mut bytes = file.finish();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&bytes[HEADER_LENGTH..]).update(vocabulary);
    let header = Header {
        shape,
        digest: hasher.finalize().into(),
    };
    bytes[..HEADER_LENGTH].copy_from_slice(&header.to_bytes());
    Ok(bytes)
}
