//! The encoder's view of the packed weights: slices into the file, without copies or conversions.

use std::ops::Deref;

use self_cell::self_cell;

use crate::encoder::aligned::AlignedVec;
use crate::encoder::format::{ALIGNMENT, HEADER_LENGTH, Header};
use crate::encoder::shape::Shape;
use crate::error::EmbedError;

/// A linear layer: `y = scale · (codes · (smoothing · x)) + bias` for each output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linear<'w> {
    pub(crate) inputs: usize,
    /// Panels of 64 outputs, see [`crate::encoder::format`].
    pub(crate) codes: &'w [i8],
    /// The factor of each input before quantization.
    pub(crate) smoothing: &'w [f32],
    pub(crate) scale: &'w [f32],
    /// The sum of each output's codes. Multiplied by the offset of the quantized input, it corrects the product for that offset.
    pub(crate) column_sum: &'w [f32],
    pub(crate) bias: &'w [f32],
}

/// The learned scale and shift of a layer normalization.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Norm<'w> {
    pub(crate) weight: &'w [f32],
    pub(crate) bias: &'w [f32],
    /// Added to the variance.
    pub(crate) epsilon: f32,
}

/// The embedding tables, which turn token ids into the input of the first layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Embeddings<'w> {
    pub(crate) word_codes: &'w [i8],
    pub(crate) word_scales: &'w [f32],
    pub(crate) positions: &'w [f32],
    pub(crate) norm: Norm<'w>,
}

/// One encoder layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer<'w> {
    pub(crate) query_key_value: Linear<'w>,
    pub(crate) attention_output: Linear<'w>,
    pub(crate) attention_norm: Norm<'w>,
    pub(crate) widen: Linear<'w>,
    pub(crate) narrow: Linear<'w>,
    pub(crate) feed_forward_norm: Norm<'w>,
}

/// The whole model.
#[derive(Debug)]
pub(crate) struct Weights<'w> {
    pub(crate) header: Header,
    pub(crate) embeddings: Embeddings<'w>,
    pub(crate) layers: Vec<Layer<'w>>,
}

impl<'w> Weights<'w> {
    /// Parses a packed file. `bytes` must be aligned to 64 bytes.
    pub(crate) fn read(bytes: &'w [u8]) -> Result<Self, EmbedError> {
        let header = Header::parse(bytes)?;
        let shape = header.shape;
        let mut sections = Sections {
            bytes,
            at: HEADER_LENGTH,
            shape,
        };
        let embeddings = Embeddings {
            word_codes: sections.take(shape.vocabulary * shape.hidden)?,
            word_scales: sections.take(shape.vocabulary)?,
            positions: sections.take(shape.positions * shape.hidden)?,
            norm: sections.norm()?,
        };
        let layers = (0..shape.layers)
            .map(|_| sections.layer())
            .collect::<Result<_, _>>()?;
        if sections.at != bytes.len() {
            return Err(EmbedError::MalformedModel {
                reason: "the file has bytes after the last layer",
            });
        }
        Ok(Self {
            header,
            embeddings,
            layers,
        })
    }
}

/// A packed file in memory.
pub(crate) enum PackedBytes {
    /// Compiled into the program.
    BuiltIn(&'static [u8]),
    /// Read from a file, or packed by this process.
    Owned(AlignedVec<u8>),
}

impl Deref for PackedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            PackedBytes::BuiltIn(bytes) => bytes,
            PackedBytes::Owned(bytes) => bytes,
        }
    }
}

self_cell!(
    /// Weights together with the bytes that they borrow.
    pub(crate) struct OwnedWeights {
        owner: PackedBytes,
        #[covariant]
        dependent: Weights,
    }
);

impl OwnedWeights {
    /// Parses a packed file.
    pub(crate) fn read(bytes: PackedBytes) -> Result<Self, EmbedError> {
        Self::try_new(bytes, |bytes| Weights::read(bytes))
    }

    pub(crate) fn get(&self) -> &Weights<'_> {
        self.borrow_dependent()
    }
}

/// Reads consecutive sections.
struct Sections<'w> {
    bytes: &'w [u8],
    at: usize,
    shape: Shape,
}

impl<'w> Sections<'w> {
    fn take<T: bytemuck::Pod>(&mut self, count: usize) -> Result<&'w [T], EmbedError> {
        let length = count * size_of::<T>();
        let section = self
            .bytes
            .get(self.at..self.at + length)
            .ok_or(EmbedError::MalformedModel {
                reason: "the file is too short",
            })?;
        if !(section.as_ptr() as usize).is_multiple_of(ALIGNMENT) {
            return Err(EmbedError::MalformedModel {
                reason: "the weights are not aligned to 64 bytes",
            });
        }
        self.at = (self.at + length).next_multiple_of(ALIGNMENT);
        bytemuck::try_cast_slice(section).map_err(|_| EmbedError::MalformedModel {
            reason: "a section has an invalid length",
        })
    }

    fn linear(&mut self, inputs: usize, outputs: usize) -> Result<Linear<'w>, EmbedError> {
        Ok(Linear {
            inputs,
            codes: self.take(inputs * outputs)?,
            smoothing: self.take(inputs)?,
            scale: self.take(outputs)?,
            column_sum: self.take(outputs)?,
            bias: self.take(outputs)?,
        })
    }

    fn norm(&mut self) -> Result<Norm<'w>, EmbedError> {
        Ok(Norm {
            weight: self.take(self.shape.hidden)?,
            bias: self.take(self.shape.hidden)?,
            epsilon: self.shape.norm_epsilon,
        })
    }

    fn layer(&mut self) -> Result<Layer<'w>, EmbedError> {
        let Shape {
            hidden, feed_forward, ..
        } = self.shape;
        Ok(Layer {
            query_key_value: self.linear(hidden, 3 * hidden)?,
            attention_output: self.linear(hidden, hidden)?,
            attention_norm: self.norm()?,
            widen: self.linear(hidden, feed_forward)?,
            narrow: self.linear(feed_forward, hidden)?,
            feed_forward_norm: self.norm()?,
        })
    }
}

#[cfg(target_endian = "big")]
compile_error!("the packed weights are little-endian and used in place");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;
    use crate::encoder::aligned::AlignedVec;

    fn reason(bytes: &[u8]) -> &'static str {
        match Weights::read(bytes) {
            Err(EmbedError::MalformedModel { reason }) => reason,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn a_file_of_wrong_length_or_alignment_is_refused() {
        let packed = include_bytes!("../../data/model/all-MiniLM-L6-v2/weights.bin");
        let mut bytes = AlignedVec::<u8>::zeroed(packed.len() + ALIGNMENT);
        bytes[..packed.len()].copy_from_slice(packed);
        let read = Weights::read(&bytes[..packed.len()]).unwrap();
        assert_eq!(read.header.shape.packed_length(), packed.len());
        assert_eq!(reason(&bytes[..packed.len() - 1]), "the file is too short");
        assert_eq!(reason(&bytes), "the file has bytes after the last layer");
        bytes.copy_within(0..packed.len(), 4);
        assert_eq!(
            reason(&bytes[4..packed.len() + 4]),
            "the weights are not aligned to 64 bytes"
        );
    }
}
