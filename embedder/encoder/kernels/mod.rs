//! The encoder's arithmetic, with one implementation for each family of processors.
//!
//! [`Arithmetic`] has every operation of the forward pass. `portable` is plain Rust in loops that compilers vectorize. `x86_256`
//! and `neon` compile that code for their processors and add hand-written byte dot products, which `tiles` calls block by block.
//! `avx512_vnni` uses intrinsics throughout. All kernels read the same weight layout, [`crate::encoder::format`].

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
use crate::words::word_enum;

word_enum! {
    /// An implementation of the encoder for one family of processors.
    #[non_exhaustive]
    pub enum Kernel {
        /// AVX-512 with VNNI: int8 products throughout, attention included.
        Avx512Vnni = "avx512-vnni",
        /// AVX-VNNI with AVX2 and FMA: int8 products in the linear layers, attention in f32.
        AvxVnni = "avx-vnni",
        /// AVX2 with FMA: 16-bit products in the linear layers, attention in f32.
        Avx2 = "avx2",
        /// NEON with the dot-product extension: int8 products in the linear layers, attention in f32.
        NeonDot = "neon-dot",
        /// NEON: int8 products accumulated in 16 bits in the linear layers, attention in f32.
        Neon = "neon",
        /// Plain Rust for any processor: 16-bit products in the linear layers, attention in f32.
        Portable = "portable",
    }
}

impl Kernel {
    /// All kernels, the fastest of each processor family first.
    const ALL: [Kernel; 6] = [
        Kernel::Avx512Vnni,
        Kernel::AvxVnni,
        Kernel::Avx2,
        Kernel::NeonDot,
        Kernel::Neon,
        Kernel::Portable,
    ];

    /// The kernels that this processor can run, fastest first.
    pub fn available() -> Vec<Kernel> {
        let mut kernels = Vec::from(Kernel::ALL);
        kernels.retain(|kernel| kernel.detect().is_ok());
        kernels
    }

    /// Checks that the processor has the instructions, and returns the implementation.
    pub(crate) fn detect(self) -> Result<DetectedKernel, EmbedError> {
        let detected = match self {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512Vnni => Avx512Vnni::detect().map(DetectedKernel::Avx512Vnni),
            #[cfg(target_arch = "x86_64")]
            Kernel::AvxVnni => AvxVnni::detect().map(DetectedKernel::AvxVnni),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => Avx2::detect().map(DetectedKernel::Avx2),
            #[cfg(target_arch = "aarch64")]
            Kernel::NeonDot => NeonDot::detect().map(DetectedKernel::NeonDot),
            #[cfg(target_arch = "aarch64")]
            Kernel::Neon => Neon::detect().map(DetectedKernel::Neon),
            Kernel::Portable => Some(DetectedKernel::Portable(Portable)),
            _ => None,
        };
        detected.ok_or(EmbedError::KernelUnavailable { kernel: self })
    }
}

/// A kernel whose instructions this processor has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum DetectedKernel {
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

/// Evaluates `$do` with the concrete type of the detected kernel.
macro_rules! for_kernel {
    ($detected:expr, $kernel:ident => $do:expr) => {
        match $detected {
            #[cfg(target_arch = "x86_64")]
            $crate::encoder::kernels::DetectedKernel::Avx512Vnni($kernel) => $do,
            #[cfg(target_arch = "x86_64")]
            $crate::encoder::kernels::DetectedKernel::AvxVnni($kernel) => $do,
            #[cfg(target_arch = "x86_64")]
            $crate::encoder::kernels::DetectedKernel::Avx2($kernel) => $do,
            #[cfg(target_arch = "aarch64")]
            $crate::encoder::kernels::DetectedKernel::NeonDot($kernel) => $do,
            #[cfg(target_arch = "aarch64")]
            $crate::encoder::kernels::DetectedKernel::Neon($kernel) => $do,
            $crate::encoder::kernels::DetectedKernel::Portable($kernel) => $do,
        }
    };
}
pub(crate) use for_kernel;

impl DetectedKernel {
    pub(crate) fn fastest() -> Self {
        let mut available = Kernel::ALL.iter().filter_map(|kernel| kernel.detect().ok());
        available.next().unwrap_or(Self::Portable(Portable))
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

/// Affine quantization of one row: `x ≈ scale · code + offset`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Affine {
    pub(crate) scale: f32,
    pub(crate) offset: f32,
}

/// Rows of 8-bit activations. Each row has its own scale, so a token's values depend only on that token.
#[derive(Default)]
pub(crate) struct Quantized {
    /// Rows without gaps.
    pub(crate) codes: AlignedVec<u8>,
    pub(crate) affine: Vec<Affine>,
}

impl Quantized {
    pub(crate) fn grow(&mut self, rows: usize, width: usize) {
        self.codes.grow(rows * width);
        if self.affine.len() < rows {
            self.affine.resize(rows, Affine::default());
        }
    }
}

/// Rows of f32 that start `stride` elements apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) stride: usize,
}

/// Mutable rows of f32 that start `stride` elements apart.
pub(crate) struct RowsMut<'a> {
    pub(crate) values: &'a mut [f32],
    pub(crate) stride: usize,
}

/// The function applied to the outputs of a linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    Identity,
    /// `x · Φ(x)` in the exact form with erf (Hendrycks and Gimpel, 2016, <https://arxiv.org/abs/1606.08415>).
    Gelu,
}

/// Panics unless the slices of a linear layer match its panels, rows and strides. Kernels with raw pointers rely on this check.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn check_sizes(
    layer: &Linear<'_>,
    panels: &Range<usize>,
    input: &Quantized,
    count: usize,
    out: &RowsMut<'_>,
) {
    let (outputs, columns) = (panels.end * PANEL, panels.len() * PANEL);
    assert!(layer.inputs.is_multiple_of(GROUP) && layer.codes.len() >= outputs * layer.inputs);
    assert!(layer.scale.len() >= outputs && layer.column_sum.len() >= outputs && layer.bias.len() >= outputs);
    assert!(input.codes.len() >= count * layer.inputs && input.affine.len() >= count);
    assert!(out.stride >= columns && out.values.len() >= count.saturating_sub(1) * out.stride + columns);
}

/// Outputs of the query-key-value layer for one group of heads: 64 of queries, keys and values each, in this order.
pub(crate) const QKV_WIDTH: usize = 3 * PANEL;

/// Buffers for the attention of one head over one text.
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "only the AVX-512 kernel quantizes attention")
)]
pub(crate) struct HeadWorkspace {
    /// Width of a head.
    pub(crate) width: usize,
    /// Capacity in tokens, a multiple of [`KEY_BLOCK`] and [`QUERIES`].
    pub(crate) tokens: usize,
    /// Transposed keys in f32 attention. In int8 attention, the scales of the key codes followed by the sums of the codes.
    pub(crate) keys: AlignedVec<f32>,
    /// Scores of up to [`QUERIES`] queries against all keys.
    pub(crate) scores: AlignedVec<f32>,
    pub(crate) query_codes: Quantized,
    pub(crate) key_codes: AlignedVec<u8>,
    pub(crate) value_codes: AlignedVec<u8>,
    pub(crate) weight_codes: AlignedVec<u8>,
}

/// Most queries scored together.
pub(crate) const QUERIES: usize = 8;
/// Keys are padded to a multiple of this number.
pub(crate) const KEY_BLOCK: usize = 32;

// The workspace must hold the longest text with its padding. Byte dot products take four inputs at a time.
const _: () = assert!(KEY_BLOCK.is_multiple_of(QUERIES) && GROUP == 4);

impl HeadWorkspace {
    /// Buffers for heads of `width`, one of [`super::shape::HEAD_WIDTHS`], and texts of up to `positions` tokens.
    pub(crate) fn new(width: usize, positions: usize) -> Self {
        let tokens = positions.next_multiple_of(KEY_BLOCK);
        let mut query_codes = Quantized::default();
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

/// The operations of the encoder. A value of an implementing type proves that the processor has the instructions.
///
/// Every operation handles each row on its own and in a fixed order, so results do not depend on the rest of the batch.
pub(crate) trait Arithmetic {
    /// Multiplies `count` rows by `smoothing` and quantizes them into the first rows of `out`. The width of a row is the length
    /// of `smoothing`, a multiple of 16.
    fn quantize(&self, rows: Rows<'_>, count: usize, smoothing: &[f32], out: &mut Quantized);

    /// Computes the outputs of `panels` for the first `count` rows of `input`. Column 0 of `out` is the first output of the first
    /// panel.
    fn linear(
        &self,
        layer: &Linear<'_>,
        panels: Range<usize>,
        input: &Quantized,
        count: usize,
        activation: Activation,
        out: RowsMut<'_>,
    );

    /// `x = normalize(x + residual)` for rows as wide as `norm`, without gaps.
    fn add_and_norm(&self, x: &mut [f32], residual: &[f32], norm: &Norm<'_>);

    /// Scaled dot-product attention of one head over one text of `tokens` tokens. `space` must be large enough for the text.
    ///
    /// A row of `heads` holds the query at 0, the key at 64 and the value at 128, each as wide as the head. `context` receives one
    /// row of that width for each token.
    fn attend(&self, heads: Rows<'_>, tokens: usize, space: &mut HeadWorkspace, context: RowsMut<'_>);
}
