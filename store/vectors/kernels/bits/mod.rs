//! Weighted counts of set bits: the whole cost of a scan of signs. Chosen once, by what the CPU has.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512_vpopcntdq;
mod portable;

use std::sync::OnceLock;

/// Vectors whose signs lie together: word after word of 64 dimensions, each word of all of them side by side, so that a
/// register of 512 bits holds the same word of each.
pub(crate) const GROUP: usize = 8;
/// Bits of a query's value.
pub(crate) const PLANES: usize = 4;

/// A word of 64 values of a query, bit by bit: the lowest first, the last the sign, as in two's complement.
pub(crate) type Planes = [u64; PLANES];

/// For each vector, the sum of a query's values where the vector's bit is set.
///
/// `query` are its words; `signs` has `GROUP * query.len()` words for each `GROUP` of results. The result is exact,
/// whatever kernel computes it.
pub(crate) type Sums = fn(query: &[Planes], signs: &[u64], out: &mut [i32]);

/// The fastest kernel that this CPU has.
pub(crate) fn sums() -> Sums {
    static CHOSEN: OnceLock<Sums> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        available()
            .first()
            .map_or(portable::sums as Sums, |&(_, kernel)| kernel)
    })
}

/// Every kernel that this CPU has, fastest first.
pub(crate) fn available() -> Vec<(&'static str, Sums)> {
    let mut kernels: Vec<(&'static str, Sums)> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if avx512_vpopcntdq::is_available() {
            kernels.push(("avx512-vpopcntdq", avx512_vpopcntdq::sums));
        }
        if avx2::is_available() {
            kernels.push(("avx2", avx2::sums));
        }
    }
    kernels.push(("portable", portable::sums));
    kernels
}

/// Words that belong to a group.
fn check(query: &[Planes], signs: &[u64], out: &[i32]) {
    assert_eq!(out.len() % GROUP, 0);
    assert_eq!(signs.len(), query.len() * out.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Every kernel computes what a loop over single bits does.
        #[test]
        fn kernels_agree(
            words in prop::sample::select(vec![1usize, 2, 3, 6, 12, 31, 32, 48, 64]),
            groups in 0usize..5,
            dense in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let mut word = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let high = state >> 32;
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let random = high << 32 | state >> 32;
                // All bits set is where a sum of bytes would overflow.
                if dense { u64::MAX } else { random }
            };
            let query: Vec<Planes> = (0..words).map(|_| [word(), word(), word(), word()]).collect();
            let signs: Vec<u64> = (0..words * groups * GROUP).map(|_| word()).collect();
            let mut expected = vec![0i32; groups * GROUP];
            for (vector, sum) in expected.iter_mut().enumerate() {
                for (at, planes) in query.iter().enumerate() {
                    let signs = signs[(vector / GROUP * words + at) * GROUP + vector % GROUP];
                    for bit in (0..64).filter(|bit| signs >> bit & 1 == 1) {
                        let value = |plane: usize| (planes[plane] >> bit & 1) as i32;
                        *sum += value(0) + 2 * value(1) + 4 * value(2) - 8 * value(3);
                    }
                }
            }
            for (name, kernel) in available() {
                let mut out = vec![0; groups * GROUP];
                kernel(&query, &signs, &mut out);
                prop_assert_eq!(&out, &expected, "{}", name);
            }
        }
    }
}
