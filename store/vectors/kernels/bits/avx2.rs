//! AVX2: popcount by table lookup of half bytes, for four vectors at a time.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_add_epi64, _mm256_and_si256, _mm256_loadu_si256, _mm256_sad_epu8,
    _mm256_set1_epi8, _mm256_set1_epi64x, _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi64, _mm256_srli_epi16, _mm256_storeu_si256, _mm256_sub_epi64,
};

use super::{BitPlanes, GROUP, PLANES, check};

/// Vectors per register.
const LANES: usize = 4;
/// Words whose popcounts fit a byte lane: at most 8 per byte of a word, 255 in all.
const WORDS: usize = 31;

pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx2")
}

/// See [`super::Sums`].
pub(super) fn sums(query: &[BitPlanes], sign_bits: &[u64], out: &mut [i32]) {
    assert!(is_available());
    check(query, sign_bits, out);
    // SAFETY: the CPU has AVX2, and the lengths fit, both checked above.
    unsafe { sums_avx2(query, sign_bits, out) }
}

/// # Safety
/// The CPU must have AVX2. `out.len()` must be a multiple of `GROUP`, and `sign_bits` must be `out.len()`
/// times as long as `query`.
#[target_feature(enable = "avx2")]
unsafe fn sums_avx2(query: &[BitPlanes], sign_bits: &[u64], out: &mut [i32]) {
    let words = query.len();
    #[rustfmt::skip]
    let popcounts = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let half_byte = _mm256_set1_epi8(0x0f);
    let zero = _mm256_setzero_si256();
    for (index, sums) in out.chunks_exact_mut(LANES).enumerate() {
        let (group, first) = (index * LANES / GROUP, index * LANES % GROUP);
        let group = &sign_bits[group * words * GROUP..][..words * GROUP];
        let mut totals = [zero; PLANES];
        for (part, query) in query.chunks(WORDS).enumerate() {
            let mut bytes = [zero; PLANES];
            for (word_index, planes) in query.iter().enumerate() {
                let offset = (part * WORDS + word_index) * GROUP + first;
                // SAFETY: offset + LANES is at most the group's length, and the load needs no alignment.
                let word = unsafe { _mm256_loadu_si256(group.as_ptr().add(offset).cast::<__m256i>()) };
                for (bytes, &plane) in bytes.iter_mut().zip(planes) {
                    let both = _mm256_and_si256(word, _mm256_set1_epi64x(plane as i64));
                    let low = _mm256_shuffle_epi8(popcounts, _mm256_and_si256(both, half_byte));
                    let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(both), half_byte);
                    let high = _mm256_shuffle_epi8(popcounts, upper);
                    *bytes = _mm256_add_epi8(*bytes, _mm256_add_epi8(low, high));
                }
            }
            for (total, bytes) in totals.iter_mut().zip(bytes) {
                *total = _mm256_add_epi64(*total, _mm256_sad_epu8(bytes, zero));
            }
        }
        let low = _mm256_add_epi64(totals[0], _mm256_slli_epi64::<1>(totals[1]));
        let high = _mm256_sub_epi64(
            _mm256_slli_epi64::<2>(totals[2]),
            _mm256_slli_epi64::<3>(totals[3]),
        );
        let mut lanes = [0i64; LANES];
        // SAFETY: the array has room for 4 values of 64 bits, and the store needs no alignment.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast::<__m256i>(), _mm256_add_epi64(low, high)) };
        for (sum, lane) in sums.iter_mut().zip(lanes) {
            *sum = lane as i32;
        }
    }
}
