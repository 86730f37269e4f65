//! Official weights to packed ones: see `format` for what is written.

use anyhow::Result;
use autorag_embedder::encoder::format::{
    ALIGNMENT, FEED_FORWARD, HEADER_LENGTH, HEADS, HIDDEN, Header, LAYERS, PANEL, POSITIONS, VOCABULARY,
    code_index,
};

use crate::calibrate::LargestInputs;
use crate::reference::{Part, Reference};
use crate::safetensors::Safetensors;

/// Positions of the official weights; the model was trained on fewer.
pub(crate) const OFFICIAL_POSITIONS: usize = 512;

/// The packed file.
pub(crate) struct Packed {
    pub(crate) header: Header,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn pack(model: &Safetensors, vocabulary: &[u8]) -> Result<Packed> {
    let largest = LargestInputs::measure(&Reference::new(model)?);
    let mut file = Sections {
        bytes: vec![0; HEADER_LENGTH],
    };

    let words = model.tensor("embeddings.word_embeddings.weight", &[VOCABULARY, HIDDEN])?;
    let rows: Vec<(f32, Vec<i8>)> = words.chunks_exact(HIDDEN).map(symmetric).collect();
    file.codes(
        &rows
            .iter()
            .flat_map(|(_, codes)| codes)
            .copied()
            .collect::<Vec<_>>(),
    );
    file.numbers(&rows.iter().map(|(scale, _)| *scale).collect::<Vec<_>>());

    // Every text is of type 0 here, so its vector is part of each position.
    let mut positions = model.tensor(
        "embeddings.position_embeddings.weight",
        &[OFFICIAL_POSITIONS, HIDDEN],
    )?;
    positions.truncate(POSITIONS * HIDDEN);
    let types = model.tensor("embeddings.token_type_embeddings.weight", &[2, HIDDEN])?;
    for position in positions.chunks_exact_mut(HIDDEN) {
        for (value, kind) in position.iter_mut().zip(&types) {
            *value += kind;
        }
    }
    file.numbers(&positions);
    file.norm(model, "embeddings.LayerNorm")?;

    for layer in 0..LAYERS {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let query = Matrix::read(model, &name("attention.self.query"), HIDDEN, HIDDEN)?;
        let key = Matrix::read(model, &name("attention.self.key"), HIDDEN, HIDDEN)?;
        let value = Matrix::read(model, &name("attention.self.value"), HIDDEN, HIDDEN)?;
        let query_key_value = Matrix::by_head_pairs([&query, &key, &value]);
        let attention_output = Matrix::read(model, &name("attention.output.dense"), HIDDEN, HIDDEN)?;
        let widen = Matrix::read(model, &name("intermediate.dense"), HIDDEN, FEED_FORWARD)?;
        let narrow = Matrix::read(model, &name("output.dense"), FEED_FORWARD, HIDDEN)?;
        file.linear(&query_key_value, largest.of(layer, Part::QueryKeyValue)?);
        file.linear(&attention_output, largest.of(layer, Part::AttentionOutput)?);
        file.norm(model, &name("attention.output.LayerNorm"))?;
        file.linear(&widen, largest.of(layer, Part::Widen)?);
        file.linear(&narrow, largest.of(layer, Part::Narrow)?);
        file.norm(model, &name("output.LayerNorm"))?;
    }

    let mut hasher = blake3::Hasher::new();
    hasher.update(&file.bytes[HEADER_LENGTH..]).update(vocabulary);
    let header = Header {
        digest: hasher.finalize().into(),
    };
    file.bytes[..HEADER_LENGTH].copy_from_slice(&header.to_bytes());
    Ok(Packed {
        header,
        bytes: file.bytes,
    })
}

/// A linear layer: one row of weights for each output.
pub(crate) struct Matrix {
    pub(crate) inputs: usize,
    pub(crate) weights: Vec<f32>,
    pub(crate) bias: Vec<f32>,
}

impl Matrix {
    pub(crate) fn read(model: &Safetensors, name: &str, inputs: usize, outputs: usize) -> Result<Self> {
        Ok(Self {
            inputs,
            weights: model.tensor(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: model.tensor(&format!("{name}.bias"), &[outputs])?,
        })
    }

    /// The queries, keys and values of two heads follow each other: what attention works on at a time.
    fn by_head_pairs(parts: [&Matrix; 3]) -> Self {
        let mut together = Self {
            inputs: HIDDEN,
            weights: Vec::new(),
            bias: Vec::new(),
        };
        for pair in 0..HEADS / 2 {
            for part in parts {
                let outputs = pair * PANEL..(pair + 1) * PANEL;
                together
                    .weights
                    .extend(&part.weights[outputs.start * HIDDEN..outputs.end * HIDDEN]);
                together.bias.extend(&part.bias[outputs]);
            }
        }
        together
    }
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

/// The file under way; every section is padded to the alignment.
struct Sections {
    bytes: Vec<u8>,
}

impl Sections {
    fn codes(&mut self, codes: &[i8]) {
        self.bytes.extend(codes.iter().map(|code| code.cast_unsigned()));
        self.align();
    }

    fn numbers(&mut self, numbers: &[f32]) {
        self.bytes
            .extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }

    fn norm(&mut self, model: &Safetensors, name: &str) -> Result<()> {
        self.numbers(&model.tensor(&format!("{name}.weight"), &[HIDDEN])?);
        self.numbers(&model.tensor(&format!("{name}.bias"), &[HIDDEN])?);
        Ok(())
    }

    /// Writes a layer whose inputs reach `largest`.
    fn linear(&mut self, matrix: &Matrix, largest: &[f32]) {
        let divisors = smoothing_divisors(matrix, largest);
        let mut packed = vec![0; matrix.weights.len()];
        let (mut scales, mut sums) = (Vec::new(), Vec::new());
        for (output, row) in matrix.weights.chunks_exact(matrix.inputs).enumerate() {
            let row: Vec<f32> = row
                .iter()
                .zip(&divisors)
                .map(|(weight, divisor)| weight * divisor)
                .collect();
            let (scale, codes) = symmetric(&row);
            for (input, &code) in codes.iter().enumerate() {
                packed[code_index(output, input, matrix.inputs)] = code;
            }
            scales.push(scale);
            sums.push(codes.iter().map(|&code| f32::from(code)).sum());
        }
        self.codes(&packed);
        self.numbers(&divisors.iter().map(|divisor| 1.0 / divisor).collect::<Vec<_>>());
        self.numbers(&scales);
        self.numbers(&sums);
        self.numbers(&matrix.bias);
    }
}
