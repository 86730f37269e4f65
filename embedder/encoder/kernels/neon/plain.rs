//! Products with the instructions that every 64-bit ARM has.
//!
//! Two products of signed bytes fit in 16 bits, 2 · 128 · 127 being less than 2¹⁵: the second is added to the first before
//! both go to the sum.

use std::arch::aarch64::*;
use std::borrow::Cow;

use super::{MIDDLE, Neon, signed};
use crate::encoder::format::GROUP;
use crate::encoder::kernels::tiles::Products;

/// Outputs of a vector of eight codes; it gives two sums for each.
const LANES: usize = 2;
/// Vectors of outputs that are computed together.
const VECTORS: usize = 4;
/// Outputs that are computed together.
const OUTPUTS: usize = VECTORS * LANES;

impl Products<OUTPUTS> for Neon {
    type Code = i8;
    const TAKEN: u8 = MIDDLE;

    fn prepare(codes: &[u8]) -> Cow<'_, [i8]> {
        signed(codes)
    }

    #[target_feature(enable = "neon")]
    unsafe fn products<const ROWS: usize>(
        mut weights: *const i8,
        inputs: usize,
        rows: *const i8,
    ) -> [[i32; OUTPUTS]; ROWS] {
        let mut sums = [[vdupq_n_s32(0); VECTORS]; ROWS];
        for input in (0..inputs).step_by(2 * GROUP) {
            // SAFETY: the caller promises that the codes of each group exist, that there is an even number of groups, and that
            // each row has all inputs.
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
                // SAFETY: there is a place for each of the four sums.
                unsafe { vst1q_s32(pairs.as_mut_ptr(), sum) }
                target.copy_from_slice(&[pairs[0] + pairs[1], pairs[2] + pairs[3]]);
            }
        }
        all
    }
}
