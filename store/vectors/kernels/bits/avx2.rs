//! AVX2: bits counted by looking up half bytes, four vectors at a time.

use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_add_epi64, _mm256_and_si256, _mm256_loadu_si256, _mm256_sad_epu8,
    _mm256_set1_epi8, _mm256_set1_epi64x, _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi64, _mm256_srli_epi16, _mm256_storeu_si256, _mm256_sub_epi64,
};

use super::{GROUP, PLANES, Planes, check};

/// Vectors in a register.
const LANES: usize = 4;
/// Words whose counts a byte can add up: 8 each, 255 at most.
const WORDS: usize = 31;

pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx2")
}

/// See [`super::Sums`].
pub(super) fn sums(query: &[Planes], signs: &[u64], out: &mut [i32]) {
    assert!(is_available());
    check(query, signs, out);
    // SAFETY: the CPU has AVX2, and the lengths fit, both checked above.
    unsafe { sums_avx2(query, signs, out) }
}

/// # Safety
/// The CPU must have AVX2, `out` must be whole groups, and `signs` must be `out.len()` times as long as `query`.
#[target_feature(enable = "avx2")]
unsafe fn sums_avx2(query: &[Planes], signs: &[u64], out: &mut [i32]) {
    let words = query.len();
    #[rustfmt::skip]
    let counts_of_half = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let half = _mm256_set1_epi8(0x0f);
    let zero = _mm256_setzero_si256();
    for (index, sums) in out.chunks_exact_mut(LANES).enumerate() {
        let (group, side) = (index * LANES / GROUP, index * LANES % GROUP);
        let group = &signs[group * words * GROUP..][..words * GROUP];
        let mut totals = [zero; PLANES];
        for (part, query) in query.chunks(WORDS).enumerate() {
            let mut bytes = [zero; PLANES];
            for (at, planes) in query.iter().enumerate() {
                let place = (part * WORDS + at) * GROUP + side;
                // SAFETY: place + LANES is at most the group's length, and the load needs no alignment.
                let word = unsafe { _mm256_loadu_si256(group.as_ptr().add(place).cast::<__m256i>()) };
                for (bytes, &plane) in bytes.iter_mut().zip(planes) {
                    let both = _mm256_and_si256(word, _mm256_set1_epi64x(plane as i64));
                    let low = _mm256_shuffle_epi8(counts_of_half, _mm256_and_si256(both, half));
                    let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(both), half);
                    let high = _mm256_shuffle_epi8(counts_of_half, upper);
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
