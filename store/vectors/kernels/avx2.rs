//! AVX2: widens 16 codes to 16 bits, then multiplies and adds them in pairs.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_madd_epi16,
    _mm256_setzero_si256, _mm256_storeu_si256,
};

/// Codes per step.
const STEP: usize = 16;

pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx2")
}

/// See [`super::Dots`].
pub(super) fn dots(query: &[i8], codes: &[i8], stride: usize, _sums: &[i32], out: &mut [i32]) {
    assert!(is_available());
    super::check(query, codes, stride, out);
    // SAFETY: the CPU has AVX2, and the lengths fit, both checked above.
    unsafe { dots_avx2(query, codes, stride, out) }
}

/// # Safety
/// The CPU must have AVX2, and `codes` must have `out.len()` vectors of the query's length, `stride` apart.
#[target_feature(enable = "avx2")]
unsafe fn dots_avx2(query: &[i8], codes: &[i8], stride: usize, out: &mut [i32]) {
    let dimensions = query.len();
    let full_steps = dimensions - dimensions % STEP;
    for (index, dot) in out.iter_mut().enumerate() {
        let vector = &codes[index * stride..][..dimensions];
        let mut sum = _mm256_setzero_si256();
        for start in (0..full_steps).step_by(STEP) {
            // SAFETY: start + STEP is at most the length of both slices, and the loads need no alignment.
            let (a, b) = unsafe {
                let a = _mm_loadu_si128(vector.as_ptr().add(start).cast::<__m128i>());
                let b = _mm_loadu_si128(query.as_ptr().add(start).cast::<__m128i>());
                (_mm256_cvtepi8_epi16(a), _mm256_cvtepi8_epi16(b))
            };
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
        }
        let mut lanes = [0i32; 8];
        // SAFETY: the array has room for 8 values of 32 bits, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast::<__m256i>(), sum) };
        let tail = vector[full_steps..].iter().zip(&query[full_steps..]);
        *dot = lanes.iter().sum::<i32>() + tail.map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
    }
}
