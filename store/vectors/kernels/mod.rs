//! SIMD kernels: dot products of int8 codes, and in [`bits`] popcounts of sign bits. The fastest kernel that
//! the CPU supports is chosen at first use.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512_vnni;
pub(crate) mod bits;
mod portable;

use std::sync::OnceLock;

/// Computes the dot products of a query with vectors at equal distances.
///
/// `codes` starts with the first vector; each vector starts `stride` codes after the previous one. `sums` has
/// the sum of each vector's codes. All kernels give the same, exact result.
pub(crate) type Dots = fn(query: &[i8], codes: &[i8], stride: usize, sums: &[i32], out: &mut [i32]);

/// The fastest kernel that this CPU supports.
pub(crate) fn dots() -> Dots {
    static FASTEST: OnceLock<Dots> = OnceLock::new();
    *FASTEST.get_or_init(|| {
        available()
            .first()
            .map_or(portable::dots as Dots, |&(_, kernel)| kernel)
    })
}

/// All kernels that this CPU supports, fastest first.
pub(crate) fn available() -> Vec<(&'static str, Dots)> {
    let mut kernels: Vec<(&'static str, Dots)> = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if avx512_vnni::is_available() {
            kernels.push(("avx512-vnni", avx512_vnni::dots));
        }
        if avx2::is_available() {
            kernels.push(("avx2", avx2::dots));
        }
    }
    kernels.push(("portable", portable::dots));
    kernels
}

/// Prefetches codes to the L1 cache.
pub(crate) fn prefetch(codes: &[i8]) {
    /// Bytes per cache line.
    const LINE: usize = 64;
    #[cfg(target_arch = "x86_64")]
    for line in codes.chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads no data and cannot fault, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (codes, LINE);
}

/// Asserts that `codes` has every vector.
fn check(query: &[i8], codes: &[i8], stride: usize, out: &[i32]) {
    if let Some(last) = out.len().checked_sub(1) {
        assert!(stride >= query.len());
        assert!(codes.len() >= last * stride + query.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Includes extreme codes.
        #[test]
        fn every_kernel_equals_plain_arithmetic(
            dimensions in prop::sample::select(vec![1usize, 31, 32, 63, 64, 65, 128, 384, 385]),
            count in 0usize..9,
            gap in 0usize..20,
            seed in any::<u64>(),
        ) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut code = || match rng.u8(0..16) {
                0 => i8::MIN,
                1 => i8::MAX,
                _ => rng.i8(..),
            };
            let query: Vec<i8> = (0..dimensions).map(|_| code()).collect();
            let stride = dimensions + gap;
            let codes: Vec<i8> = (0..stride * count).map(|_| code()).collect();
            let vectors: Vec<&[i8]> = codes.chunks(stride).map(|vector| &vector[..dimensions]).collect();
            let sums: Vec<i32> = vectors.iter().map(|v| v.iter().map(|&c| i32::from(c)).sum()).collect();
            let expected: Vec<i32> = vectors
                .iter()
                .map(|v| v.iter().zip(&query).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum())
                .collect();
            for (name, kernel) in available() {
                let mut out = vec![0; count];
                kernel(&query, &codes[..codes.len().saturating_sub(gap)], stride, &sums, &mut out);
                prop_assert_eq!(&out, &expected, "{}", name);
            }
        }
    }
}
