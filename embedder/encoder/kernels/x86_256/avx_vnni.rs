//! Dot products with AVX-VNNI, whose `vpdpbusd` multiplies four unsigned by four signed bytes in each of eight lanes.

use std::arch::x86_64::*;
use std::borrow::Cow;

use super::AvxVnni;
use crate::encoder::format::GROUP;
use crate::encoder::kernels::tiles::DotProducts;

/// Sums per vector.
const LANES: usize = 8;
/// Vectors of outputs per tile.
const VECTORS: usize = 2;
/// Outputs per tile.
pub(super) const OUTPUTS: usize = VECTORS * LANES;

impl DotProducts<OUTPUTS> for AvxVnni {
    type Code = u8;
    const ZERO_POINT: u8 = 0;

    fn convert(codes: &[u8]) -> Cow<'_, [u8]> {
        Cow::Borrowed(codes)
    }

    #[target_feature(enable = "avx2,avxvnni")]
    unsafe fn dot_products<const ROWS: usize>(
        mut weights: *const i8,
        inputs: usize,
        rows: *const u8,
    ) -> [[i32; OUTPUTS]; ROWS] {
        let mut sums = [[_mm256_setzero_si256(); VECTORS]; ROWS];
        for input in (0..inputs).step_by(GROUP) {
            // SAFETY: the caller guarantees that the codes of each group exist, and that each row has all inputs.
            unsafe {
                let vectors: [__m256i; VECTORS] =
                    std::array::from_fn(|i| _mm256_load_si256(weights.add(i * LANES * GROUP).cast()));
                for (r, sums) in sums.iter_mut().enumerate() {
                    let four = rows.add(r * inputs + input).cast::<i32>().read_unaligned();
                    let four = _mm256_set1_epi32(four);
                    for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                        *sum = _mm256_dpbusd_avx_epi32(*sum, four, vector);
                    }
                }
                weights = weights.add(OUTPUTS * GROUP);
            }
        }
        sums.map(bytemuck::must_cast)
    }
}
