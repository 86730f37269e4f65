//! The packed weights: what the file holds, in which order, and how a weight matrix lies in it.
//!
//! ```text
//! header (128 bytes)   magic, version, shape, BLAKE3 of everything after the header followed by the vocabulary
//! embeddings           word codes i8 [VOCABULARY][HIDDEN], word scales f32 [VOCABULARY],
//!                      positions f32 [POSITIONS][HIDDEN] (the token type is added in), normalisation
//! LAYERS times         query-key-value, attention output, normalisation, widening, narrowing, normalisation
//! ```
//!
//! Numbers are little-endian, every section begins on 64 bytes, so the file is used where it lies. A linear layer is
//! its codes, then in f32 the smoothing of each input and the scale, column sum and bias of each output; a normalisation
//! is its weight, then its bias.
//!
//! Codes are symmetric per output (`weight ≈ scale · code`, code in -127..=127) and lie in panels of 64 outputs:
//! `[outputs / 64][inputs / 4][64][4]`. The innermost four are what one lane of a byte dot product takes.
//!
//! Smoothing moves the difficulty of quantisation from activations, a few of which are very large, to weights, where it
//! is spread (SmoothQuant, Xiao et al., 2022, <https://arxiv.org/abs/2211.10438>): inputs are multiplied by it before they
//! are quantised, and the weights were divided by it. It halves the distance of the vectors to those of f32.

use crate::error::EmbedError;

/// Width of a token's vector, and of the embedding.
pub const HIDDEN: usize = 384;
/// Width inside the feed-forward part.
pub const FEED_FORWARD: usize = 1536;
/// Encoder layers.
pub const LAYERS: usize = 6;
/// Attention heads of a layer.
pub const HEADS: usize = 12;
/// Width of one head.
pub const HEAD: usize = HIDDEN / HEADS;
/// Pieces of the vocabulary.
pub const VOCABULARY: usize = 30_522;
/// Tokens the model reads, with the two special ones. It was built for 512 and trained on at most this many.
pub const POSITIONS: usize = 256;

/// Outputs of a panel of weights: four vectors of sixteen sums.
pub const PANEL: usize = 64;
/// Inputs that lie together.
pub const GROUP: usize = 4;
/// Outputs of the query-key-value layer that belong to two heads: 64 of each, in this order.
pub const HEAD_PAIR: usize = 3 * PANEL;

/// Every section begins on a multiple of this: a cache line, and a vector of AVX-512.
pub const ALIGNMENT: usize = 64;
/// Length of the header.
pub const HEADER_LENGTH: usize = 128;

const MAGIC: [u8; 8] = *b"autoragW";
const VERSION: u32 = 1;
const SHAPE: [u32; 7] = [
    HIDDEN as u32,
    FEED_FORWARD as u32,
    LAYERS as u32,
    HEADS as u32,
    VOCABULARY as u32,
    POSITIONS as u32,
    PANEL as u32,
];
const DIGEST: usize = 64;

#[cfg(any(test, feature = "pack"))]
/// Where the weight from `input` to `output` lies in the codes of a layer of `inputs` inputs.
pub const fn code_index(output: usize, input: usize, inputs: usize) -> usize {
    (output / PANEL) * PANEL * inputs
        + (input / GROUP) * PANEL * GROUP
        + (output % PANEL) * GROUP
        + input % GROUP
}

/// The beginning of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// BLAKE3 of all that follows the header, then of the vocabulary: it names the model and all it depends on.
    pub digest: [u8; 32],
}

impl Header {
    /// The header as bytes.
    pub fn to_bytes(self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        for (place, number) in bytes[12..DIGEST].chunks_exact_mut(4).zip(SHAPE) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[DIGEST..DIGEST + 32].copy_from_slice(&self.digest);
        bytes
    }

    /// Reads a header and checks that it is of this version and shape. The digest is not compared with the content:
    /// that would read 23 MB at every start.
    ///
    /// # Errors
    /// `MalformedModel` if the bytes are not such a header.
    pub fn parse(bytes: &[u8]) -> Result<Self, EmbedError> {
        let malformed = |reason| EmbedError::MalformedModel { reason };
        let header = bytes
            .get(..HEADER_LENGTH)
            .ok_or(malformed("the file ends in its header"))?;
        let mut digest = [0; 32];
        digest.copy_from_slice(&header[DIGEST..DIGEST + 32]);
        let read = Self { digest };
        match read.to_bytes() {
            expected if expected == header => Ok(read),
            expected if expected[..8] != header[..8] => Err(malformed("these are not packed weights")),
            expected if expected[8..12] != header[8..12] => Err(malformed("the format has another version")),
            _ => Err(malformed("the model has another shape")),
        }
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

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let header = Header {
            digest: std::array::from_fn(|i| i as u8),
        };
        assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
        assert_eq!(header.version(), "000102030405");
    }

    #[test]
    fn a_header_of_something_else_says_what_is_wrong() {
        let good = Header { digest: [7; 32] }.to_bytes();
        for (at, wrong) in [
            (0, "not packed weights"),
            (8, "another version"),
            (12, "another shape"),
            (40, "another shape"),
        ] {
            let mut bytes = good;
            bytes[at] ^= 1;
            let message = Header::parse(&bytes).unwrap_err().to_string();
            assert!(message.contains(wrong), "{message}");
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
