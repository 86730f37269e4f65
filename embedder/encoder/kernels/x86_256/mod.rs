//! The arithmetic for processors with AVX2 and FMA: the portable loops compiled for them, with attention and byte dot products by
//! intrinsics. The dot products come in two kinds, with and without AVX-VNNI.

mod attention;
mod avx2;
mod avx_vnni;

use std::ops::Range;

use super::portable::{self, Instructions};
use super::tiles::{self, DotProducts};
use super::{Activation, Arithmetic, HeadWorkspace, Quantized, Rows, RowsMut};
use crate::encoder::weights::{Linear, Norm};

/// Proof that the processor has AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

/// Proof that the processor has AVX-VNNI, AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AvxVnni(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

impl AvxVnni {
    pub(crate) fn detect() -> Option<Self> {
        Avx2::detect().filter(|_| is_x86_feature_detected!("avxvnni"))?;
        Some(Self(()))
    }
}

/// A fused `a · b + c`. Called only by functions compiled for FMA, where it is one instruction.
#[inline(always)]
fn fused(a: f32, b: f32, c: f32) -> f32 {
    a.mul_add(b, c)
}

impl Instructions for Avx2 {
    #[inline(always)]
    fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
        fused(a, b, c)
    }
}

impl Instructions for AvxVnni {
    #[inline(always)]
    fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
        fused(a, b, c)
    }
}

#[target_feature(enable = "avx2,fma")]
fn quantize(rows: Rows<'_>, count: usize, smoothing: &[f32], out: &mut Quantized) {
    portable::quantize(rows, count, smoothing, out);
}

#[target_feature(enable = "avx2,fma")]
fn add_and_norm(x: &mut [f32], residual: &[f32], norm: &Norm<'_>) {
    portable::add_and_norm::<Avx2>(x, residual, norm);
}

/// # Safety
/// The processor must have the instructions of `P`, which are at least AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
unsafe fn linear<P: DotProducts<OUTPUTS>, const OUTPUTS: usize>(
    layer: &Linear<'_>,
    panels: Range<usize>,
    input: &Quantized,
    count: usize,
    activation: Activation,
    out: RowsMut<'_>,
) {
    // SAFETY: guaranteed by the caller.
    unsafe { tiles::linear::<P, OUTPUTS>(layer, panels, input, count, activation, out) }
}

/// Implements the arithmetic of a 256-bit kernel. The kernels differ only in their dot products.
macro_rules! arithmetic {
    ($kernel:ty) => {
        impl Arithmetic for $kernel {
            fn quantize(&self, rows: Rows<'_>, count: usize, smoothing: &[f32], out: &mut Quantized) {
                // SAFETY: a value of this type proves that the processor has the instructions.
                unsafe { quantize(rows, count, smoothing, out) }
            }

            fn linear(
                &self,
                layer: &Linear<'_>,
                panels: Range<usize>,
                input: &Quantized,
                count: usize,
                activation: Activation,
                out: RowsMut<'_>,
            ) {
                // SAFETY: a value of this type proves that the processor has the instructions.
                unsafe { linear::<$kernel, _>(layer, panels, input, count, activation, out) }
            }

            fn add_and_norm(&self, x: &mut [f32], residual: &[f32], norm: &Norm<'_>) {
                // SAFETY: a value of this type proves that the processor has the instructions.
                unsafe { add_and_norm(x, residual, norm) }
            }

            fn attend(
                &self,
                heads: Rows<'_>,
                tokens: usize,
                space: &mut HeadWorkspace,
                context: RowsMut<'_>,
            ) {
                // SAFETY: a value of this type proves that the processor has the instructions.
                unsafe { attention::attend(heads, tokens, space, context) }
            }
        }
    };
}

arithmetic!(Avx2);
arithmetic!(AvxVnni);
