//! Dot products with AVX2 alone.
//!
//! AVX2 can multiply unsigned by signed bytes, but the instruction (`vpmaddubsw`) saturates when it adds two products. So the codes
//! are widened to 16 bits. An instruction then computes half as many products, but they are exact, and activations keep eight bits
//! instead of seven.

use std::arch::x86_64::*;
use std::borrow::Cow;

use super::Avx2;
use crate::encoder::format::GROUP;
use crate::encoder::kernels::tiles::DotProducts;

/// Outputs per vector of sixteen codes. Each output gets two partial sums.
const LANES: usize = 4;
/// Vectors of outputs per tile.
const VECTORS: usize = 2;
/// Outputs per tile.
pub(super) const OUTPUTS: usize = VECTORS * LANES;

impl DotProducts<OUTPUTS> for Avx2 {
    type Code = i16;
    const ZERO_POINT: u8 = 0;

    fn convert(codes: &[u8]) -> Cow<'_, [i16]> {
        Cow::Owned(codes.iter().map(|&code| i16::from(code)).collect())
    }

    #[target_feature(enable = "avx2")]
    unsafe fn dot_products<const ROWS: usize>(
        mut weights: *const i8,
        inputs: usize,
        rows: *const i16,
    ) -> [[i32; OUTPUTS]; ROWS] {
        let mut sums = [[_mm256_setzero_si256(); VECTORS]; ROWS];
        for input in (0..inputs).step_by(GROUP) {
            // SAFETY: the caller guarantees that the codes of each group exist, and that each row has all inputs.
            unsafe {
                let vectors: [__m256i; VECTORS] = std::array::from_fn(|i| {
                    _mm256_cvtepi8_epi16(_mm_load_si128(weights.add(i * LANES * GROUP).cast()))
                });
                for (r, sums) in sums.iter_mut().enumerate() {
                    let four = rows.add(r * inputs + input).cast::<i64>().read_unaligned();
                    let four = _mm256_set1_epi64x(four);
                    for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(four, vector));
                    }
                }
                weights = weights.add(OUTPUTS * GROUP);
            }
        }
        sums.map(|sums| {
            let pairs: [[i32; 2]; OUTPUTS] = bytemuck::must_cast(sums);
            pairs.map(|[one, other]| one + other)
        })
    }
}
