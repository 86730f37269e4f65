//! Dot products with `sdot`, which multiplies four by four signed bytes in each of four lanes.

use std::arch::aarch64::*;
use std::arch::asm;
use std::borrow::Cow;

use super::{MIDDLE, NeonDot, signed};
use crate::encoder::format::GROUP;
use crate::encoder::kernels::tiles::DotProducts;

/// Sums per vector.
const LANES: usize = 4;
/// Vectors of outputs per tile. With six rows, their sums take 24 of the 32 registers.
const VECTORS: usize = 4;
/// Outputs per tile.
const OUTPUTS: usize = VECTORS * LANES;

impl DotProducts<OUTPUTS> for NeonDot {
    type Code = i8;
    const ZERO_POINT: u8 = MIDDLE;

    fn convert(codes: &[u8]) -> Cow<'_, [i8]> {
        signed(codes)
    }

    #[target_feature(enable = "neon,dotprod")]
    unsafe fn dot_products<const ROWS: usize>(
        mut weights: *const i8,
        inputs: usize,
        rows: *const i8,
    ) -> [[i32; OUTPUTS]; ROWS] {
        let mut sums = [[vdupq_n_s32(0); VECTORS]; ROWS];
        for input in (0..inputs).step_by(GROUP) {
            // SAFETY: the caller guarantees that the codes of each group exist, and that each row has all inputs.
            unsafe {
                let vectors: [int8x16_t; VECTORS] =
                    std::array::from_fn(|i| vld1q_s8(weights.add(i * LANES * GROUP)));
                for (r, sums) in sums.iter_mut().enumerate() {
                    let four = rows.add(r * inputs + input).cast::<i32>().read_unaligned();
                    let four = vreinterpretq_s8_s32(vdupq_n_s32(four));
                    for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                        *sum = dot(*sum, four, vector);
                    }
                }
                weights = weights.add(OUTPUTS * GROUP);
            }
        }
        let mut all = [[0; OUTPUTS]; ROWS];
        for (all, sums) in all.iter_mut().zip(sums) {
            for (target, sum) in all.chunks_exact_mut(LANES).zip(sums) {
                // SAFETY: the target has `LANES` elements.
                unsafe { vst1q_s32(target.as_mut_ptr(), sum) }
            }
        }
        all
    }
}

/// Adds the products of four bytes of `a` and `b` to each lane. Written in assembly, because the intrinsic is not stable yet.
#[target_feature(enable = "neon,dotprod")]
#[inline]
fn dot(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction accesses only registers, and the function is compiled for processors that have it.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
            sum = inout(vreg) sum,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sum
}
