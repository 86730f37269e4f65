//! The sizes of a BERT encoder.

use super::format::{ALIGNMENT, GROUP, HEADER_LENGTH, PANEL};

/// Sizes of one model, in elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Width of a token's vector, and of the embedding.
    pub hidden: usize,
    /// Width inside the feed-forward part.
    pub feed_forward: usize,
    /// Encoder layers.
    pub layers: usize,
    /// Attention heads of a layer.
    pub heads: usize,
    /// Pieces of the vocabulary.
    pub vocabulary: usize,
    /// Tokens of the longest text, with the special ones.
    pub positions: usize,
    /// Added to the variance in layer normalization.
    pub norm_epsilon: f32,
}

/// Widths of a head that the kernels are compiled for.
pub const HEAD_WIDTHS: [usize; 2] = [32, 64];
/// The widest of them.
#[cfg(target_arch = "x86_64")]
pub const MAX_HEAD: usize = 64;
/// The widest layer that the kernels have room for.
pub const MAX_WIDTH: usize = 4096;

impl Shape {
    /// Width of one head.
    pub fn head(&self) -> usize {
        self.hidden / self.heads.max(1)
    }

    /// Heads whose queries, keys and values are computed together: as many as fill a panel.
    pub fn heads_together(&self) -> usize {
        PANEL / self.head()
    }

    /// Length of the packed file of such a model, in bytes.
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

    /// Whether the kernels can compute such a model; if not, why.
    ///
    /// # Errors
    /// What would have to be otherwise.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.layers == 0 || self.heads == 0 || self.vocabulary == 0 || self.positions < 3 {
            return Err("a size is missing");
        }
        if !self.hidden.is_multiple_of(self.heads) || !HEAD_WIDTHS.contains(&self.head()) {
            return Err("only attention heads 32 or 64 wide can be computed");
        }
        let widths = [self.hidden, self.feed_forward];
        if widths
            .iter()
            .any(|width| *width == 0 || !width.is_multiple_of(PANEL.max(GROUP)) || *width > MAX_WIDTH)
        {
            return Err("layers must be a multiple of 64 wide, and at most 4096");
        }
        if self.layers > 64 || self.vocabulary > 1 << 22 || self.positions > 1 << 14 {
            return Err("it has more layers, pieces or positions than any known encoder");
        }
        if !self.norm_epsilon.is_finite() || self.norm_epsilon <= 0.0 {
            return Err("the epsilon of its normalization is not a small positive number");
        }
        Ok(())
    }
}
