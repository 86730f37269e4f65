//! The arithmetic of the encoder, once for each kind of processor.
//!
//! [`Arithmetic`] is all that the forward pass asks for. `portable` is plain Rust that compilers vectorise well. `x86_256`
//! and `neon` are that code compiled for a family of processors, with products of bytes of their own, which `tiles`
//! walks through. `avx512_vnni` is written with intrinsics throughout. All take weights in the one layout of
//! [`crate::encoder::format`].

#[cfg(target_arch = "x86_64")]
mod avx512_vnni;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(test)]
mod tests;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tiles;
#[cfg(target_arch = "x86_64")]
mod x86_256;

use std::fmt;
use std::ops::Range;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx512_vnni::Avx512Vnni;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::{Neon, NeonDot};
pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_256::{Avx2, AvxVnni};

use super::aligned::AlignedVec;
use super::format::{GROUP, PANEL};
use super::weights::{Linear, Norm};
use crate::error::EmbedError;

/// A way to compute the model on this processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kernel {
    /// AVX-512 with VNNI: int8 products throughout, attention included.
    Avx512Vnni,
    /// AVX-VNNI with AVX2 and FMA: int8 products for the linear layers, attention in f32.
    AvxVnni,
    /// AVX2 with FMA: as `AvxVnni`, with products of 16 bits.
    Avx2,
    /// NEON with its dot product: int8 products for the linear layers, attention in f32.
    NeonDot,
    /// NEON: as `NeonDot`, with products that are added up in 16 bits.
    Neon,
    /// Plain Rust for any processor; the same method.
    Portable,
}

impl Kernel {
    /// All there are, the fastest of each family of processors first.
    const ALL: [Kernel; 6] = [
        Kernel::Avx512Vnni,
        Kernel::AvxVnni,
        Kernel::Avx2,
        Kernel::NeonDot,
        Kernel::Neon,
        Kernel::Portable,
    ];

    /// The kernels this processor can run, the fastest first.
    pub fn available() -> Vec<Kernel> {
        let mut kernels = Vec::from(Kernel::ALL);
        kernels.retain(|kernel| kernel.select().is_ok());
        kernels
    }

    /// Looks at the processor and gives the implementation.
    pub(crate) fn select(self) -> Result<Selected, EmbedError> {
        let selected = match self {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vnni => Avx512Vnni::detect().map(Selected::Avx512Vnni),
            #[cfg(target_arch = "x86_64")]
            Kernel::AvxVnni => AvxVnni::detect().map(Selected::AvxVnni),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => Avx2::detect().map(Selected::Avx2),
            #[cfg(target_arch = "aarch64")]
            Kernel::NeonDot => NeonDot::detect().map(Selected::NeonDot),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => Neon::detect().map(Selected::Neon),
            Kernel::Portable => Some(Selected::Portable(Portable)),
            _ => None,
        };
        selected.ok_or(EmbedError::KernelUnavailable { kernel: self })
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kernel::Avx512Vnni => "avx512-vnni",
            Kernel::AvxVnni => "avx-vnni",
            Kernel::Avx2 => "avx2",
            Kernel::NeonDot => "neon-dot",
            Kernel::Neon => "neon",
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
    AvxVnni(AvxVnni),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "aarch64")]
    NeonDot(NeonDot),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    Portable(Portable),
}

/// Does something with the implementation that was selected, whatever its type.
macro_rules! for_kernel {
    ($selected:expr, $kernel:ident => $do:expr) => {
        match $selected {
            #[cfg(target_arch = "x86_64")]
            $crate::encoder::kernels::Selected::Avx512Vnni($kernel) => $do,
            #[cfg(target_arch = "x86_64")]
            $crate::encoder::kernels::Selected::AvxVnni($kernel) => $do,
            #[cfg(target_arch = "x86_64")]
            $crate::encoder::kernels::Selected::Avx2($kernel) => $do,
            #[cfg(target_arch = "aarch64")]
            $crate::encoder::kernels::Selected::NeonDot($kernel) => $do,
            #[cfg(target_arch = "aarch64")]
            $crate::encoder::kernels::Selected::Neon($kernel) => $do,
            $crate::encoder::kernels::Selected::Portable($kernel) => $do,
        }
    };
}
pub(crate) use for_kernel;

impl Selected {
    pub(crate) fn fastest() -> Self {
        let mut found = Kernel::ALL.iter().filter_map(|kernel| kernel.select().ok());
        found.next().unwrap_or(Self::Portable(Portable))
    }

    pub(crate) fn kernel(self) -> Kernel {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(_) => Kernel::Avx512Vnni,
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni(_) => Kernel::AvxVnni,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => Kernel::Avx2,
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot(_) => Kernel::NeonDot,
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => Kernel::Neon,
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

/// Panics unless a linear layer's slices are as long as its panels, rows and strides say. Kernels that then use pointers
/// rely on it.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn check_sizes(
    layer: &Linear<'_>,
    panels: &Range<usize>,
    input: &Quantised,
    count: usize,
    out: &RowsMut<'_>,
) {
    let (outputs, columns) = (panels.end * PANEL, panels.len() * PANEL);
    assert!(layer.inputs.is_multiple_of(GROUP) && layer.codes.len() >= outputs * layer.inputs);
    assert!(layer.scale.len() >= outputs && layer.column_sum.len() >= outputs && layer.bias.len() >= outputs);
    assert!(input.codes.len() >= count * layer.inputs && input.affine.len() >= count);
    assert!(out.stride >= columns && out.values.len() >= count.saturating_sub(1) * out.stride + columns);
}

/// Outputs of the query-key-value layer that belong together: 64 of queries, keys and values, in this order.
pub(crate) const TOGETHER_WIDTH: usize = 3 * PANEL;

/// Room for the attention of one head over one text.
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "only the AVX-512 kernel makes codes here")
)]
pub(crate) struct HeadSpace {
    /// Width of a head.
    pub(crate) width: usize,
    /// Tokens there is room for, a multiple of [`KEY_BLOCK`] and [`QUERIES`].
    pub(crate) tokens: usize,
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
const _: () = assert!(KEY_BLOCK.is_multiple_of(QUERIES) && GROUP == 4);

impl HeadSpace {
    /// Room for heads of `width`, one of those of [`super::shape::HEAD_WIDTHS`], and texts of as many tokens as `positions`.
    pub(crate) fn new(width: usize, positions: usize) -> Self {
        let tokens = positions.next_multiple_of(KEY_BLOCK);
        let mut query_codes = Quantised::default();
        query_codes.grow(tokens, width);
        Self {
            width,
            tokens,
            keys: AlignedVec::zeroed(width * tokens),
            scores: AlignedVec::zeroed(QUERIES * tokens),
            query_codes,
            key_codes: AlignedVec::zeroed(tokens * width),
            value_codes: AlignedVec::zeroed(tokens * width),
            weight_codes: AlignedVec::zeroed(QUERIES * tokens),
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

    /// `x = normalised(x + residual)` for rows as wide as `norm` that lie without gaps.
    fn add_and_norm(&self, x: &mut [f32], residual: &[f32], norm: &Norm<'_>);

    /// Scaled dot-product attention of one head over one text of `tokens` tokens, for which `space` is made.
    ///
    /// A row of `heads` holds the query at 0, the key at 64 and the value at 128, each as wide as the head; `context`
    /// receives one row of that width a token.
    fn attend(&self, heads: Rows<'_>, tokens: usize, space: &mut HeadSpace, context: RowsMut<'_>);
}
