//! The arithmetic in plain Rust. Loops run over a fixed number of lanes, which compilers vectorize.
//!
//! Functions are generic over [`Instructions`], because a fused `a · b + c` is one instruction on some processors and a slow library
//! call on others.

use std::ops::Range;

use super::{Activation, Affine, Arithmetic, HeadWorkspace, Quantized, Rows, RowsMut};
use crate::encoder::format::{GROUP, PANEL};
use crate::encoder::shape::MAX_WIDTH;
use crate::encoder::weights::{Linear, Norm};

/// Operations that differ between the processors that share these loops.
pub(super) trait Instructions {
    /// `a · b + c`, fused or not.
    fn multiply_add(a: f32, b: f32, c: f32) -> f32;
}

/// The kernel for any processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

impl Instructions for Portable {
    #[inline(always)]
    fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
        a * b + c
    }
}

impl Arithmetic for Portable {
    fn quantize(&self, rows: Rows<'_>, count: usize, smoothing: &[f32], out: &mut Quantized) {
        quantize(rows, count, smoothing, out);
    }

    fn linear(
        &self,
        layer: &Linear<'_>,
        panels: Range<usize>,
        input: &Quantized,
        count: usize,
        activation: Activation,
        out: RowsMut<'_>,
    ) {
        linear(layer, panels, input, count, activation, out);
    }

    fn add_and_norm(&self, x: &mut [f32], residual: &[f32], norm: &Norm<'_>) {
        add_and_norm::<Portable>(x, residual, norm);
    }

    fn attend(&self, heads: Rows<'_>, tokens: usize, space: &mut HeadWorkspace, context: RowsMut<'_>) {
        attend::<Portable>(heads, tokens, space, context);
    }
}

/// Values per step of a vectorized loop.
const LANES: usize = 16;
/// 1.5 · 2²³. Adding this number rounds a small value to the nearest integer and leaves that integer in the low bits.
const ROUND: f32 = 12_582_912.0;

#[inline(always)]
fn fold_lanes(values: &[f32], start: f32, combine: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    for chunk in values.chunks_exact(LANES) {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = combine(*lane, value);
        }
    }
    lanes.iter().fold(start, |folded, &lane| combine(folded, lane))
}

#[inline(always)]
fn smaller(a: f32, b: f32) -> f32 {
    if b < a { b } else { a }
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a { b } else { a }
}

#[inline(always)]
pub(super) fn quantize(rows: Rows<'_>, count: usize, smoothing: &[f32], out: &mut Quantized) {
    let width = smoothing.len();
    let mut smoothed = [0.0; MAX_WIDTH];
    let smoothed = &mut smoothed[..width];
    for (row, affine) in out.affine[..count].iter_mut().enumerate() {
        let values = &rows.values[row * rows.stride..][..width];
        for ((smoothed, value), factor) in smoothed.iter_mut().zip(values).zip(smoothing) {
            *smoothed = value * factor;
        }
        let low = fold_lanes(smoothed, f32::INFINITY, smaller);
        let high = fold_lanes(smoothed, f32::NEG_INFINITY, larger);
        let scale = ((high - low) / 255.0).max(f32::MIN_POSITIVE);
        let inverse = 1.0 / scale;
        for (code, &value) in out.codes[row * width..][..width].iter_mut().zip(&*smoothed) {
            *code = ((value - low) * inverse + ROUND).to_bits() as u8;
        }
        *affine = Affine { scale, offset: low };
    }
}

/// Outputs per step of [`dequantize`].
const OUTPUTS: usize = 8;

/// Copies the weights of one output out of the panel, then uses them for all rows. The dot product of two plain slices of 16-bit
/// numbers is a loop that compilers vectorize well for every processor.
fn linear(
    layer: &Linear<'_>,
    panels: Range<usize>,
    input: &Quantized,
    count: usize,
    activation: Activation,
    out: RowsMut<'_>,
) {
    let inputs = layer.inputs;
    let rows: Vec<i16> = input.codes[..count * inputs]
        .iter()
        .map(|&code| i16::from(code))
        .collect();
    let mut weights = vec![0_i16; inputs];
    let mut sums = vec![[0; PANEL]; count];
    let first = panels.start;
    for panel in panels {
        let codes = &layer.codes[panel * PANEL * inputs..][..PANEL * inputs];
        for output in 0..PANEL {
            let steps = codes.chunks_exact(PANEL * GROUP);
            for (four, step) in weights.as_chunks_mut::<GROUP>().0.iter_mut().zip(steps) {
                for (weight, &code) in four.iter_mut().zip(&step[output * GROUP..][..GROUP]) {
                    *weight = i16::from(code);
                }
            }
            for (sums, row) in sums.iter_mut().zip(rows.chunks_exact(inputs)) {
                let products = weights.iter().zip(row);
                sums[output] = products.map(|(&w, &code)| i32::from(w) * i32::from(code)).sum();
            }
        }
        for (row, (sums, affine)) in sums.iter().zip(&input.affine).enumerate() {
            let target = &mut out.values[row * out.stride + (panel - first) * PANEL..][..PANEL];
            dequantize::<Portable>(layer, panel * PANEL, sums, *affine, activation, target);
        }
    }
}

/// Turns the integer sums of one row into outputs, starting with output `output`: scale, bias and activation.
#[inline(always)]
pub(super) fn dequantize<I: Instructions>(
    layer: &Linear<'_>,
    output: usize,
    sums: &[i32],
    affine: Affine,
    activation: Activation,
    target: &mut [f32],
) {
    let outputs = output..output + sums.len();
    let (scale, bias) = (&layer.scale[outputs.clone()], &layer.bias[outputs.clone()]);
    let column_sum = &layer.column_sum[outputs];
    for first in (0..sums.len()).step_by(OUTPUTS) {
        for i in first..first + OUTPUTS {
            let product = I::multiply_add(sums[i] as f32, affine.scale, affine.offset * column_sum[i]);
            target[i] = I::multiply_add(product, scale[i], bias[i]);
        }
        if activation == Activation::Gelu {
            for value in &mut target[first..first + OUTPUTS] {
                *value = gelu::<I>(*value);
            }
        }
    }
}

/// 2^x for x ≤ 0, with a relative error of about 2·10⁻⁶. The integer part becomes the exponent, the fraction goes through a polynomial.
#[inline(always)]
fn exp2<I: Instructions>(x: f32) -> f32 {
    let x = larger(x, -126.0);
    let shifted = x + ROUND;
    let fraction = x - (shifted - ROUND);
    let mut power = 1.333_355_8e-3;
    for coefficient in [
        9.618_129e-3,
        5.550_411e-2,
        0.240_226_5,
        std::f32::consts::LN_2,
        1.0,
    ] {
        power = I::multiply_add(power, fraction, coefficient);
    }
    f32::from_bits(power.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// x · Φ(x), with erf by Abramowitz and Stegun 7.1.26 (error below 1.5·10⁻⁷).
#[inline(always)]
fn gelu<I: Instructions>(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / I::multiply_add(0.327_591_1, z, 1.0);
    let mut polynomial = 1.061_405_4;
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        polynomial = I::multiply_add(polynomial, t, coefficient);
    }
    let tail = polynomial * t * exp2::<I>(-z * z * std::f32::consts::LOG2_E);
    let half = 0.5 * x * tail;
    if x < 0.0 { half } else { x - half }
}

#[inline(always)]
pub(super) fn add_and_norm<I: Instructions>(x: &mut [f32], residual: &[f32], norm: &Norm<'_>) {
    let width = norm.weight.len();
    for (x, residual) in x.chunks_exact_mut(width).zip(residual.chunks_exact(width)) {
        for (x, residual) in x.iter_mut().zip(residual) {
            *x += residual;
        }
        let mean = fold_lanes(x, 0.0, |sum, x| sum + x) / width as f32;
        for x in x.iter_mut() {
            *x -= mean;
        }
        let squares = fold_squares::<I>(x);
        let inverse = 1.0 / (squares / width as f32 + norm.epsilon).sqrt();
        for ((x, weight), bias) in x.iter_mut().zip(norm.weight).zip(norm.bias) {
            *x = I::multiply_add(*x * inverse, *weight, *bias);
        }
    }
}

#[inline(always)]
fn fold_squares<I: Instructions>(values: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    for chunk in values.chunks_exact(LANES) {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = I::multiply_add(value, value, *lane);
        }
    }
    lanes.iter().sum()
}

/// Queries that share one pass over the keys.
const QUERY_BLOCK: usize = 4;
/// Coordinates of the values that are summed in one pass over the tokens.
const COLUMNS: usize = 32;

#[inline(always)]
pub(super) fn attend<I: Instructions>(
    heads: Rows<'_>,
    tokens: usize,
    space: &mut HeadWorkspace,
    context: RowsMut<'_>,
) {
    let width = space.width;
    let row = |token: usize, part: usize| &heads.values[token * heads.stride + part * PANEL..][..width];
    // Transpose the keys, so that one load reads the same coordinate of sixteen keys.
    let padded = tokens.next_multiple_of(LANES);
    let keys = &mut space.keys[..width * padded];
    keys.fill(0.0);
    for token in 0..tokens {
        for (coordinate, &value) in row(token, 1).iter().enumerate() {
            keys[coordinate * padded + token] = value;
        }
    }
    // Softmax uses base 2, so the scores get the factor log₂ e here, together with 1/√width.
    let scale = std::f32::consts::LOG2_E / (width as f32).sqrt();
    for first in (0..tokens).step_by(QUERY_BLOCK) {
        let count = QUERY_BLOCK.min(tokens - first);
        let queries: [&[f32]; QUERY_BLOCK] = std::array::from_fn(|q| row(first + q.min(count - 1), 0));
        for block in (0..padded).step_by(LANES) {
            let mut sums = [[0.0; LANES]; QUERY_BLOCK];
            for coordinate in 0..width {
                let keys = &keys[coordinate * padded + block..][..LANES];
                for (sums, query) in sums.iter_mut().zip(&queries) {
                    let query = query[coordinate] * scale;
                    for (sum, &key) in sums.iter_mut().zip(keys) {
                        *sum = I::multiply_add(query, key, *sum);
                    }
                }
            }
            for (q, sums) in sums.iter().enumerate() {
                space.scores[q * padded + block..][..LANES].copy_from_slice(sums);
            }
        }
        for q in 0..count {
            let weights = &mut space.scores[q * padded..][..padded];
            let inverse = softmax_numerators::<I>(weights, tokens);
            let target = &mut context.values[(first + q) * context.stride..][..width];
            for column in (0..width).step_by(COLUMNS) {
                let mut sums = [0.0; COLUMNS];
                for (token, &weight) in weights[..tokens].iter().enumerate() {
                    for (sum, &value) in sums.iter_mut().zip(&row(token, 2)[column..][..COLUMNS]) {
                        *sum = I::multiply_add(weight, value, *sum);
                    }
                }
                for (target, sum) in target[column..].iter_mut().zip(sums) {
                    *target = sum * inverse;
                }
            }
        }
    }
}

/// Replaces the scores by the numerators of softmax in base 2, and the padding after `tokens` by zeros. Returns one divided by the
/// sum of the numerators.
#[inline(always)]
pub(super) fn softmax_numerators<I: Instructions>(scores: &mut [f32], tokens: usize) -> f32 {
    scores[tokens..].fill(f32::NEG_INFINITY);
    let highest = fold_lanes(scores, f32::NEG_INFINITY, larger);
    for score in scores.iter_mut() {
        *score = exp2::<I>(*score - highest);
    }
    scores[tokens..].fill(0.0);
    1.0 / fold_lanes(scores, 0.0, |sum, score| sum + score)
}
