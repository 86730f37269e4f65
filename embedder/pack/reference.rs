//! The model in f32, written for clarity. Calibration observes it, and the int8 encoder is compared with it.

use std::ops::Range;

use super::checkpoint::Checkpoint;
use crate::encoder::shape::Shape;
use crate::error::EmbedError;
#[cfg(feature = "pack")]
use crate::model::Pooling;

/// Rows per block of a matrix product. They stay in the cache while the weights stream through.
const BLOCK: usize = 16;

/// The state of a forward pass that runs layer by layer.
pub struct Reference {
    shape: Shape,
    /// One row for each token of all texts.
    hidden: Vec<f32>,
    /// The rows of each text.
    texts: Vec<Range<usize>>,
}

/// The largest absolute value of each input of a layer's linear parts.
pub(super) struct InputRanges {
    pub(super) query_key_value: Vec<f32>,
    pub(super) attention_output: Vec<f32>,
    pub(super) widen: Vec<f32>,
    pub(super) narrow: Vec<f32>,
}

impl Reference {
    /// Embeds texts, given as token ids with special tokens. The vectors have length one.
    ///
    /// # Errors
    /// `UnusableModel` if a tensor is missing or has another shape.
    #[cfg(feature = "pack")]
    pub fn embed(
        checkpoint: &Checkpoint,
        shape: Shape,
        pooling: Pooling,
        texts: &[Vec<u32>],
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut reference = Self::start(checkpoint, shape, texts)?;
        for number in 0..shape.layers {
            reference.forward(&Layer::read(checkpoint, shape, number)?);
        }
        let pooled = reference.texts.iter().map(|rows| {
            let rows = match pooling {
                Pooling::Mean => rows.clone(),
                Pooling::First => rows.start..rows.start + 1,
            };
            let mut sum = vec![0.0; shape.hidden];
            for token in reference.hidden[rows.start * shape.hidden..rows.end * shape.hidden]
                .chunks_exact(shape.hidden)
            {
                sum.iter_mut().zip(token).for_each(|(sum, value)| *sum += value);
            }
            let length = dot(&sum, &sum).sqrt();
            sum.iter().map(|value| value / length).collect()
        });
        Ok(pooled.collect())
    }

    /// Computes the input of the first layer: the sum of word, position and token type embeddings, normalized.
    pub(super) fn start(
        checkpoint: &Checkpoint,
        shape: Shape,
        texts: &[Vec<u32>],
    ) -> Result<Self, EmbedError> {
        let width = shape.hidden;
        let mut rows = 0;
        let ranges: Vec<Range<usize>> = texts
            .iter()
            .map(|ids| {
                rows += ids.len();
                rows - ids.len()..rows
            })
            .collect();
        let mut hidden = vec![0.0; rows * width];
        // The word table is read once in order of ids, so that it need not be in memory.
        let ids: Vec<usize> = texts.iter().flatten().map(|&id| id as usize).collect();
        let mut by_id: Vec<usize> = (0..rows).collect();
        by_id.sort_by_key(|&row| ids[row]);
        let mut next = by_id.iter().peekable();
        checkpoint.for_each_row(WORDS, [shape.vocabulary, width], |id, word| {
            while let Some(&&row) = next.peek()
                && ids[row] == id
            {
                hidden[row * width..][..width].copy_from_slice(word);
                next.next();
            }
        })?;
        let (positions, kind) = (positions(checkpoint, shape)?, token_type(checkpoint, shape)?);
        for text in &ranges {
            let tokens = hidden[text.start * width..text.end * width].iter_mut();
            let added = positions.iter().zip(kind.iter().cycle());
            tokens
                .zip(added)
                .for_each(|(value, (position, kind))| *value = *value + position + kind);
        }
        let norm = Norm::read(checkpoint, "embeddings.LayerNorm", shape)?;
        hidden.chunks_exact_mut(width).for_each(|row| norm.apply(row));
        Ok(Self {
            shape,
            hidden,
            texts: ranges,
        })
    }

    /// Runs all texts through one layer, and returns the ranges of its inputs.
    pub(super) fn forward(&mut self, layer: &Layer) -> InputRanges {
        let width = self.shape.hidden;
        let context = self.attention(layer);
        let query_key_value = column_ranges(&self.hidden, width);
        let attention_output = column_ranges(&context, width);
        self.add_and_norm(
            &layer.attention_output.apply(&context, |value| value),
            &layer.attention_norm,
        );
        let wide = layer.widen.apply(&self.hidden, gelu);
        let widen = column_ranges(&self.hidden, width);
        let narrow = column_ranges(&wide, self.shape.feed_forward);
        self.add_and_norm(
            &layer.narrow.apply(&wide, |value| value),
            &layer.feed_forward_norm,
        );
        InputRanges {
            query_key_value,
            attention_output,
            widen,
            narrow,
        }
    }

    fn add_and_norm(&mut self, delta: &[f32], norm: &Norm) {
        self.hidden
            .iter_mut()
            .zip(delta)
            .for_each(|(value, delta)| *value += delta);
        self.hidden
            .chunks_exact_mut(self.shape.hidden)
            .for_each(|row| norm.apply(row));
    }

    fn attention(&self, layer: &Layer) -> Vec<f32> {
        let (width, head) = (self.shape.hidden, self.shape.head());
        let identity = |value| value;
        let (queries, keys, values) = (
            layer.query.apply(&self.hidden, identity),
            layer.key.apply(&self.hidden, identity),
            layer.value.apply(&self.hidden, identity),
        );
        let mut context = vec![0.0; self.hidden.len()];
        for text in &self.texts {
            for start in (0..width).step_by(head) {
                let part = |row: usize| row * width + start..row * width + start + head;
                for row in text.clone() {
                    let scores: Vec<f32> = text
                        .clone()
                        .map(|key| dot(&queries[part(row)], &keys[part(key)]) / (head as f32).sqrt())
                        .collect();
                    for (weight, value) in softmax(&scores).into_iter().zip(text.clone()) {
                        let context = context[part(row)].iter_mut();
                        context
                            .zip(&values[part(value)])
                            .for_each(|(context, value)| *context += weight * value);
                    }
                }
            }
        }
        context
    }
}

/// Name of the word embedding tensor.
pub(super) const WORDS: &str = "embeddings.word_embeddings.weight";
/// Name of the position embedding tensor.
pub(super) const POSITIONS: &str = "embeddings.position_embeddings.weight";
/// Name of the token type embedding tensor.
const TYPES: &str = "embeddings.token_type_embeddings.weight";

/// The embedding of each position that a text uses.
pub(super) fn positions(checkpoint: &Checkpoint, shape: Shape) -> Result<Vec<f32>, EmbedError> {
    let rows = checkpoint.rows(POSITIONS).unwrap_or_default();
    let mut positions = checkpoint.tensor(POSITIONS, &[rows, shape.hidden])?;
    positions.drain(..(checkpoint.first_position * shape.hidden).min(positions.len()));
    positions.truncate(shape.positions * shape.hidden);
    Ok(positions)
}

/// The embedding of token type 0, which every token of a single text has.
pub(super) fn token_type(checkpoint: &Checkpoint, shape: Shape) -> Result<Vec<f32>, EmbedError> {
    let rows = checkpoint.rows(TYPES).unwrap_or_default();
    let mut types = checkpoint.tensor(TYPES, &[rows, shape.hidden])?;
    types.truncate(shape.hidden);
    Ok(types)
}

/// One layer in f32.
pub(super) struct Layer {
    pub(super) query: Matrix,
    pub(super) key: Matrix,
    pub(super) value: Matrix,
    pub(super) attention_output: Matrix,
    pub(super) attention_norm: Norm,
    pub(super) widen: Matrix,
    pub(super) narrow: Matrix,
    pub(super) feed_forward_norm: Norm,
}

impl Layer {
    pub(super) fn read(checkpoint: &Checkpoint, shape: Shape, number: usize) -> Result<Self, EmbedError> {
        let (hidden, wide) = (shape.hidden, shape.feed_forward);
        let name = |part: &str| format!("encoder.layer.{number}.{part}");
        let matrix = |part: &str, inputs, outputs| Matrix::read(checkpoint, &name(part), inputs, outputs);
        Ok(Self {
            query: matrix("attention.self.query", hidden, hidden)?,
            key: matrix("attention.self.key", hidden, hidden)?,
            value: matrix("attention.self.value", hidden, hidden)?,
            attention_output: matrix("attention.output.dense", hidden, hidden)?,
            attention_norm: Norm::read(checkpoint, &name("attention.output.LayerNorm"), shape)?,
            widen: matrix("intermediate.dense", hidden, wide)?,
            narrow: matrix("output.dense", wide, hidden)?,
            feed_forward_norm: Norm::read(checkpoint, &name("output.LayerNorm"), shape)?,
        })
    }
}

/// A linear layer with one row of weights for each output.
pub(super) struct Matrix {
    pub(super) inputs: usize,
    pub(super) weights: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

impl Matrix {
    fn read(checkpoint: &Checkpoint, name: &str, inputs: usize, outputs: usize) -> Result<Self, EmbedError> {
        Ok(Self {
            inputs,
            weights: checkpoint.tensor(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: checkpoint.tensor(&format!("{name}.bias"), &[outputs])?,
        })
    }

    /// Applies the layer and `activation` to each row, on all processors.
    fn apply(&self, rows: &[f32], activation: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
        let outputs = self.bias.len();
        let count = rows.len() / self.inputs;
        let mut out = vec![0.0; count * outputs];
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let share = count.div_ceil(threads).max(1);
        let work = |rows: &[f32], out: &mut [f32]| {
            let blocks = rows
                .chunks(BLOCK * self.inputs)
                .zip(out.chunks_mut(BLOCK * outputs));
            for (rows, out) in blocks {
                for (output, weights) in self.weights.chunks_exact(self.inputs).enumerate() {
                    for (row, out) in rows.chunks_exact(self.inputs).zip(out.chunks_exact_mut(outputs)) {
                        out[output] = activation(dot(weights, row) + self.bias[output]);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for (rows, out) in rows
                .chunks(share * self.inputs)
                .zip(out.chunks_mut(share * outputs))
            {
                scope.spawn(|| work(rows, out));
            }
        });
        out
    }
}

/// The learned scale and shift of a layer normalization.
pub(super) struct Norm {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    epsilon: f64,
}

impl Norm {
    pub(super) fn read(checkpoint: &Checkpoint, name: &str, shape: Shape) -> Result<Self, EmbedError> {
        Ok(Self {
            weight: checkpoint.tensor(&format!("{name}.weight"), &[shape.hidden])?,
            bias: checkpoint.tensor(&format!("{name}.bias"), &[shape.hidden])?,
            epsilon: f64::from(shape.norm_epsilon),
        })
    }

    fn apply(&self, row: &mut [f32]) {
        let count = row.len() as f64;
        let mean = row.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let variance = row
            .iter()
            .map(|&value| (f64::from(value) - mean).powi(2))
            .sum::<f64>()
            / count;
        let deviation = (variance + self.epsilon).sqrt();
        for (value, (weight, bias)) in row.iter_mut().zip(self.weight.iter().zip(&self.bias)) {
            *value = ((f64::from(*value) - mean) / deviation) as f32 * weight + bias;
        }
    }
}

/// The largest absolute value of each column.
fn column_ranges(rows: &[f32], width: usize) -> Vec<f32> {
    let mut ranges = vec![0.0_f32; width];
    for row in rows.chunks_exact(width) {
        ranges
            .iter_mut()
            .zip(row)
            .for_each(|(range, value)| *range = range.max(value.abs()));
    }
    ranges
}

fn softmax(scores: &[f32]) -> Vec<f32> {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = scores.iter().map(|score| (score - highest).exp()).collect();
    let total: f32 = powers.iter().sum();
    powers.iter().map(|power| power / total).collect()
}

/// Dot product with sixteen partial sums, which is faster and more exact than one sum. The lengths must be a multiple of sixteen.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; 16];
    for (a, b) in a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    lanes.iter().sum()
}

/// x · Φ(x), with the power series of erf near zero and the continued fraction of erfc farther out.
fn gelu(x: f32) -> f32 {
    let x = f64::from(x);
    let z = x.abs() / std::f64::consts::SQRT_2;
    let erf = if z < 2.0 {
        let (mut term, mut sum) = (z, z);
        for n in 1..60 {
            term *= -z * z / f64::from(n);
            let next = sum + term / f64::from(2 * n + 1);
            // The terms only shrink from here on, so no later term can change the sum.
            if next == sum && n > 4 {
                break;
            }
            sum = next;
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else if z < 6.0 {
        let fraction = (1..60).rev().fold(z, |below, n| z + f64::from(n) / 2.0 / below);
        1.0 - (-z * z).exp() / std::f64::consts::PI.sqrt() / fraction
    } else {
        1.0
    };
    (0.5 * x * (1.0 + erf.copysign(x))) as f32
}
