//! The portable arithmetic compiled for AVX2 and FMA, with its own products of bytes.
//!
//! AVX2 can multiply unsigned by signed bytes, but that instruction saturates at what two products can reach. The codes
//! are widened to 16 bits instead: half the products an instruction, no error, and eight bits of activation, not seven.

use std::arch::x86_64::*;
use std::ops::Range;

use super::portable::{self, Instructions, OUTPUTS};
use super::{Activation, Arithmetic, HeadSpace, Quantised, Rows, RowsMut};
use crate::encoder::format::{GROUP, PANEL};
use crate::encoder::weights::{Linear, Norm};

/// Proof that the processor has AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

/// Named only in functions compiled for AVX2 and FMA.
struct Fused;

impl Instructions for Fused {
    #[inline(always)]
    fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn dot(panel: &[i8], inside: usize, rows: &[i16], sums: &mut [[i32; OUTPUTS]]) {
        assert!(inside + OUTPUTS * GROUP <= PANEL * GROUP && panel.len().is_multiple_of(PANEL * GROUP));
        assert!(rows.len() >= sums.len() * (panel.len() / PANEL));
        // SAFETY: only methods of `Avx2` name this type, and a value of that proves AVX2; the sizes were checked.
        unsafe { dot(panel, inside, rows, sums) }
    }
}

/// Rows of a full tile: their sums, the weights and one row's codes fill the sixteen registers.
const TILE: usize = 6;

/// # Safety
/// Sizes as `Fused::dot` checks them.
#[target_feature(enable = "avx2")]
unsafe fn dot(panel: &[i8], inside: usize, rows: &[i16], sums: &mut [[i32; OUTPUTS]]) {
    let inputs = panel.len() / PANEL;
    let (full, rest) = sums.as_chunks_mut::<TILE>();
    let (pairs, single) = rest.as_chunks_mut::<2>();
    let mut rows = rows.as_ptr();
    // SAFETY: there is a row of codes for each of the sums.
    unsafe {
        let weights = panel.as_ptr().add(inside);
        for sums in full {
            *sums = tile(weights, inputs, rows);
            rows = rows.add(TILE * inputs);
        }
        for sums in pairs {
            *sums = tile(weights, inputs, rows);
            rows = rows.add(2 * inputs);
        }
        if let [sums] = single {
            [*sums] = tile(weights, inputs, rows);
        }
    }
}

/// Sums of pairs in 32 bits: a vector of sixteen codes is four outputs by four inputs, and gives two sums each.
///
/// # Safety
/// `weights` must be good for one panel from the wanted outputs on, `rows` for `ROWS` rows of `inputs` codes.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn tile<const ROWS: usize>(
    weights: *const i8,
    inputs: usize,
    rows: *const i16,
) -> [[i32; OUTPUTS]; ROWS] {
    const VECTORS: usize = OUTPUTS * GROUP / 16;
    let mut sums = [[_mm256_setzero_si256(); VECTORS]; ROWS];
    for group in 0..inputs / GROUP {
        // SAFETY: the caller promises that the codes of this group exist, and that each row has all inputs.
        unsafe {
            let codes = weights.add(group * PANEL * GROUP);
            let weights: [__m256i; VECTORS] =
                std::array::from_fn(|i| _mm256_cvtepi8_epi16(_mm_loadu_si128(codes.add(i * 16).cast())));
            for (r, sums) in sums.iter_mut().enumerate() {
                let four = _mm256_set1_epi64x(
                    rows.add(r * inputs + group * GROUP)
                        .cast::<i64>()
                        .read_unaligned(),
                );
                for (sum, &weights) in sums.iter_mut().zip(&weights) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(four, weights));
                }
            }
        }
    }
    sums.map(|sums| {
        let pairs: [i32; 2 * OUTPUTS] = bytemuck::must_cast(sums);
        std::array::from_fn(|output| pairs[2 * output] + pairs[2 * output + 1])
    })
}

impl Arithmetic for Avx2 {
    fn quantise(&self, rows: Rows<'_>, count: usize, smoothing: &[f32], out: &mut Quantised) {
        #[target_feature(enable = "avx2,fma")]
        fn compiled(rows: Rows<'_>, count: usize, smoothing: &[f32], out: &mut Quantised) {
            portable::quantise(rows, count, smoothing, out);
        }
        // SAFETY: `self` proves the instructions.
        unsafe { compiled(rows, count, smoothing, out) }
    }

    fn linear(
        &self,
        layer: &Linear<'_>,
        panels: Range<usize>,
        input: &Quantised,
        count: usize,
        activation: Activation,
        out: RowsMut<'_>,
    ) {
        #[target_feature(enable = "avx2,fma")]
        fn compiled(
            layer: &Linear<'_>,
            panels: Range<usize>,
            input: &Quantised,
            count: usize,
            activation: Activation,
            out: RowsMut<'_>,
        ) {
            portable::linear::<Fused>(layer, panels, input, count, activation, out);
        }
        // SAFETY: `self` proves the instructions.
        unsafe { compiled(layer, panels, input, count, activation, out) }
    }

    fn add_and_norm(&self, x: &mut [f32], residual: &[f32], norm: &Norm<'_>) {
        #[target_feature(enable = "avx2,fma")]
        fn compiled(x: &mut [f32], residual: &[f32], norm: &Norm<'_>) {
            portable::add_and_norm::<Fused>(x, residual, norm);
        }
        // SAFETY: `self` proves the instructions.
        unsafe { compiled(x, residual, norm) }
    }

    fn attend(&self, heads: Rows<'_>, tokens: usize, space: &mut HeadSpace, context: RowsMut<'_>) {
        #[target_feature(enable = "avx2,fma")]
        fn compiled(heads: Rows<'_>, tokens: usize, space: &mut HeadSpace, context: RowsMut<'_>) {
            portable::attend::<Fused>(heads, tokens, space, context);
        }
        // SAFETY: `self` proves the instructions.
        unsafe { compiled(heads, tokens, space, context) }
    }
}
