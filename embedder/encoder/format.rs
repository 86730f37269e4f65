//! File format of the packed weights.
//!
//! ```text
//! header (128 bytes)   magic, version, shape, BLAKE3 of everything after the header followed by the vocabulary
//! embeddings           word codes i8 [vocabulary][hidden], word scales f32 [vocabulary],
//!                      positions f32 [positions][hidden] (the token type is added in), normalization
//! layers times         query-key-value, attention output, normalization, widening, narrowing, normalization
//! ```
//!
//! Numbers are little-endian and every section is aligned to 64 bytes, so the file is used in place. A linear layer consists of
//! its codes, then in f32 one smoothing factor for each input, then a scale, a column sum and a bias for each output. A
//! normalization consists of its weight and its bias.
//!
//! Codes are quantized symmetrically per output (`weight ≈ scale · code`, code in -127..=127). They are stored in panels of 64
//! outputs: `[outputs / 64][inputs / 4][64][4]`. The innermost four codes feed one lane of a byte dot product.
//!
//! Smoothing shifts quantization error from the activations, a few of which are very large, to the weights, where it is spread
//! evenly (SmoothQuant, Xiao et al., 2022, <https://arxiv.org/abs/2211.10438>). Inputs are multiplied by the smoothing factors
//! before quantization, and the packed weights are already divided by them. This halves the distance of the vectors to f32.

use super::shape::Shape;
use crate::error::EmbedError;

/// Outputs per panel: four vectors of sixteen sums.
pub const PANEL: usize = 64;
/// Consecutive inputs of one output that are stored together.
pub const GROUP: usize = 4;
/// Alignment of every section in bytes: a cache line, and an AVX-512 vector.
pub const ALIGNMENT: usize = 64;
/// Length of the header in bytes.
pub const HEADER_LENGTH: usize = 128;

const MAGIC: [u8; 8] = *b"autoragW";
const VERSION: u32 = 2;
/// Offset of the digest in the header.
const DIGEST: usize = 64;

/// Index of the weight from `input` to `output` in the codes of a layer with `inputs` inputs.
pub const fn code_index(output: usize, input: usize, inputs: usize) -> usize {
    (output / PANEL) * PANEL * inputs
        + (input / GROUP) * PANEL * GROUP
        + (output % PANEL) * GROUP
        + input % GROUP
}

/// The header of the file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Header {
    /// The sizes of the model.
    pub shape: Shape,
    /// BLAKE3 of everything after the header, followed by the vocabulary. Identifies the model.
    pub digest: [u8; 32],
}

impl Header {
    /// Serializes the header.
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

    /// Parses a header, and checks its version and its sizes. The digest is not verified, because that would read 23 MB at every
    /// start.
    ///
    /// # Errors
    /// `MalformedModel` if the bytes are not a header of this version.
    pub fn parse(bytes: &[u8]) -> Result<Self, EmbedError> {
        let malformed = |reason| EmbedError::MalformedModel { reason };
        let header: &[u8; HEADER_LENGTH] = bytes
            .first_chunk()
            .ok_or(malformed("the file ends within its header"))?;
        if header[..8] != MAGIC {
            return Err(malformed("the file does not contain packed weights"));
        }
        let number = |place: usize| {
            let at = 8 + place * 4;
            [header[at], header[at + 1], header[at + 2], header[at + 3]]
        };
        let size = |place| u32::from_le_bytes(number(place)) as usize;
        if size(0) != VERSION as usize {
            return Err(malformed("the file has another format version"));
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
        let parsed = Self { shape, digest };
        // Also catches another panel size and nonzero padding.
        if parsed.to_bytes() != *header {
            return Err(malformed("the weights have another layout"));
        }
        Ok(parsed)
    }

    /// The version of these weights: the first 12 hexadecimal digits of the digest.
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
    fn a_header_survives_a_round_trip() {
        let header = Header {
            shape: SHAPE,
            digest: std::array::from_fn(|i| i as u8),
        };
        assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
        assert_eq!(header.version(), "000102030405");
    }

    #[test]
    fn the_error_for_an_invalid_header_names_the_problem() {
        let good = Header {
            shape: SHAPE,
            digest: [7; 32],
        }
        .to_bytes();
        for (at, flip, wrong) in [
            (0, 1, "does not contain packed weights"),
            (8, 1, "another format version"),
            (12, 1, "multiple of 64|32 or 64 wide"),
            (24, 4, "32 or 64 wide|a size is zero"),
            (36, 1, "another layout"),
            (43, 0x80, "epsilon"),
            (50, 1, "another layout"),
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
    fn every_weight_has_its_own_index() {
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
