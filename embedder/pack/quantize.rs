//! Layers in f32 to packed ones: see `format` for what is written.

use super::checkpoint::Checkpoint;
use super::reference::{LargestInputs, Layer, Matrix, Norm, WORDS, positions, token_type};
use crate::encoder::aligned::AlignedVec;
use crate::encoder::format::{ALIGNMENT, HEADER_LENGTH, PANEL, code_index};
use crate::encoder::shape::Shape;
use crate::error::EmbedError;

/// The packed file under way, at its full length from the start; every section is padded to the alignment.
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

    /// Writes a layer whose inputs reach as far as `largest` says.
    pub(super) fn layer(&mut self, layer: &Layer, largest: &LargestInputs) {
        let parts = by_panels([&layer.query, &layer.key, &layer.value]);
        self.linear(&parts, &largest.query_key_value);
        self.linear(&layer.attention_output, &largest.attention_output);
        self.norm(&layer.attention_norm);
        self.linear(&layer.widen, &largest.widen);
        self.linear(&layer.narrow, &largest.narrow);
        self.norm(&layer.feed_forward_norm);
    }

    fn linear(&mut self, matrix: &Matrix, largest: &[f32]) {
        let divisors = smoothing_divisors(matrix, largest);
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

/// The queries, keys and values of as many heads as fill a panel follow each other: what attention works on at a time.
fn by_panels(parts: [&Matrix; 3]) -> Matrix {
    let inputs = parts[0].inputs;
    let mut together = Matrix {
        inputs,
        weights: Vec::with_capacity(3 * parts[0].weights.len()),
        bias: Vec::with_capacity(3 * parts[0].bias.len()),
    };
    for start in (0..parts[0].bias.len()).step_by(PANEL) {
        for part in parts {
            together
                .weights
                .extend(&part.weights[start * inputs..(start + PANEL) * inputs]);
            together.bias.extend(&part.bias[start..start + PANEL]);
        }
    }
    together
}

/// `row ≈ scale · codes`, codes in -127..=127.
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

/// What to divide each input by and multiply its weights by: the root of how far the inputs reach over how far the
/// weights do, so that both have an equal share of the difficulty (SmoothQuant with α = 0.5).
fn smoothing_divisors(matrix: &Matrix, largest: &[f32]) -> Vec<f32> {
    let mut weights = vec![1e-6_f32; matrix.inputs];
    for row in matrix.weights.chunks_exact(matrix.inputs) {
        for (largest, weight) in weights.iter_mut().zip(row) {
            *largest = largest.max(weight.abs());
        }
    }
    largest
        .iter()
        .zip(&weights)
        .map(|(input, weight)| (input.max(1e-5) / weight).sqrt())
        .collect()
}
