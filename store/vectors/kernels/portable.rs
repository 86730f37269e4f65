//! Works on any CPU. The compiler vectorises this loop.

/// See [`super::Dots`].
pub(super) fn dots(query: &[i8], codes: &[i8], stride: usize, _sums: &[i32], out: &mut [i32]) {
    super::check(query, codes, stride, out);
    for (index, dot) in out.iter_mut().enumerate() {
        *dot = codes[index * stride..][..query.len()]
            .iter()
            .zip(query)
            .map(|(&a, &b)| i32::from(i16::from(a) * i16::from(b)))
            .sum();
    }
}
