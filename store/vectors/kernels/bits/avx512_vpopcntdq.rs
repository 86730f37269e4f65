//! AVX-512 VPOPCNTDQ: counts the bits of one word of eight vectors per instruction.

use std::arch::x86_64::{
    __m256i, __m512i, _mm256_storeu_si256, _mm512_add_epi64, _mm512_and_si512, _mm512_cvtepi64_epi32,
    _mm512_loadu_si512, _mm512_popcnt_epi64, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64,
    _mm512_sub_epi64,
};

use super::{BitPlanes, GROUP, PLANES, check};

pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vpopcntdq")
}

/// See [`super::Sums`].
pub(super) fn sums(query: &[BitPlanes], sign_bits: &[u64], out: &mut [i32]) {
    assert!(is_available());
    check(query, sign_bits, out);
    // SAFETY: the CPU has the instructions, and the lengths fit, both checked above.
    unsafe { sums_vpopcntdq(query, sign_bits, out) }
}

/// # Safety
/// The CPU must have AVX-512 F and VPOPCNTDQ. `out.len()` must be a multiple of `GROUP`, and `sign_bits` must
/// be `out.len()` times as long as `query`.
#[target_feature(enable = "avx512f,avx512vpopcntdq")]
unsafe fn sums_vpopcntdq(query: &[BitPlanes], sign_bits: &[u64], out: &mut [i32]) {
    let words = query.len();
    for (group_index, sums) in out.chunks_exact_mut(GROUP).enumerate() {
        let group = &sign_bits[group_index * words * GROUP..][..words * GROUP];
        let mut counts = [_mm512_setzero_si512(); PLANES];
        for (word_index, planes) in query.iter().enumerate() {
            // SAFETY: the group has GROUP words for each of the query's, and the load needs no alignment.
            let word =
                unsafe { _mm512_loadu_si512(group.as_ptr().add(word_index * GROUP).cast::<__m512i>()) };
            for (count, &plane) in counts.iter_mut().zip(planes) {
                let both = _mm512_and_si512(word, _mm512_set1_epi64(plane as i64));
                *count = _mm512_add_epi64(*count, _mm512_popcnt_epi64(both));
            }
        }
        let low = _mm512_add_epi64(counts[0], _mm512_slli_epi64::<1>(counts[1]));
        let high = _mm512_sub_epi64(
            _mm512_slli_epi64::<2>(counts[2]),
            _mm512_slli_epi64::<3>(counts[3]),
        );
        let sum = _mm512_cvtepi64_epi32(_mm512_add_epi64(low, high));
        // SAFETY: a group has 8 results of 32 bits, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(sums.as_mut_ptr().cast::<__m256i>(), sum) };
    }
}
