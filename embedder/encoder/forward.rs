//! The forward pass of BERT (Devlin et al., 2018, <https://arxiv.org/abs/1810.04805>). The built-in model has the shape of MiniLM
//! (Wang et al., 2020, <https://arxiv.org/abs/2002.10957>) and the mean pooling of Sentence-BERT (Reimers and Gurevych, 2019,
//! <https://arxiv.org/abs/1908.10084>).
//!
//! The tokens of several texts form one matrix without padding. Linear layers ignore where a text ends; only attention and pooling
//! work text by text.

use std::ops::Range;

use super::aligned::AlignedVec;
use super::format::PANEL;
use super::kernels::{Activation, Arithmetic, HeadWorkspace, QKV_WIDTH, Quantized, Rows, RowsMut};
use super::shape::Shape;
use super::weights::{Embeddings, Layer, Linear, Weights};
use crate::model::Pooling;

/// Rows per block of the feed-forward part. The widened rows of a block stay in the L2 cache.
const BLOCK: usize = 96;
/// Padding after each widened row. With a stride that is a power of two, all rows would compete for the same few cache sets.
const WIDE_GAP: usize = 16;

/// Buffers for one forward pass. They grow to the largest batch so far.
pub(crate) struct Workspace {
    shape: Shape,
    hidden: AlignedVec<f32>,
    hidden_codes: Quantized,
    /// Queries, keys and values of one panel of heads.
    heads: AlignedVec<f32>,
    head: HeadWorkspace,
    context: AlignedVec<f32>,
    block: BlockWorkspace,
}

/// Buffers for the part of a layer that runs block by block.
struct BlockWorkspace {
    codes: Quantized,
    wide: AlignedVec<f32>,
    wide_codes: Quantized,
    delta: AlignedVec<f32>,
}

impl Workspace {
    pub(crate) fn new(shape: Shape) -> Self {
        let mut block = BlockWorkspace {
            codes: Quantized::default(),
            wide: AlignedVec::zeroed(BLOCK * (shape.feed_forward + WIDE_GAP)),
            wide_codes: Quantized::default(),
            delta: AlignedVec::zeroed(BLOCK * shape.hidden),
        };
        block.codes.grow(BLOCK, shape.hidden);
        block.wide_codes.grow(BLOCK, shape.feed_forward);
        Self {
            shape,
            hidden: AlignedVec::default(),
            hidden_codes: Quantized::default(),
            heads: AlignedVec::default(),
            head: HeadWorkspace::new(shape.head(), shape.positions),
            context: AlignedVec::default(),
            block,
        }
    }

    fn grow(&mut self, rows: usize) {
        self.hidden.grow(rows * self.shape.hidden);
        self.hidden_codes.grow(rows, self.shape.hidden);
        self.heads.grow(rows * QKV_WIDTH);
        self.context.grow(rows * self.shape.hidden);
    }
}

/// Returns one vector of length one for each text. Texts are token ids, including special tokens.
///
/// No text may be empty or longer than the model's positions, and all ids must be in the vocabulary.
pub(crate) fn encode(
    arithmetic: &impl Arithmetic,
    weights: &Weights<'_>,
    pooling: Pooling,
    texts: &[Vec<u32>],
    space: &mut Workspace,
) -> Vec<Vec<f32>> {
    let width = weights.header.shape.hidden;
    let mut rows = 0;
    let texts_rows: Vec<Range<usize>> = texts
        .iter()
        .map(|ids| {
            rows += ids.len();
            rows - ids.len()..rows
        })
        .collect();
    space.grow(rows);

    for (ids, rows) in texts.iter().zip(&texts_rows) {
        let hidden = &mut space.hidden[rows.start * width..rows.end * width];
        embed_tokens(arithmetic, &weights.embeddings, ids, width, hidden);
    }
    for layer in &weights.layers {
        attend(arithmetic, layer, &texts_rows, rows, space);
        for start in (0..rows).step_by(BLOCK) {
            let block = start * width..rows.min(start + BLOCK) * width;
            let hidden = &mut space.hidden[block.clone()];
            add_attention(arithmetic, layer, &space.context[block], hidden, &mut space.block);
            feed_forward(arithmetic, layer, hidden, &mut space.block);
        }
    }
    texts_rows
        .iter()
        .map(|rows| {
            pool(
                pooling,
                &space.hidden[rows.start * width..rows.end * width],
                width,
            )
        })
        .collect()
}

/// Adds the word and position embeddings and normalizes the sum. The packed positions already include the token type.
fn embed_tokens(
    arithmetic: &impl Arithmetic,
    embeddings: &Embeddings<'_>,
    ids: &[u32],
    width: usize,
    hidden: &mut [f32],
) {
    for (&id, hidden) in ids.iter().zip(hidden.chunks_exact_mut(width)) {
        let scale = embeddings.word_scales[id as usize];
        let codes = &embeddings.word_codes[id as usize * width..][..width];
        for (hidden, &code) in hidden.iter_mut().zip(codes) {
            *hidden = f32::from(code) * scale;
        }
    }
    arithmetic.add_and_norm(
        hidden,
        &embeddings.positions[..ids.len() * width],
        &embeddings.norm,
    );
}

/// Multi-head self-attention of each text (Vaswani et al., 2017, <https://arxiv.org/abs/1706.03762>), written to the context.
///
/// Works on one panel of heads at a time. The queries, keys and values of one panel fit in the cache for a whole text; those of all
/// heads do not.
fn attend(
    arithmetic: &impl Arithmetic,
    layer: &Layer<'_>,
    texts: &[Range<usize>],
    rows: usize,
    space: &mut Workspace,
) {
    let Shape { hidden: width, .. } = space.shape;
    let (head, heads_per_panel) = (space.shape.head(), space.shape.heads_per_panel());
    let hidden = Rows {
        values: &space.hidden,
        stride: width,
    };
    arithmetic.quantize(
        hidden,
        rows,
        layer.query_key_value.smoothing,
        &mut space.hidden_codes,
    );
    for group in 0..width / PANEL {
        let panels = group * QKV_WIDTH / PANEL..(group + 1) * QKV_WIDTH / PANEL;
        let out = RowsMut {
            values: &mut space.heads,
            stride: QKV_WIDTH,
        };
        arithmetic.linear(
            &layer.query_key_value,
            panels,
            &space.hidden_codes,
            rows,
            Activation::Identity,
            out,
        );
        for text in texts {
            for number in 0..heads_per_panel {
                let heads = Rows {
                    values: &space.heads[text.start * QKV_WIDTH + number * head..],
                    stride: QKV_WIDTH,
                };
                let column = group * PANEL + number * head;
                let context = RowsMut {
                    values: &mut space.context[text.start * width + column..],
                    stride: width,
                };
                arithmetic.attend(heads, text.len(), &mut space.head, context);
            }
        }
    }
}

/// `hidden = norm(hidden + project(context))`
fn add_attention(
    arithmetic: &impl Arithmetic,
    layer: &Layer<'_>,
    context: &[f32],
    hidden: &mut [f32],
    space: &mut BlockWorkspace,
) {
    let width = layer.attention_output.inputs;
    let context = Rows {
        values: context,
        stride: width,
    };
    let delta = RowsMut {
        values: &mut space.delta,
        stride: width,
    };
    let (project, rows) = (&layer.attention_output, hidden.len() / width);
    let codes = &mut space.codes;
    apply(
        arithmetic,
        project,
        Activation::Identity,
        context,
        rows,
        codes,
        delta,
    );
    arithmetic.add_and_norm(hidden, &space.delta, &layer.attention_norm);
}

/// `hidden = norm(hidden + narrow(gelu(widen(hidden))))`
fn feed_forward(
    arithmetic: &impl Arithmetic,
    layer: &Layer<'_>,
    hidden: &mut [f32],
    space: &mut BlockWorkspace,
) {
    let Layer { widen, narrow, .. } = layer;
    let width = widen.inputs;
    let rows = hidden.len() / width;
    let wide_stride = narrow.inputs + WIDE_GAP;
    let input = Rows {
        values: hidden,
        stride: width,
    };
    let wide = RowsMut {
        values: &mut space.wide,
        stride: wide_stride,
    };
    let codes = &mut space.codes;
    apply(arithmetic, widen, Activation::Gelu, input, rows, codes, wide);
    let wide = Rows {
        values: &space.wide,
        stride: wide_stride,
    };
    let delta = RowsMut {
        values: &mut space.delta,
        stride: width,
    };
    let codes = &mut space.wide_codes;
    apply(arithmetic, narrow, Activation::Identity, wide, rows, codes, delta);
    arithmetic.add_and_norm(hidden, &space.delta, &layer.feed_forward_norm);
}

/// Applies a linear layer to the first `count` rows of `input`. `codes` receives the quantized input.
fn apply(
    arithmetic: &impl Arithmetic,
    layer: &Linear<'_>,
    activation: Activation,
    input: Rows<'_>,
    count: usize,
    codes: &mut Quantized,
    out: RowsMut<'_>,
) {
    arithmetic.quantize(input, count, layer.smoothing, codes);
    let panels = 0..layer.scale.len() / PANEL;
    arithmetic.linear(layer, panels, codes, count, activation, out);
}

/// Pools the token vectors of a text and scales the result to length one. The sum serves as the mean, because scaling cancels the
/// division.
fn pool(pooling: Pooling, hidden: &[f32], width: usize) -> Vec<f32> {
    let mut pooled = vec![0.0; width];
    let tokens = match pooling {
        Pooling::Mean => hidden,
        Pooling::First => &hidden[..width],
    };
    for token in tokens.chunks_exact(width) {
        for (sum, value) in pooled.iter_mut().zip(token) {
            *sum += value;
        }
    }
    let length = pooled
        .iter()
        .map(|value| value * value)
        .sum::<f32>()
        .sqrt()
        .max(f32::MIN_POSITIVE);
    for value in &mut pooled {
        *value /= length;
    }
    pooled
}
