//! The model in f32, written for clarity: what the int8 encoder is measured against.

use anyhow::Result;
use autorag_embedder::encoder::format::{FEED_FORWARD, HEAD, HEADS, HIDDEN, LAYERS, VOCABULARY};

use crate::quantise::{Matrix, OFFICIAL_POSITIONS};
use crate::safetensors::Safetensors;

/// The official weights.
pub(crate) struct Reference {
    words: Vec<f32>,
    positions: Vec<f32>,
    types: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

struct Layer {
    query: Matrix,
    key: Matrix,
    value: Matrix,
    attention_output: Matrix,
    attention_norm: Norm,
    widen: Matrix,
    narrow: Matrix,
    feed_forward_norm: Norm,
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// The linear parts of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    QueryKeyValue,
    AttentionOutput,
    Widen,
    Narrow,
}

/// One vector a token.
pub(crate) type Tokens = Vec<Vec<f32>>;

impl Reference {
    pub(crate) fn new(model: &Safetensors) -> Result<Self> {
        let layer = |layer: usize| {
            let name = |part: &str| format!("encoder.layer.{layer}.{part}");
            let square = |part: &str| Matrix::read(model, &name(part), HIDDEN, HIDDEN);
            Ok(Layer {
                query: square("attention.self.query")?,
                key: square("attention.self.key")?,
                value: square("attention.self.value")?,
                attention_output: square("attention.output.dense")?,
                attention_norm: Norm::read(model, &name("attention.output.LayerNorm"))?,
                widen: Matrix::read(model, &name("intermediate.dense"), HIDDEN, FEED_FORWARD)?,
                narrow: Matrix::read(model, &name("output.dense"), FEED_FORWARD, HIDDEN)?,
                feed_forward_norm: Norm::read(model, &name("output.LayerNorm"))?,
            })
        };
        Ok(Self {
            words: model.tensor("embeddings.word_embeddings.weight", &[VOCABULARY, HIDDEN])?,
            positions: model.tensor(
                "embeddings.position_embeddings.weight",
                &[OFFICIAL_POSITIONS, HIDDEN],
            )?,
            types: model.tensor("embeddings.token_type_embeddings.weight", &[2, HIDDEN])?,
            norm: Norm::read(model, "embeddings.LayerNorm")?,
            layers: (0..LAYERS).map(layer).collect::<Result<_>>()?,
        })
    }

    /// The vector of a text given as ids with the special tokens, at length one.
    pub(crate) fn embed(&self, ids: &[u32]) -> Vec<f32> {
        self.embed_and_show(ids, |_, _, _| {})
    }

    /// As `embed`, and shows what each linear part of each layer takes in.
    pub(crate) fn embed_and_show(&self, ids: &[u32], mut show: impl FnMut(usize, Part, &Tokens)) -> Vec<f32> {
        let mut hidden: Tokens = ids
            .iter()
            .enumerate()
            .map(|(place, &id)| self.token(id as usize, place))
            .collect();
        for (number, layer) in self.layers.iter().enumerate() {
            show(number, Part::QueryKeyValue, &hidden);
            let context = attention(layer, &hidden);
            show(number, Part::AttentionOutput, &context);
            hidden = layer
                .attention_norm
                .of_sum(&hidden, &apply(&layer.attention_output, &context));
            show(number, Part::Widen, &hidden);
            let mut wide = apply(&layer.widen, &hidden);
            wide.iter_mut().flatten().for_each(|value| *value = gelu(*value));
            show(number, Part::Narrow, &wide);
            hidden = layer
                .feed_forward_norm
                .of_sum(&hidden, &apply(&layer.narrow, &wide));
        }
        let mut sum = vec![0.0; HIDDEN];
        for token in &hidden {
            sum.iter_mut().zip(token).for_each(|(sum, value)| *sum += value);
        }
        let length = dot(&sum, &sum).sqrt();
        sum.iter().map(|value| value / length).collect()
    }

    fn token(&self, id: usize, place: usize) -> Vec<f32> {
        let word = &self.words[id * HIDDEN..][..HIDDEN];
        let position = &self.positions[place * HIDDEN..][..HIDDEN];
        let sum: Vec<f32> = (0..HIDDEN)
            .map(|i| word[i] + position[i] + self.types[i])
            .collect();
        self.norm.of(&sum)
    }
}

fn attention(layer: &Layer, hidden: &Tokens) -> Tokens {
    let (queries, keys, values) = (
        apply(&layer.query, hidden),
        apply(&layer.key, hidden),
        apply(&layer.value, hidden),
    );
    let mut context = vec![vec![0.0; HIDDEN]; hidden.len()];
    for head in 0..HEADS {
        let part = head * HEAD..(head + 1) * HEAD;
        for (query, context) in queries.iter().zip(&mut context) {
            let scores = keys
                .iter()
                .map(|key| dot(&query[part.clone()], &key[part.clone()]) / (HEAD as f32).sqrt());
            for (weight, value) in softmax(&scores.collect::<Vec<_>>()).iter().zip(&values) {
                let context = context[part.clone()].iter_mut();
                context
                    .zip(&value[part.clone()])
                    .for_each(|(context, value)| *context += weight * value);
            }
        }
    }
    context
}

fn softmax(scores: &[f32]) -> Vec<f32> {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = scores.iter().map(|score| (score - highest).exp()).collect();
    let total: f32 = powers.iter().sum();
    powers.iter().map(|power| power / total).collect()
}

fn apply(matrix: &Matrix, tokens: &Tokens) -> Tokens {
    let rows = || matrix.weights.chunks_exact(matrix.inputs).zip(&matrix.bias);
    tokens
        .iter()
        .map(|token| rows().map(|(row, bias)| dot(row, token) + bias).collect())
        .collect()
}

/// Sixteen partial sums: fast, and nearer to the exact sum than one.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; 16];
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    lanes.iter().sum()
}

/// x · Φ(x), through the series of erf near zero and the continued fraction of erfc beyond.
fn gelu(x: f32) -> f32 {
    let x = f64::from(x);
    let z = x.abs() / std::f64::consts::SQRT_2;
    let erf = if z < 2.0 {
        let (mut term, mut sum) = (z, z);
        for n in 1..60 {
            term *= -z * z / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    } else {
        let fraction = (1..60).rev().fold(z, |below, n| z + f64::from(n) / 2.0 / below);
        1.0 - (-z * z).exp() / std::f64::consts::PI.sqrt() / fraction
    };
    (0.5 * x * (1.0 + erf.copysign(x))) as f32
}

impl Norm {
    fn read(model: &Safetensors, name: &str) -> Result<Self> {
        Ok(Self {
            weight: model.tensor(&format!("{name}.weight"), &[HIDDEN])?,
            bias: model.tensor(&format!("{name}.bias"), &[HIDDEN])?,
        })
    }

    fn of_sum(&self, a: &Tokens, b: &Tokens) -> Tokens {
        let sums = a
            .iter()
            .zip(b)
            .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<_>>());
        sums.map(|sum| self.of(&sum)).collect()
    }

    fn of(&self, row: &[f32]) -> Vec<f32> {
        let count = row.len() as f64;
        let mean = row.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let variance = row
            .iter()
            .map(|&value| (f64::from(value) - mean).powi(2))
            .sum::<f64>()
            / count;
        let deviation = (variance + 1e-12).sqrt();
        let normed = |(&value, (weight, bias)): (&f32, (&f32, &f32))| {
            ((f64::from(value) - mean) / deviation) as f32 * weight + bias
        };
        row.iter()
            .zip(self.weight.iter().zip(&self.bias))
            .map(normed)
            .collect()
    }
}
