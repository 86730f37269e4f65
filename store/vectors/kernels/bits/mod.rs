//! Weighted popcounts, which are nearly the whole cost of the prefilter. The fastest kernel that the CPU supports is
//! chosen at first use.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512_vpopcntdq;
mod portable;

use std::sync::OnceLock;

/// Vectors per group. The sign bits of a group are interleaved: first the first word (64 dimensions) of all
/// its vectors, then the second word of all, and so on. A 512-bit register then holds the same word of every
/// vector.
pub(crate) const GROUP: usize = 8;
/// Bits per value of a query.
pub(crate) const PLANES: usize = 4;

/// 64 values of a query as bit planes, in two's complement: the lowest bits first, the sign bits last.
pub(crate) type BitPlanes = [u64; PLANES];

/// Computes, for each vector, the sum of the query's values where the vector's sign bit is set.
///
/// `query` has one entry per word of 64 dimensions. `sign_bits` has `GROUP * query.len()` words for each
/// `GROUP` results. All kernels give the same, exact result.
pub(crate) type Sums = fn(query: &[BitPlanes], sign_bits: &[u64], out: &mut [i32]);

/// The fastest kernel that this CPU supports.
pub(crate) fn sums() -> Sums {
    static FASTEST: OnceLock<Sums> = OnceLock::new();
    *FASTEST.get_or_init(|| {
        available()
            .first()
            .map_or(portable::sums as Sums, |&(_, kernel)| kernel)
    })
}

/// All kernels that this CPU supports, fastest first.
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

/// Panics unless `out` holds whole groups of rows and `sign_bits` one word per row for each word of the query.
fn check(query: &[BitPlanes], sign_bits: &[u64], out: &[i32]) {
    assert_eq!(out.len() % GROUP, 0);
    assert_eq!(sign_bits.len(), query.len() * out.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_kernel_equals_a_loop_over_single_bits(
            words in prop::sample::select(vec![1usize, 2, 3, 6, 12, 31, 32, 48, 64]),
            groups in 0usize..5,
            all_set in any::<bool>(),
            seed in any::<u64>(),
        ) {
            let mut rng = fastrand::Rng::with_seed(seed);
            // With all bits set, sums of bytes are most likely to overflow.
            let mut word = || if all_set { u64::MAX } else { rng.u64(..) };
            let query: Vec<BitPlanes> = (0..words).map(|_| [word(), word(), word(), word()]).collect();
            let sign_bits: Vec<u64> = (0..words * groups * GROUP).map(|_| word()).collect();
            let mut expected = vec![0i32; groups * GROUP];
            for (vector, sum) in expected.iter_mut().enumerate() {
                for (index, planes) in query.iter().enumerate() {
                    let word = sign_bits[(vector / GROUP * words + index) * GROUP + vector % GROUP];
                    for bit in (0..64).filter(|bit| word >> bit & 1 == 1) {
                        let value = |plane: usize| (planes[plane] >> bit & 1) as i32;
                        *sum += value(0) + 2 * value(1) + 4 * value(2) - 8 * value(3);
                    }
                }
            }
            for (name, kernel) in available() {
                let mut out = vec![0; groups * GROUP];
                kernel(&query, &sign_bits, &mut out);
                prop_assert_eq!(&out, &expected, "{}", name);
            }
        }
    }
}
