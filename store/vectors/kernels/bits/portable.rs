//! Works on any CPU.

use super::{BitPlanes, GROUP, check};

/// See [`super::Sums`].
pub(super) fn sums(query: &[BitPlanes], sign_bits: &[u64], out: &mut [i32]) {
    check(query, sign_bits, out);
    if query.is_empty() {
        return out.fill(0);
    }
    let groups = sign_bits.chunks_exact(GROUP * query.len());
    for (sums, group) in out.chunks_exact_mut(GROUP).zip(groups) {
        sums.fill(0);
        for (planes, words) in query.iter().zip(group.chunks_exact(GROUP)) {
            for (sum, word) in sums.iter_mut().zip(words) {
                let count = |plane: usize| (planes[plane] & word).count_ones() as i32;
                *sum += count(0) + 2 * count(1) + 4 * count(2) - 8 * count(3);
            }
        }
    }
}
