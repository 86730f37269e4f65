//! The sizes of a BERT encoder.

use super::format::{ALIGNMENT, GROUP, HEADER_LENGTH, PANEL};

/// Sizes of a model, in elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Width of a token's vector, and of the embedding.
    pub hidden: usize,
    /// Width inside the feed-forward block.
    pub feed_forward: usize,
    /// Number of encoder layers.
    pub layers: usize,
    /// Attention heads per layer.
    pub heads: usize,
    /// Number of tokens in the vocabulary.
    pub vocabulary: usize,
    /// Tokens of the longest text, including special tokens.
    pub positions: usize,
    /// Added to the variance in layer normalization.
    pub norm_epsilon: f32,
}

/// Head widths that the kernels are compiled for.
pub const HEAD_WIDTHS: [usize; 2] = [32, 64];
/// The largest head width.
#[cfg(target_arch = "x86_64")]
pub const MAX_HEAD: usize = 64;
/// The widest layer that fits the kernels' buffers.
pub const MAX_WIDTH: usize = 4096;

impl Shape {
    /// Width of one head.
    pub fn head(&self) -> usize {
        self.hidden / self.heads.max(1)
    }

    /// Number of heads that fill a panel. Their queries, keys and values are computed together.
    pub fn heads_per_panel(&self) -> usize {
        PANEL / self.head()
    }

    /// Length of the packed file in bytes.
    pub fn packed_length(&self) -> usize {
        let section = |length: usize| length.next_multiple_of(ALIGNMENT);
        let floats = |count: usize| section(4 * count);
        let linear =
            |inputs: usize, outputs: usize| section(inputs * outputs) + floats(inputs) + 3 * floats(outputs);
        let norm = 2 * floats(self.hidden);
        let embeddings = section(self.vocabulary * self.hidden)
            + floats(self.vocabulary)
            + floats(self.positions * self.hidden)
            + norm;
        let layer = linear(self.hidden, 3 * self.hidden)
            + linear(self.hidden, self.hidden)
            + linear(self.hidden, self.feed_forward)
            + linear(self.feed_forward, self.hidden)
            + 2 * norm;
        HEADER_LENGTH + embeddings + self.layers * layer
    }

    /// Checks that the kernels support these sizes.
    ///
    /// # Errors
    /// The first unsupported size.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.layers == 0 || self.heads == 0 || self.vocabulary == 0 {
            return Err("a size is zero");
        }
        if self.positions < 3 {
            return Err("there must be at least 3 positions");
        }
        if !self.hidden.is_multiple_of(self.heads) || !HEAD_WIDTHS.contains(&self.head()) {
            return Err("attention heads must be 32 or 64 wide");
        }
        let widths = [self.hidden, self.feed_forward];
        if widths
            .iter()
            .any(|width| *width == 0 || !width.is_multiple_of(PANEL.max(GROUP)) || *width > MAX_WIDTH)
        {
            return Err("layer widths must be a multiple of 64 and at most 4096");
        }
        if self.layers > 64 || self.vocabulary > 1 << 22 || self.positions > 1 << 14 {
            return Err("there are more layers, tokens or positions than in any known encoder");
        }
        if !self.norm_epsilon.is_finite() || self.norm_epsilon <= 0.0 {
            return Err("the epsilon of the normalization is not a small positive number");
        }
        Ok(())
    }
}
