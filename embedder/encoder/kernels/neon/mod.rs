//! The arithmetic for 64-bit ARM: the portable loops with byte dot products by intrinsics, with and without the dot-product
//! extension of ARMv8.2. The compiler uses NEON for the portable loops anyway, because every 64-bit ARM processor has it.
//!
//! ARM multiplies signed by signed bytes. So 128 is subtracted from each code, and the row's offset compensates for it.

mod dot;
mod plain;

use std::arch::is_aarch64_feature_detected;
use std::borrow::Cow;
use std::ops::Range;

use super::portable::{self, Instructions};
use super::tiles;
use super::{Activation, Arithmetic, HeadWorkspace, Quantized, Rows, RowsMut};
use crate::encoder::weights::{Linear, Norm};

/// Subtracted from an unsigned code to make it signed.
const MIDDLE: u8 = 128;

/// Proof that the processor has NEON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon(());

/// Proof that the processor has NEON with the dot-product extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NeonDot(());

impl Neon {
    pub(crate) fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

impl NeonDot {
    pub(crate) fn detect() -> Option<Self> {
        (is_aarch64_feature_detected!("neon") && is_aarch64_feature_detected!("dotprod")).then_some(Self(()))
    }
}

/// Implements the arithmetic of a NEON kernel. Both kernels have fused multiply-add.
macro_rules! arithmetic {
    ($kernel:ty) => {
        impl Instructions for $kernel {
            #[inline(always)]
            fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
                a.mul_add(b, c)
            }
        }

        impl Arithmetic for $kernel {
            fn quantize(&self, rows: Rows<'_>, count: usize, smoothing: &[f32], out: &mut Quantized) {
                portable::quantize(rows, count, smoothing, out);
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
                unsafe { tiles::linear::<$kernel, _>(layer, panels, input, count, activation, out) }
            }

            fn add_and_norm(&self, x: &mut [f32], residual: &[f32], norm: &Norm<'_>) {
                portable::add_and_norm::<$kernel>(x, residual, norm);
            }

            fn attend(
                &self,
                heads: Rows<'_>,
                tokens: usize,
                space: &mut HeadWorkspace,
                context: RowsMut<'_>,
            ) {
                portable::attend::<$kernel>(heads, tokens, space, context);
            }
        }
    };
}

arithmetic!(Neon);
arithmetic!(NeonDot);

/// Converts unsigned codes to signed ones.
fn signed(codes: &[u8]) -> Cow<'_, [i8]> {
    Cow::Owned(codes.iter().map(|&code| (code ^ MIDDLE).cast_signed()).collect())
}
