//! AVX-512 VNNI: 64 codes an instruction. It multiplies unsigned by signed, so the query is moved up by 128, and 128 times the
//! sum of the vector's codes is taken off again.

use std::arch::x86_64::{
    __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_reduce_add_epi32, _mm512_set1_epi8,
    _mm512_setzero_si512, _mm512_xor_si512,
};

/// Codes taken at a time.
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
/// The CPU must have AVX-512 F, BW and VNNI, and `codes` must have `out.len()` vectors of the query's length, `stride` apart.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
unsafe fn dots_vnni(query: &[i8], codes: &[i8], stride: usize, sums: &[i32], out: &mut [i32]) {
    let dimensions = query.len();
    let whole = dimensions - dimensions % STEP;
    let up = _mm512_set1_epi8(i8::MIN);
    for (index, dot) in out.iter_mut().enumerate() {
        let vector = &codes[index * stride..][..dimensions];
        let mut sum = _mm512_setzero_si512();
        for at in (0..whole).step_by(STEP) {
            // SAFETY: at + STEP is at most the length of both slices, and the loads need no alignment.
            let (signed, unsigned) = unsafe {
                let signed = _mm512_loadu_si512(vector.as_ptr().add(at).cast::<__m512i>());
                // Turning the top bit over adds 128 to a signed byte and makes it an unsigned one.
                let query = _mm512_loadu_si512(query.as_ptr().add(at).cast::<__m512i>());
                (signed, _mm512_xor_si512(query, up))
            };
            sum = _mm512_dpbusd_epi32(sum, unsigned, signed);
        }
        let tail: i32 = vector[whole..]
            .iter()
            .zip(&query[whole..])
            .map(|(&a, &b)| i32::from(a) * (i32::from(b) + 128))
            .sum();
        *dot = _mm512_reduce_add_epi32(sum) + tail - 128 * sums[index];
    }
}
