//! Quantizes layers and writes them in the format of `encoder::format`.

use super::checkpoint::Checkpoint;
use super::reference::{InputRanges, Layer, Matrix, Norm, WORDS, positions, token_type};
use crate::encoder::aligned::AlignedVec;
use crate::encoder::format::{ALIGNMENT, HEADER_LENGTH, PANEL, code_index};
use crate::encoder::shape::Shape;
use crate::error::EmbedError;

/// Writes the sections of a packed file, each padded to the alignment. The buffer has the file's full length from the start.
pub(super) struct Sections {
    shape: Shape,
    bytes: AlignedVec<u8>,
    at: usize,
}

impl Sections {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            shape,
            bytes: AlignedVec::zeroed(shape.packed_length()),
            at: HEADER_LENGTH,
        }
    }

    pub(super) fn finish(self) -> AlignedVec<u8> {
        self.bytes
    }

    pub(super) fn embeddings(&mut self, checkpoint: &Checkpoint) -> Result<(), EmbedError> {
        let Shape {
            vocabulary, hidden, ..
        } = self.shape;
        let mut scales = vec![0.0; vocabulary];
        let words = self.take(vocabulary * hidden);
        checkpoint.for_each_row(WORDS, [vocabulary, hidden], |id, row| {
            let (scale, codes) = symmetric(row);
            scales[id] = scale;
            words[id * hidden..][..hidden].copy_from_slice(bytemuck::cast_slice(&codes));
        })?;
        self.numbers(&scales);
        let mut positions = positions(checkpoint, self.shape)?;
        let kind = token_type(checkpoint, self.shape)?;
        for position in positions.chunks_exact_mut(hidden) {
            position
                .iter_mut()
                .zip(&kind)
                .for_each(|(value, kind)| *value += kind);
        }
        self.numbers(&positions);
        self.norm(&Norm::read(checkpoint, "embeddings.LayerNorm", self.shape)?);
        Ok(())
    }

    /// Quantizes and writes a layer. `ranges` are the ranges of its inputs.
    pub(super) fn layer(&mut self, layer: &Layer, ranges: &InputRanges) {
        let query_key_value = interleave_panels([&layer.query, &layer.key, &layer.value]);
        self.linear(&query_key_value, &ranges.query_key_value);
        self.linear(&layer.attention_output, &ranges.attention_output);
        self.norm(&layer.attention_norm);
        self.linear(&layer.widen, &ranges.widen);
        self.linear(&layer.narrow, &ranges.narrow);
        self.norm(&layer.feed_forward_norm);
    }

    fn linear(&mut self, matrix: &Matrix, input_range: &[f32]) {
        let divisors = smoothing_divisors(matrix, input_range);
        let packed = self.take(matrix.weights.len());
        let (mut scales, mut sums) = (Vec::new(), Vec::new());
        for (output, row) in matrix.weights.chunks_exact(matrix.inputs).enumerate() {
            let row: Vec<f32> = row
                .iter()
                .zip(&divisors)
                .map(|(weight, divisor)| weight * divisor)
                .collect();
            let (scale, codes) = symmetric(&row);
            for (input, &code) in codes.iter().enumerate() {
                packed[code_index(output, input, matrix.inputs)] = code.cast_unsigned();
            }
            scales.push(scale);
            sums.push(codes.iter().map(|&code| f32::from(code)).sum());
        }
        self.numbers(&divisors.iter().map(|divisor| 1.0 / divisor).collect::<Vec<_>>());
        self.numbers(&scales);
        self.numbers(&sums);
        self.numbers(&matrix.bias);
    }

    fn norm(&mut self, norm: &Norm) {
        self.numbers(&norm.weight);
        self.numbers(&norm.bias);
    }

    fn numbers(&mut self, numbers: &[f32]) {
        let place = self.take(size_of_val(numbers));
        for (place, number) in place.chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
    }

    /// The next section, `length` bytes long.
    fn take(&mut self, length: usize) -> &mut [u8] {
        let start = self.at;
        self.at = (start + length).next_multiple_of(ALIGNMENT);
        &mut self.bytes[start..start + length]
    }
}

/// Interleaves queries, keys and values panel by panel, because attention works on one panel of heads at a time.
fn interleave_panels(parts: [&Matrix; 3]) -> Matrix {
    let inputs = parts[0].inputs;
    let mut interleaved = Matrix {
        inputs,
        weights: Vec::with_capacity(3 * parts[0].weights.len()),
        bias: Vec::with_capacity(3 * parts[0].bias.len()),
    };
    for start in (0..parts[0].bias.len()).step_by(PANEL) {
        for part in parts {
            interleaved
                .weights
                .extend(&part.weights[start * inputs..(start + PANEL) * inputs]);
            interleaved.bias.extend(&part.bias[start..start + PANEL]);
        }
    }
    interleaved
}

/// Symmetric quantization: `row ≈ scale · codes`, codes in -127..=127.
fn symmetric(row: &[f32]) -> (f32, Vec<i8>) {
    let largest = row
        .iter()
        .fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let scale = largest / 127.0;
    (
        scale,
        row.iter().map(|value| (value / scale).round() as i8).collect(),
    )
}

/// For each input, the number that divides the input and multiplies its weights. It is √(input range / weight range), which splits the
/// quantization error evenly between inputs and weights (SmoothQuant with α = 0.5).
fn smoothing_divisors(matrix: &Matrix, input_range: &[f32]) -> Vec<f32> {
    let mut weight_range = vec![1e-6_f32; matrix.inputs];
    for row in matrix.weights.chunks_exact(matrix.inputs) {
        for (range, weight) in weight_range.iter_mut().zip(row) {
            *range = range.max(weight.abs());
        }
    }
    input_range
        .iter()
        .zip(&weight_range)
        .map(|(input, weight)| (input.max(1e-5) / weight).sqrt())
        .collect()
}
