//! The encoder: BERT (Devlin et al., 2018, <https://arxiv.org/abs/1810.04805>) with the shape of MiniLM (Wang et al.,
//! 2020, <https://arxiv.org/abs/2002.10957>), and the mean pooling of Sentence-BERT (Reimers and Gurevych, 2019,
//! <https://arxiv.org/abs/1908.10084>).
//!
//! The tokens of several texts lie one after the other in one matrix, without padding: a linear layer does not care
//! where a text ends, only attention and pooling do.

use std::ops::Range;

use crate::encoder::aligned::AlignedVec;
use crate::encoder::format::{FEED_FORWARD, HEAD, HEAD_PAIR, HEADS, HIDDEN, PANEL};
use crate::encoder::kernels::{Activation, Arithmetic, HeadSpace, Quantised, Rows, RowsMut};
use crate::encoder::weights::{Embeddings, Layer, Weights};

/// Rows that go through the feed-forward part together: their widened form stays in the second-level cache.
const BLOCK: usize = 96;
/// Widened rows lie this far apart. A power of two would put every row into the same few cache sets.
const WIDE_STRIDE: usize = FEED_FORWARD + 16;

/// Room for one forward pass at a time; grows to the largest batch it has seen.
pub(crate) struct Workspace {
    hidden: AlignedVec<f32>,
    hidden_codes: Quantised,
    /// Queries, keys and values of two heads.
    heads: AlignedVec<f32>,
    head: HeadSpace,
    context: AlignedVec<f32>,
    block: BlockSpace,
}

/// Room for the part of a layer that is done block by block.
struct BlockSpace {
    codes: Quantised,
    wide: AlignedVec<f32>,
    wide_codes: Quantised,
    delta: AlignedVec<f32>,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        let mut block = BlockSpace {
            codes: Quantised::default(),
            wide: AlignedVec::zeroed(BLOCK * WIDE_STRIDE),
            wide_codes: Quantised::default(),
            delta: AlignedVec::zeroed(BLOCK * HIDDEN),
        };
        block.codes.grow(BLOCK, HIDDEN);
        block.wide_codes.grow(BLOCK, FEED_FORWARD);
        Self {
            hidden: AlignedVec::default(),
            hidden_codes: Quantised::default(),
            heads: AlignedVec::default(),
            head: HeadSpace::new(),
            context: AlignedVec::default(),
            block,
        }
    }

    fn grow(&mut self, rows: usize) {
        self.hidden.grow(rows * HIDDEN);
        self.hidden_codes.grow(rows, HIDDEN);
        self.heads.grow(rows * HEAD_PAIR);
        self.context.grow(rows * HIDDEN);
    }
}

/// One L2-normalised vector for each text, given as token ids with the special ones.
///
/// No text may be empty or longer than the model's positions, and ids must be in the vocabulary.
pub(crate) fn encode(
    arithmetic: &impl Arithmetic,
    weights: &Weights<'_>,
    texts: &[Vec<u32>],
    space: &mut Workspace,
) -> Vec<Vec<f32>> {
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
        let hidden = &mut space.hidden[rows.start * HIDDEN..rows.end * HIDDEN];
        embed_tokens(arithmetic, &weights.embeddings, ids, hidden);
    }
    for layer in &weights.layers {
        attend(arithmetic, layer, &texts_rows, rows, space);
        for start in (0..rows).step_by(BLOCK) {
            let block = start * HIDDEN..rows.min(start + BLOCK) * HIDDEN;
            let hidden = &mut space.hidden[block.clone()];
            add_attention(arithmetic, layer, &space.context[block], hidden, &mut space.block);
            feed_forward(arithmetic, layer, hidden, &mut space.block);
        }
    }
    texts_rows
        .iter()
        .map(|rows| pool(&space.hidden[rows.start * HIDDEN..rows.end * HIDDEN]))
        .collect()
}

/// Word plus position (which has the token type in it), normalised.
fn embed_tokens(arithmetic: &impl Arithmetic, embeddings: &Embeddings<'_>, ids: &[u32], hidden: &mut [f32]) {
    for (&id, hidden) in ids.iter().zip(hidden.chunks_exact_mut(HIDDEN)) {
        let scale = embeddings.word_scales[id as usize];
        let codes = &embeddings.word_codes[id as usize * HIDDEN..][..HIDDEN];
        for (hidden, &code) in hidden.iter_mut().zip(codes) {
            *hidden = f32::from(code) * scale;
        }
    }
    arithmetic.add_and_norm(
        hidden,
        &embeddings.positions[..ids.len() * HIDDEN],
        &embeddings.norm,
    );
}

/// Multi-head self-attention of each text (Vaswani et al., 2017, <https://arxiv.org/abs/1706.03762>), into the context.
///
/// Two heads at a time: their queries, keys and values of a whole text fit in the cache, those of twelve do not.
fn attend(
    arithmetic: &impl Arithmetic,
    layer: &Layer<'_>,
    texts: &[Range<usize>],
    rows: usize,
    space: &mut Workspace,
) {
    let hidden = Rows {
        values: &space.hidden,
        stride: HIDDEN,
    };
    arithmetic.quantise(
        hidden,
        rows,
        layer.query_key_value.smoothing,
        &mut space.hidden_codes,
    );
    for pair in 0..HEADS / 2 {
        let panels = pair * HEAD_PAIR / PANEL..(pair + 1) * HEAD_PAIR / PANEL;
        let out = RowsMut {
            values: &mut space.heads,
            stride: HEAD_PAIR,
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
            for head in 0..2 {
                let heads = Rows {
                    values: &space.heads[text.start * HEAD_PAIR + head * HEAD..],
                    stride: HEAD_PAIR,
                };
                let column = (pair * 2 + head) * HEAD;
                let context = RowsMut {
                    values: &mut space.context[text.start * HIDDEN + column..],
                    stride: HIDDEN,
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
    space: &mut BlockSpace,
) {
    let rows = hidden.len() / HIDDEN;
    let context = Rows {
        values: context,
        stride: HIDDEN,
    };
    arithmetic.quantise(context, rows, layer.attention_output.smoothing, &mut space.codes);
    let out = RowsMut {
        values: &mut space.delta,
        stride: HIDDEN,
    };
    arithmetic.linear(
        &layer.attention_output,
        0..HIDDEN / PANEL,
        &space.codes,
        rows,
        Activation::Identity,
        out,
    );
    arithmetic.add_and_norm(hidden, &space.delta, &layer.attention_norm);
}

/// `hidden = norm(hidden + narrow(gelu(widen(hidden))))`
fn feed_forward(arithmetic: &impl Arithmetic, layer: &Layer<'_>, hidden: &mut [f32], space: &mut BlockSpace) {
    let rows = hidden.len() / HIDDEN;
    arithmetic.quantise(
        Rows {
            values: hidden,
            stride: HIDDEN,
        },
        rows,
        layer.widen.smoothing,
        &mut space.codes,
    );
    let out = RowsMut {
        values: &mut space.wide,
        stride: WIDE_STRIDE,
    };
    arithmetic.linear(
        &layer.widen,
        0..FEED_FORWARD / PANEL,
        &space.codes,
        rows,
        Activation::Gelu,
        out,
    );
    let wide = Rows {
        values: &space.wide,
        stride: WIDE_STRIDE,
    };
    arithmetic.quantise(wide, rows, layer.narrow.smoothing, &mut space.wide_codes);
    let out = RowsMut {
        values: &mut space.delta,
        stride: HIDDEN,
    };
    arithmetic.linear(
        &layer.narrow,
        0..HIDDEN / PANEL,
        &space.wide_codes,
        rows,
        Activation::Identity,
        out,
    );
    arithmetic.add_and_norm(hidden, &space.delta, &layer.feed_forward_norm);
}

/// The mean over the tokens, at length one. The division by their number falls away in the normalisation.
fn pool(hidden: &[f32]) -> Vec<f32> {
    let mut sum = vec![0.0; HIDDEN];
    for token in hidden.chunks_exact(HIDDEN) {
        for (sum, value) in sum.iter_mut().zip(token) {
            *sum += value;
        }
    }
    let length = sum
        .iter()
        .map(|value| value * value)
        .sum::<f32>()
        .sqrt()
        .max(f32::MIN_POSITIVE);
    for value in &mut sum {
        *value /= length;
    }
    sum
}
