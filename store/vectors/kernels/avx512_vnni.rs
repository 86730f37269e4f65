//! AVX-512 VNNI: multiplies and adds 64 codes per instruction.
//!
//! The instruction multiplies unsigned by signed bytes. The kernel therefore adds 128 to every code of the
//! query, and subtracts 128 times the sum of the vector's codes from the result.

use std::arch::x86_64::{
    __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_reduce_add_epi32, _mm512_set1_epi8,
    _mm512_setzero_si512, _mm512_xor_si512,
};

/// Codes per step.
const STEP: usize = 64;

pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni")
}

/// See [`super::Dots`].
pub(super) fn dots(query: &[i8], codes: &[i8], stride: usize, sums: &[i32], out: &mut [i32]) {
    assert!(is_available());
    super::check(query, codes, stride, out);
    assert_eq!(sums.len(), out.len());
    // SAFETY: the CPU has the instructions, and the lengths fit, both checked above.
    unsafe { dots_vnni(query, codes, stride, sums, out) }
}

/// # Safety
/// The CPU must have AVX-512 F, BW and VNNI, and `codes` must have `out.len()` vectors of the query's length,
/// `stride` apart.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn dots_vnni(query: &[i8], codes: &[i8], stride: usize, sums: &[i32], out: &mut [i32]) {
    let dimensions = query.len();
    let full_steps = dimensions - dimensions % STEP;
    let sign_bit = _mm512_set1_epi8(i8::MIN);
    for (index, dot) in out.iter_mut().enumerate() {
        let vector = &codes[index * stride..][..dimensions];
        let mut sum = _mm512_setzero_si512();
        for start in (0..full_steps).step_by(STEP) {
            // SAFETY: start + STEP is at most the length of both slices, and the loads need no alignment.
            let (signed, unsigned) = unsafe {
                let signed = _mm512_loadu_si512(vector.as_ptr().add(start).cast::<__m512i>());
                // Flipping the top bit adds 128 to a signed byte and makes it unsigned.
                let query = _mm512_loadu_si512(query.as_ptr().add(start).cast::<__m512i>());
                (signed, _mm512_xor_si512(query, sign_bit))
            };
            sum = _mm512_dpbusd_epi32(sum, unsigned, signed);
        }
        let tail: i32 = vector[full_steps..]
            .iter()
            .zip(&query[full_steps..])
            .map(|(&a, &b)| i32::from(a) * (i32::from(b) + 128))
            .sum();
        *dot = _mm512_reduce_add_epi32(sum) + tail - 128 * sums[index];
    }
}
