//! Scalar quantization from f32 to int8: symmetric, with one scale per vector.

/// The scale and the codes of `vector`. The largest absolute value becomes 127. Zero and non-finite vectors
/// become all zeros.
pub(crate) fn quantize(vector: &[f32]) -> (f32, Vec<i8>) {
    let largest = vector
        .iter()
        .fold(0.0f32, |largest, value| largest.max(value.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return (0.0, vec![0; vector.len()]);
    }
    let scale = largest / 127.0;
    (
        scale,
        vector.iter().map(|value| (value / scale).round() as i8).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zero_and_non_finite_vectors_have_scale_zero() {
        assert_eq!(quantize(&[0.0, 0.0]), (0.0, vec![0, 0]));
        assert_eq!(quantize(&[f32::NAN, f32::INFINITY]).0, 0.0);
    }

    proptest! {
        #[test]
        fn no_value_is_off_by_more_than_half_a_step(vector in proptest::collection::vec(-1.0f32..1.0, 1..64)) {
            let (scale, codes) = quantize(&vector);
            for (value, code) in vector.iter().zip(codes) {
                prop_assert!((value - scale * f32::from(code)).abs() <= scale * 0.5001);
            }
        }
    }
}
