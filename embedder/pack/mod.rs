//! Quantizes the f32, f16 or bf16 weights of a published model to the packed int8 weights of the encoder.
//!
//! Works layer by layer: reads a layer, calibrates it with texts of random words, and writes it. So memory holds only one layer in f32,
//! never the whole model.

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

/// Packs a model, calibrated with random texts from `alphabet`.
///
/// The digest in the header covers everything after the header, followed by `vocabulary`. `on_layer` gets the number of each finished
/// layer, from 1.
///
/// # Errors
/// `UnusableModel` if a tensor is missing or has another shape.
pub fn pack(
    checkpoint: &Checkpoint,
    shape: Shape,
    alphabet: &Alphabet,
    vocabulary: &[u8],
    mut on_layer: impl FnMut(usize),
) -> Result<AlignedVec<u8>, EmbedError> {
    let texts = alphabet.texts(shape.positions);
    let mut reference = Reference::start(checkpoint, shape, &texts)?;
    checkpoint.check_length(shape.packed_length())?;
    let mut file = quantize::Sections::new(shape);
    file.embeddings(checkpoint)?;
    for number in 0..shape.layers {
        let layer = reference::Layer::read(checkpoint, shape, number)?;
        let ranges = reference.forward(&layer);
        file.layer(&layer, &ranges);
        on_layer(number + 1);
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
