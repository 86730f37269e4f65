//! Products with `sdot`, which multiplies four by four signed bytes in each of four lanes.

use std::arch::aarch64::*;
use std::arch::asm;
use std::borrow::Cow;

use super::{MIDDLE, NeonDot, signed};
use crate::encoder::format::{GROUP, PANEL};
use crate::encoder::kernels::tiles::{Products, Sums};

/// Sums of a vector.
const LANES: usize = 4;
/// Vectors of outputs that are computed together: with six rows, their sums take 24 of the 32 registers.
const VECTORS: usize = 4;

impl Products for NeonDot {
    type Code = i8;
    const TAKEN: u8 = MIDDLE;

    fn prepare(codes: &[u8]) -> Cow<'_, [i8]> {
        signed(codes)
    }

    #[target_feature(enable = "neon,dotprod")]
    unsafe fn products<const ROWS: usize>(panel: *const i8, inputs: usize, rows: *const i8) -> Sums<ROWS> {
        let mut all = [[0; PANEL]; ROWS];
        for first in (0..PANEL).step_by(VECTORS * LANES) {
            let mut sums = [[vdupq_n_s32(0); VECTORS]; ROWS];
            // SAFETY: the caller promises that the codes of each group exist, and that each row has all inputs.
            unsafe {
                let mut weights = panel.add(first * GROUP);
                for input in (0..inputs).step_by(GROUP) {
                    let vectors: [int8x16_t; VECTORS] =
                        std::array::from_fn(|i| vld1q_s8(weights.add(i * LANES * GROUP)));
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let four = rows.add(r * inputs + input).cast::<i32>().read_unaligned();
                        let four = vreinterpretq_s8_s32(vdupq_n_s32(four));
                        for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                            *sum = dot(*sum, four, vector);
                        }
                    }
                    weights = weights.add(PANEL * GROUP);
                }
                for (all, sums) in all.iter_mut().zip(sums) {
                    for (i, sum) in sums.into_iter().enumerate() {
                        vst1q_s32(all[first + i * LANES..][..LANES].as_mut_ptr(), sum);
                    }
                }
            }
        }
        all
    }
}

/// Adds the products of four bytes of `a` and `b` to each lane. The intrinsic of this instruction is not stable yet.
#[target_feature(enable = "neon,dotprod")]
#[inline]
fn dot(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction reads and writes registers alone, and the function is compiled for processors that have it.
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
