//! The arithmetic of the encoder, once for each kind of processor.
//!
//! [`Arithmetic`] is all that the forward pass asks for. `portable` is plain Rust that compilers vectorise well;
//! `avx2` is the same code compiled for AVX2 and FMA; `avx512_vnni` is written with intrinsics around the instruction
//! that multiplies and adds four bytes a lane. All take weights in the one layout of [`crate::encoder::format`].

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512_vnni;
mod portable;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512_vnni::Avx512Vnni;
pub(crate) use portable::Portable;

use crate::encoder::aligned::AlignedVec;
use crate::encoder::format::{GROUP, HEAD, POSITIONS};
use crate::encoder::weights::{Linear, Norm};
use crate::error::EmbedError;

/// A way to compute the model on this processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kernel {
    /// AVX-512 with VNNI: int8 products throughout, attention included.
    Avx512Vnni,
    /// AVX2 with FMA: int8 weights, attention in f32.
    Avx2,
    /// Plain Rust for any processor; the same method as `Avx2`.
    Portable,
}

impl Kernel {
    /// The kernels this processor can run, the fastest first.
    pub fn available() -> Vec<Kernel> {
        let mut kernels = vec![Kernel::Avx512Vnni, Kernel::Avx2, Kernel::Portable];
        kernels.retain(|kernel| kernel.select().is_ok());
        kernels
    }

    /// Looks at the processor and gives the implementation.
    pub(crate) fn select(self) -> Result<Selected, EmbedError> {
        let selected = match self {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vnni => Avx512Vnni::detect().map(Selected::Avx512Vnni),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => Avx2::detect().map(Selected::Avx2),
            Kernel::Portable => Some(Selected::Portable(Portable)),
            #[cfg(not(target_arch = "x86_64"))]
            _ => None,
        };
        selected.ok_or(EmbedError::KernelUnavailable { kernel: self })
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kernel::Avx512Vnni => "avx512-vnni",
            Kernel::Avx2 => "avx2",
            Kernel::Portable => "portable",
        })
    }
}

/// A kernel that this processor was seen to have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Selected {
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(Avx512Vnni),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Portable(Portable),
}

impl Selected {
    pub(crate) fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(kernel) = Avx512Vnni::detect() {
            return Self::Avx512Vnni(kernel);
        } else if let Some(kernel) = Avx2::detect() {
            return Self::Avx2(kernel);
        }
        Self::Portable(Portable)
    }

    pub(crate) fn kernel(self) -> Kernel {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(_) => Kernel::Avx512Vnni,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Kernel::Avx2,
            Self::Portable(_) => Kernel::Portable,
        }
    }
}

/// How the codes of one row stand for numbers: `x ≈ scale · code + offset`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Affine {
    pub(crate) scale: f32,
    pub(crate) offset: f32,
}

/// Rows of activations in eight bits, each row with its own scale: a token's numbers depend on that token alone.
#[derive(Default)]
pub(crate) struct Quantised {
    /// Row after row, without gaps.
    pub(crate) codes: AlignedVec<u8>,
    pub(crate) affine: Vec<Affine>,
}

impl Quantised {
    pub(crate) fn grow(&mut self, rows: usize, width: usize) {
        self.codes.grow(rows * width);
        if self.affine.len() < rows {
            self.affine.resize(rows, Affine::default());
        }
    }
}

/// Rows of f32, `stride` apart in a longer slice.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) stride: usize,
}

/// Rows of f32 to write.
pub(crate) struct RowsMut<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) stride: usize,
}

/// What is applied to the outputs of a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    Identity,
    /// `x · Φ(x)` in its exact form, with erf (Hendrycks and Gimpel, 2016, <https://arxiv.org/abs/1606.08415>).
    Gelu,
}

/// Room for the attention of one head over one text.
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "only the AVX-512 kernel makes codes here")
)]
pub(crate) struct HeadSpace {
    /// Transposed keys, or the scales of key codes and then the sums of them.
    pub(crate) keys: AlignedVec<f32>,
    /// Scores of a few queries against all keys.
    pub(crate) scores: AlignedVec<f32>,
    pub(crate) query_codes: Quantised,
    pub(crate) key_codes: AlignedVec<u8>,
    pub(crate) value_codes: AlignedVec<u8>,
    pub(crate) weight_codes: AlignedVec<u8>,
}

/// Queries that are scored together.
pub(crate) const QUERIES: usize = 8;
/// Keys are padded to a multiple of this.
pub(crate) const KEY_BLOCK: usize = 32;

// The space below holds the longest text with its padding; byte dot products take four inputs at a time.
const _: () = assert!(POSITIONS.is_multiple_of(KEY_BLOCK) && POSITIONS.is_multiple_of(QUERIES) && GROUP == 4);

impl HeadSpace {
    pub(crate) fn new() -> Self {
        let mut query_codes = Quantised::default();
        query_codes.grow(POSITIONS, HEAD);
        Self {
            keys: AlignedVec::zeroed(HEAD * POSITIONS),
            scores: AlignedVec::zeroed(QUERIES * POSITIONS),
            query_codes,
            key_codes: AlignedVec::zeroed(POSITIONS * HEAD),
            value_codes: AlignedVec::zeroed(POSITIONS * HEAD),
            weight_codes: AlignedVec::zeroed(QUERIES * POSITIONS),
        }
    }
}

/// The operations of the encoder. A value of an implementing type proves that the processor has its instructions.
///
/// Every operation treats each row by itself, in one order: results do not depend on what else is in the batch.
pub(crate) trait Arithmetic {
    /// Multiplies the values of `count` rows by `smoothing`, of which there are a multiple of 16 and which is the width of
    /// a row, and quantises them into the first rows of `out`.
    fn quantise(&self, rows: Rows<'_>, count: usize, smoothing: &[f32], out: &mut Quantised);

    /// The outputs of some panels of a layer for the first `count` rows of `input`; the first of them is column 0 of `out`.
    fn linear(
        &self,
        layer: &Linear<'_>,
        panels: Range<usize>,
        input: &Quantised,
        count: usize,
        activation: Activation,
        out: RowsMut<'_>,
    );

    /// `x = normalised(x + residual)` for rows of the hidden width that lie without gaps.
    fn add_and_norm(&self, x: &mut [f32], residual: &[f32], norm: &Norm<'_>);

    /// Scaled dot-product attention of one head over one text of `tokens` tokens.
    ///
    /// A row of `heads` holds the query at 0, the key at 64 and the value at 128, each [`HEAD`] wide; `context` receives
    /// one row of [`HEAD`] values a token.
    fn attend(&self, heads: Rows<'_>, tokens: usize, space: &mut HeadSpace, context: RowsMut<'_>);
}
