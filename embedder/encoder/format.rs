//! The packed weights: what the file holds, in which order, and how a weight matrix lies in it.
//!
//! ```text
//! header (128 bytes)   magic, version, shape, BLAKE3 of everything after the header followed by the vocabulary
//! embeddings           word codes i8 [vocabulary][hidden], word scales f32 [vocabulary],
//!                      positions f32 [positions][hidden] (the token type is added in), normalization
//! layers times         query-key-value, attention output, normalization, widening, narrowing, normalization
//! ```
//!
//! Numbers are little-endian, every section begins on 64 bytes, so the file is used where it lies. A linear layer is
//! its codes, then in f32 the smoothing of each input and the scale, column sum and bias of each output; a normalization
//! is its weight, then its bias.
//!
//! Codes are symmetric per output (`weight ≈ scale · code`, code in -127..=127) and lie in panels of 64 outputs:
//! `[outputs / 64][inputs / 4][64][4]`. The innermost four are what one lane of a byte dot product takes.
//!
//! Smoothing moves the difficulty of quantization from activations, a few of which are very large, to weights, where it
//! is spread (SmoothQuant, Xiao et al., 2022, <https://arxiv.org/abs/2211.10438>): inputs are multiplied by it before they
//! are quantized, and the weights were divided by it. It halves the distance of the vectors to those of f32.

use super::shape::Shape;
use crate::error::EmbedError;

/// Outputs of a panel of weights: four vectors of sixteen sums.
pub const PANEL: usize = 64;
/// Inputs that lie together.
pub const GROUP: usize = 4;
/// Every section begins on a multiple of this: a cache line, and a vector of AVX-512.
pub const ALIGNMENT: usize = 64;
/// Length of the header.
pub const HEADER_LENGTH: usize = 128;

const MAGIC: [u8; 8] = *b"autoragW";
const VERSION: u32 = 2;
const DIGEST: usize = 64;

/// Where the weight from `input` to `output` lies in the codes of a layer of `inputs` inputs.
pub const fn code_index(output: usize, input: usize, inputs: usize) -> usize {
    (output / PANEL) * PANEL * inputs
        + (input / GROUP) * PANEL * GROUP
        + (output % PANEL) * GROUP
        + input % GROUP
}

/// The beginning of the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Header {
    /// The sizes of the model.
    pub shape: Shape,
    /// BLAKE3 of all that follows the header, then of the vocabulary: it names the model and all it depends on.
    pub digest: [u8; 32],
}

impl Header {
    /// The header as bytes.
    pub fn to_bytes(self) -> [u8; HEADER_LENGTH] {
        let Shape {
            hidden,
            feed_forward,
            layers,
            heads,
            vocabulary,
            positions,
            norm_epsilon,
        } = self.shape;
        let sizes = [hidden, feed_forward, layers, heads, vocabulary, positions, PANEL];
        let mut bytes = [0; HEADER_LENGTH];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        let mut numbers = bytes[12..DIGEST].chunks_exact_mut(4);
        for (size, place) in sizes.into_iter().zip(numbers.by_ref()) {
            place.copy_from_slice(&(size as u32).to_le_bytes());
        }
        if let Some(place) = numbers.next() {
            place.copy_from_slice(&norm_epsilon.to_le_bytes());
        }
        bytes[DIGEST..DIGEST + 32].copy_from_slice(&self.digest);
        bytes
    }

    /// Reads a header and checks that it is of this version and that its sizes can be computed. The digest is not compared
    /// with the content: that would read 23 MB at every start.
    ///
    /// # Errors
    /// `MalformedModel` if the bytes are not such a header.
    pub fn parse(bytes: &[u8]) -> Result<Self, EmbedError> {
        let malformed = |reason| EmbedError::MalformedModel { reason };
        let header: &[u8; HEADER_LENGTH] = bytes
            .first_chunk()
            .ok_or(malformed("the file ends in its header"))?;
        if header[..8] != MAGIC {
            return Err(malformed("these are not packed weights"));
        }
        let number = |place: usize| {
            let at = 8 + place * 4;
            [header[at], header[at + 1], header[at + 2], header[at + 3]]
        };
        let size = |place| u32::from_le_bytes(number(place)) as usize;
        if size(0) != VERSION as usize {
            return Err(malformed("the format has another version"));
        }
        let shape = Shape {
            hidden: size(1),
            feed_forward: size(2),
            layers: size(3),
            heads: size(4),
            vocabulary: size(5),
            positions: size(6),
            norm_epsilon: f32::from_le_bytes(number(8)),
        };
        shape.check().map_err(malformed)?;
        let mut digest = [0; 32];
        digest.copy_from_slice(&header[DIGEST..DIGEST + 32]);
        let read = Self { shape, digest };
        if read.to_bytes() != *header {
            return Err(malformed("the weights are laid out for another program"));
        }
        Ok(read)
    }

    /// The short name of these weights: the first 12 hexadecimal digits of the digest.
    pub fn version(&self) -> String {
        self.digest[..6]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    const SHAPE: Shape = Shape {
        hidden: 128,
        feed_forward: 256,
        layers: 2,
        heads: 4,
        vocabulary: 100,
        positions: 64,
        norm_epsilon: 1e-12,
    };

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let header = Header {
            shape: SHAPE,
            digest: std::array::from_fn(|i| i as u8),
        };
        assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
        assert_eq!(header.version(), "000102030405");
    }

    #[test]
    fn a_header_of_something_else_says_what_is_wrong() {
        let good = Header {
            shape: SHAPE,
            digest: [7; 32],
        }
        .to_bytes();
        for (at, flip, wrong) in [
            (0, 1, "not packed weights"),
            (8, 1, "another version"),
            (12, 1, "multiple of 64|32 or 64 wide"),
            (24, 4, "32 or 64 wide|a size is missing"),
            (36, 1, "another program"),
            (43, 0x80, "epsilon"),
            (50, 1, "another program"),
        ] {
            let mut bytes = good;
            bytes[at] ^= flip;
            let message = Header::parse(&bytes).unwrap_err().to_string();
            assert!(
                wrong.split('|').any(|wrong| message.contains(wrong)),
                "byte {at}: {message}"
            );
        }
        assert!(Header::parse(&good[..HEADER_LENGTH - 1]).is_err());
    }

    #[test]
    fn every_weight_has_a_place_of_its_own() {
        let (inputs, outputs) = (12, 2 * PANEL);
        let mut taken = vec![false; inputs * outputs];
        for output in 0..outputs {
            for input in 0..inputs {
                assert!(!std::mem::replace(
                    &mut taken[code_index(output, input, inputs)],
                    true
                ));
            }
        }
        assert!(taken.into_iter().all(|taken| taken));
    }
}
