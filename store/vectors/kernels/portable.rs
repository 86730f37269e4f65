//! For any CPU. Written so that the compiler vectorises it.

/// See [`super::Dots`].
pub(super) fn dots(query: &[i8], codes: &[i8], _sums: &[i32], out: &mut [i32]) {
    for (dot, vector) in out.iter_mut().zip(codes.chunks_exact(query.len().max(1))) {
        *dot = vector
            .iter()
            .zip(query)
            .map(|(&a, &b)| i32::from(i16::from(a) * i16::from(b)))
            .sum();
    }
}
