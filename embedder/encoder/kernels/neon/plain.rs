//! Dot products with the instructions of every 64-bit ARM processor.
//!
//! The sum of two products of signed bytes fits in 16 bits, because 2 · 128 · 127 < 2¹⁵. So two products are added in 16 bits before
//! they are added to the 32-bit sum.

use std::arch::aarch64::*;
use std::borrow::Cow;

use super::{MIDDLE, Neon, signed};
use crate::encoder::format::GROUP;
use crate::encoder::kernels::tiles::DotProducts;

/// Outputs per vector of eight codes. Each output gets two partial sums.
const LANES: usize = 2;
/// Vectors of outputs per tile.
const VECTORS: usize = 4;
/// Outputs per tile.
const OUTPUTS: usize = VECTORS * LANES;

impl DotProducts<OUTPUTS> for Neon {
    type Code = i8;
    const ZERO_POINT: u8 = MIDDLE;

    fn convert(codes: &[u8]) -> Cow<'_, [i8]> {
        signed(codes)
    }

    #[target_feature(enable = "neon")]
    unsafe fn dot_products<const ROWS: usize>(
        mut weights: *const i8,
        inputs: usize,
        rows: *const i8,
    ) -> [[i32; OUTPUTS]; ROWS] {
        let mut sums = [[vdupq_n_s32(0); VECTORS]; ROWS];
        for input in (0..inputs).step_by(2 * GROUP) {
            // SAFETY: the caller guarantees that the codes of each group exist, that the number of groups is even, and that each
            // row has all inputs.
            unsafe {
                let vectors: [[int8x8_t; 2]; VECTORS] = std::array::from_fn(|i| {
                    let codes = weights.add(i * LANES * GROUP);
                    [vld1_s8(codes), vld1_s8(codes.add(OUTPUTS * GROUP))]
                });
                for (r, sums) in sums.iter_mut().enumerate() {
                    let codes = rows.add(r * inputs + input).cast::<i32>();
                    let four = |group| vreinterpret_s8_s32(vdup_n_s32(codes.add(group).read_unaligned()));
                    let (one, other) = (four(0), four(1));
                    for (sum, [first, second]) in sums.iter_mut().zip(vectors) {
                        *sum = vpadalq_s16(*sum, vmlal_s8(vmull_s8(one, first), other, second));
                    }
                }
                weights = weights.add(2 * OUTPUTS * GROUP);
            }
        }
        let mut all = [[0; OUTPUTS]; ROWS];
        for (all, sums) in all.iter_mut().zip(sums) {
            for (target, sum) in all.chunks_exact_mut(LANES).zip(sums) {
                let mut pairs = [0; 2 * LANES];
                // SAFETY: `pairs` has four elements.
                unsafe { vst1q_s32(pairs.as_mut_ptr(), sum) }
                target.copy_from_slice(&[pairs[0] + pairs[1], pairs[2] + pairs[3]]);
            }
        }
        all
    }
}
