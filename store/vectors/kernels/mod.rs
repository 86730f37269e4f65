//! Dot products of 8-bit codes, and in [`bits`] what a scan of signs takes. Chosen once, by what the CPU has.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512_vnni;
pub(crate) mod bits;
mod portable;

use std::sync::OnceLock;

/// Dot products of a query with vectors that lie one after another.
///
/// `query` are its codes; `codes` begins with the first vector, and each lies `stride` codes after the one before; `sums` has
/// the sum of each vector's codes. The result is exact, whatever kernel computes it.
pub(crate) type Dots = fn(query: &[i8], codes: &[i8], stride: usize, sums: &[i32], out: &mut [i32]);

/// The fastest kernel that this CPU has.
pub(crate) fn dots() -> Dots {
    static CHOSEN: OnceLock<Dots> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        available()
            .first()
            .map_or(portable::dots as Dots, |&(_, kernel)| kernel)
    })
}

/// Every kernel that this CPU has, fastest first.
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

/// Has codes that are going to be looked at brought near.
pub(crate) fn bring_near(codes: &[i8]) {
    /// What comes at a time.
    const LINE: usize = 64;
    #[cfg(target_arch = "x86_64")]
    for line in codes.chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: it reads nothing and cannot fail, wherever it points to.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (codes, LINE);
}

/// That every vector is there.
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
        /// Every kernel computes what arithmetic says, extreme codes included.
        #[test]
        fn kernels_agree(
            dimensions in prop::sample::select(vec![1usize, 31, 32, 63, 64, 65, 128, 384, 385]),
            count in 0usize..9,
            apart in 0usize..20,
            seed in any::<u64>(),
        ) {
            let mut state = seed | 1;
            let mut code = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                match state >> 60 { 0 => i8::MIN, 1 => i8::MAX, _ => (state >> 40) as i8 }
            };
            let query: Vec<i8> = (0..dimensions).map(|_| code()).collect();
            let stride = dimensions + apart;
            let codes: Vec<i8> = (0..stride * count).map(|_| code()).collect();
            let vectors: Vec<&[i8]> = codes.chunks(stride).map(|vector| &vector[..dimensions]).collect();
            let sums: Vec<i32> = vectors.iter().map(|v| v.iter().map(|&c| i32::from(c)).sum()).collect();
            let expected: Vec<i32> = vectors
                .iter()
                .map(|v| v.iter().zip(&query).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum())
                .collect();
            for (name, kernel) in available() {
                let mut out = vec![0; count];
                kernel(&query, &codes[..codes.len().saturating_sub(apart)], stride, &sums, &mut out);
                prop_assert_eq!(&out, &expected, "{}", name);
            }
        }
    }
}
