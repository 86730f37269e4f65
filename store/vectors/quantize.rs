//! From 32 bits a value to 8: symmetric, one scale a vector.

/// Codes of `vector` and what a code is worth. The largest value in size becomes 127.
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
    fn zeros_and_nonsense() {
        assert_eq!(quantize(&[0.0, 0.0]), (0.0, vec![0, 0]));
        assert_eq!(quantize(&[f32::NAN, f32::INFINITY]).0, 0.0);
    }

    proptest! {
        /// No value is off by more than half a step.
        #[test]
        fn close_to_the_original(vector in proptest::collection::vec(-1.0f32..1.0, 1..64)) {
            let (scale, codes) = quantize(&vector);
            for (value, code) in vector.iter().zip(codes) {
                prop_assert!((value - scale * f32::from(code)).abs() <= scale * 0.5001);
            }
        }
    }
}
