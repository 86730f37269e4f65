//! The arithmetic for 64-bit ARM: the portable loops, which are compiled for NEON there anyway, with products of bytes by
//! intrinsics; of those there are two kinds, with and without the dot product of ARMv8.2.
//!
//! ARM multiplies signed by signed bytes, so 128 is taken from each code, and given back to the row's offset.

mod dot;
mod plain;

use std::arch::is_aarch64_feature_detected;
use std::borrow::Cow;
use std::ops::Range;

use super::portable::{self, Instructions};
use super::tiles;
use super::{Activation, Arithmetic, HeadWorkspace, Quantized, Rows, RowsMut};
use crate::encoder::weights::{Linear, Norm};

/// What is taken from an unsigned code to make it signed.
const MIDDLE: u8 = 128;

/// Proof that the processor has NEON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon(());

/// Proof that the processor has NEON with the dot product.
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

/// Both have a fused multiplication and addition.
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
                // SAFETY: `self` proves the instructions.
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

/// Unsigned codes as signed ones.
fn signed(codes: &[u8]) -> Cow<'_, [i8]> {
    Cow::Owned(codes.iter().map(|&code| (code ^ MIDDLE).cast_signed()).collect())
}
