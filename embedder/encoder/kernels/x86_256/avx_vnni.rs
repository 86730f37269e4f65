//! Products with AVX-VNNI, whose `vpdpbusd` multiplies four unsigned by four signed bytes in each of eight lanes.

use std::arch::x86_64::*;
use std::borrow::Cow;

use super::AvxVnni;
use crate::encoder::format::{GROUP, PANEL};
use crate::encoder::kernels::tiles::{Products, Sums};

/// Sums of a vector.
const LANES: usize = 8;
/// Vectors of outputs that are computed together.
const VECTORS: usize = 2;

impl Products for AvxVnni {
    type Code = u8;
    const TAKEN: u8 = 0;

    fn prepare(codes: &[u8]) -> Cow<'_, [u8]> {
        Cow::Borrowed(codes)
    }

    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn products<const ROWS: usize>(panel: *const i8, inputs: usize, rows: *const u8) -> Sums<ROWS> {
        let mut all = [[0; PANEL]; ROWS];
        for first in (0..PANEL).step_by(VECTORS * LANES) {
            let mut sums = [[_mm256_setzero_si256(); VECTORS]; ROWS];
            // SAFETY: the caller promises that the codes of each group exist, and that each row has all inputs.
            unsafe {
                let mut weights = panel.add(first * GROUP);
                for input in (0..inputs).step_by(GROUP) {
                    let vectors: [__m256i; VECTORS] =
                        std::array::from_fn(|i| _mm256_loadu_si256(weights.add(i * LANES * GROUP).cast()));
                    for (r, sums) in sums.iter_mut().enumerate() {
                        let four = rows.add(r * inputs + input).cast::<i32>().read_unaligned();
                        let four = _mm256_set1_epi32(four);
                        for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                            *sum = _mm256_dpbusd_avx_epi32(*sum, four, vector);
                        }
                    }
                    weights = weights.add(PANEL * GROUP);
                }
            }
            for (all, sums) in all.iter_mut().zip(sums) {
                let sums: [i32; VECTORS * LANES] = bytemuck::must_cast(sums);
                all[first..first + VECTORS * LANES].copy_from_slice(&sums);
            }
        }
        all
    }
}
