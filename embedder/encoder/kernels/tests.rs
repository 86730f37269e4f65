//! Compares every kernel with plain sums in f64, and with itself in other batches.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::encoder::format::code_index;
use crate::encoder::shape::HEAD_WIDTHS;

const HIDDEN: usize = 384;
const FEED_FORWARD: usize = 1536;
const HEAD: usize = 32;
const POSITIONS: usize = 256;

/// Reproducible random numbers between -1 and 1.
struct Numbers(fastrand::Rng);

impl Numbers {
    fn with_seed(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    fn next(&mut self) -> f32 {
        2.0 * self.0.f32() - 1.0
    }

    fn take(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// Calls a generic function with every kernel that this processor can run.
macro_rules! for_each_kernel {
    ($check:ident) => {
        for kernel in Kernel::available() {
            println!("{kernel}");
            for_kernel!(kernel.detect().unwrap(), kernel => $check(&kernel));
        }
    };
}

fn quantized(kernel: &impl Arithmetic, values: &[f32], width: usize) -> Quantized {
    let mut out = Quantized::default();
    let rows = values.len() / width;
    out.grow(rows, width);
    kernel.quantize(
        Rows {
            values,
            stride: width,
        },
        rows,
        &vec![1.0; width],
        &mut out,
    );
    out
}

#[test]
fn codes_approximate_their_values_within_half_a_step() {
    fn check(kernel: &impl Arithmetic) {
        let mut values = Numbers::with_seed(1).take(3 * HIDDEN);
        values[HIDDEN..2 * HIDDEN].fill(0.25);
        let codes = quantized(kernel, &values, HIDDEN);
        for (at, &value) in values.iter().enumerate() {
            let Affine { scale, offset } = codes.affine[at / HIDDEN];
            let error = f32::from(codes.codes[at]) * scale + offset - value;
            assert!(
                error.abs() <= 0.5001 * scale,
                "value {at} is off by {error} at scale {scale}"
            );
        }
        let row = &codes.codes[..HIDDEN];
        assert!(row.contains(&0) && row.contains(&255));

        let smoothing = Numbers::with_seed(7).take(HIDDEN);
        let smoothed: Vec<f32> = values
            .iter()
            .zip(smoothing.iter().cycle())
            .map(|(value, factor)| value * factor)
            .collect();
        let expected = quantized(kernel, &smoothed, HIDDEN);
        let mut actual = Quantized::default();
        actual.grow(3, HIDDEN);
        kernel.quantize(
            Rows {
                values: &values,
                stride: HIDDEN,
            },
            3,
            &smoothing,
            &mut actual,
        );
        assert!(actual.affine == expected.affine && actual.codes[..] == expected.codes[..]);
    }
    for_each_kernel!(check);
}

/// A linear layer with random codes, scales and biases.
struct RandomLayer {
    inputs: usize,
    codes: AlignedVec<i8>,
    scale: Vec<f32>,
    column_sum: Vec<f32>,
    bias: Vec<f32>,
}

impl RandomLayer {
    fn new(inputs: usize, outputs: usize) -> Self {
        let mut numbers = Numbers::with_seed(2);
        let mut codes = AlignedVec::zeroed(inputs * outputs);
        let mut column_sum = vec![0.0; outputs];
        for output in 0..outputs {
            for input in 0..inputs {
                // The first output has only the largest codes, so that any overflow of the sums shows.
                let code = if output == 0 {
                    127.0
                } else {
                    (numbers.next() * 127.0).round()
                };
                codes[code_index(output, input, inputs)] = code as i8;
                column_sum[output] += code;
            }
        }
        let scale = numbers
            .take(outputs)
            .iter()
            .map(|scale| scale.abs() * 1e-3)
            .collect();
        Self {
            inputs,
            codes,
            scale,
            column_sum,
            bias: numbers.take(outputs),
        }
    }

    fn as_linear(&self) -> Linear<'_> {
        let Self {
            inputs,
            codes,
            scale,
            column_sum,
            bias,
        } = self;
        Linear {
            inputs: *inputs,
            codes,
            smoothing: &[],
            scale,
            column_sum,
            bias,
        }
    }
}

fn erf(x: f64) -> f64 {
    // Simpson's rule is slow, but shares nothing with the code under test.
    let steps = 2000;
    let width = x / f64::from(steps);
    let sum: f64 = (0..=steps)
        .map(|i| {
            let weight = if i == 0 || i == steps {
                1.0
            } else {
                f64::from(2 + 2 * (i % 2))
            };
            weight * (-(width * f64::from(i)).powi(2)).exp()
        })
        .sum();
    sum * width / 3.0 * std::f64::consts::FRAC_2_SQRT_PI
}

#[test]
fn a_linear_layer_computes_the_sum_of_products() {
    fn check(kernel: &impl Arithmetic) {
        for (inputs, activation) in [(HIDDEN, Activation::Gelu), (FEED_FORWARD, Activation::Identity)] {
            let (rows, outputs) = (9, 3 * PANEL);
            let layer = RandomLayer::new(inputs, outputs);
            let mut values = Numbers::with_seed(3).take(rows * inputs);
            values[..inputs].fill(1.0);
            values[0] = 0.0;
            let input = quantized(kernel, &values, inputs);
            let stride = 2 * PANEL + 16;
            let mut out = vec![f32::NAN; rows * stride];
            kernel.linear(
                &layer.as_linear(),
                1..3,
                &input,
                rows,
                activation,
                RowsMut {
                    values: &mut out,
                    stride,
                },
            );
            kernel.linear(
                &layer.as_linear(),
                0..1,
                &input,
                rows,
                activation,
                RowsMut {
                    values: &mut out,
                    stride,
                },
            );
            kernel.linear(
                &layer.as_linear(),
                2..3,
                &input,
                rows,
                activation,
                RowsMut {
                    values: &mut out[PANEL..],
                    stride,
                },
            );
            for row in 0..rows {
                let Affine { scale, offset } = input.affine[row];
                for (column, output) in (0..PANEL).chain(2 * PANEL..3 * PANEL).enumerate() {
                    let product: f64 = (0..inputs)
                        .map(|i| {
                            let x = f64::from(input.codes[row * inputs + i]) * f64::from(scale)
                                + f64::from(offset);
                            x * f64::from(layer.codes[code_index(output, i, inputs)])
                        })
                        .sum();
                    let mut expected =
                        product * f64::from(layer.scale[output]) + f64::from(layer.bias[output]);
                    if activation == Activation::Gelu {
                        expected *= 0.5 * (1.0 + erf(expected / std::f64::consts::SQRT_2));
                    }
                    let actual = f64::from(out[row * stride + column]);
                    let tolerance = 1e-4 * (1.0 + expected.abs());
                    assert!(
                        (actual - expected).abs() < tolerance,
                        "row {row}, output {output}: {actual}, not {expected}"
                    );
                }
                assert!(
                    out[row * stride + 2 * PANEL..][..16]
                        .iter()
                        .all(|value| value.is_nan()),
                    "wrote beyond the panels"
                );
            }
        }
    }
    for_each_kernel!(check);
}

#[test]
fn a_row_does_not_depend_on_the_other_rows() {
    fn check(kernel: &impl Arithmetic) {
        let layer = RandomLayer::new(HIDDEN, PANEL);
        let values = Numbers::with_seed(4).take(14 * HIDDEN);
        let run = |first: usize, rows: usize| {
            let input = quantized(kernel, &values[first * HIDDEN..][..rows * HIDDEN], HIDDEN);
            let mut out = vec![0.0; rows * PANEL];
            let target = RowsMut {
                values: &mut out,
                stride: PANEL,
            };
            kernel.linear(&layer.as_linear(), 0..1, &input, rows, Activation::Gelu, target);
            out
        };
        let all = run(0, 14);
        for (first, rows) in [
            (0, 1),
            (3, 2),
            (13, 1),
            (1, 13),
            (5, 7),
            (2, 3),
            (4, 4),
            (6, 5),
            (7, 6),
        ] {
            assert_eq!(run(first, rows), all[first * PANEL..][..rows * PANEL]);
        }
    }
    for_each_kernel!(check);
}

#[test]
fn a_normalized_row_has_mean_zero_and_variance_one() {
    fn check(kernel: &impl Arithmetic) {
        let mut numbers = Numbers::with_seed(5);
        let (x, residual) = (numbers.take(2 * HIDDEN), numbers.take(2 * HIDDEN));
        let (weight, bias) = (numbers.take(HIDDEN), numbers.take(HIDDEN));
        let mut actual = x.clone();
        kernel.add_and_norm(
            &mut actual,
            &residual,
            &Norm {
                weight: &weight,
                bias: &bias,
                epsilon: 1e-12,
            },
        );
        for row in 0..2 {
            let sums: Vec<f64> = (row * HIDDEN..(row + 1) * HIDDEN)
                .map(|i| f64::from(x[i]) + f64::from(residual[i]))
                .collect();
            let mean = sums.iter().sum::<f64>() / HIDDEN as f64;
            let deviation = (sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / HIDDEN as f64).sqrt();
            for (i, sum) in sums.iter().enumerate() {
                let expected = (sum - mean) / deviation * f64::from(weight[i]) + f64::from(bias[i]);
                assert!((f64::from(actual[row * HIDDEN + i]) - expected).abs() < 1e-5);
            }
        }
    }
    for_each_kernel!(check);
}

/// Reference attention in f64.
fn attention(heads: &[f32], tokens: usize, width: usize) -> Vec<f64> {
    let part = |token: usize, part: usize| {
        heads[token * QKV_WIDTH + part * PANEL..][..width]
            .iter()
            .map(|&x| f64::from(x))
    };
    let mut context = Vec::new();
    for query in 0..tokens {
        let scores: Vec<f64> = (0..tokens)
            .map(|key| {
                part(query, 0).zip(part(key, 1)).map(|(a, b)| a * b).sum::<f64>() / (width as f64).sqrt()
            })
            .collect();
        let highest = scores.iter().copied().fold(f64::MIN, f64::max);
        let powers: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
        let total: f64 = powers.iter().sum();
        let mut mixed = vec![0.0; width];
        for (token, power) in powers.iter().enumerate() {
            mixed
                .iter_mut()
                .zip(part(token, 2))
                .for_each(|(mixed, value)| *mixed += power / total * value);
        }
        context.extend(mixed);
    }
    context
}

#[test]
fn attention_weights_the_values_by_softmax() {
    fn check(kernel: &impl Arithmetic) {
        for width in HEAD_WIDTHS {
            // All texts share one workspace, the longest first: leftovers of a text must not affect the next.
            let mut space = HeadWorkspace::new(width, POSITIONS);
            for tokens in [POSITIONS, 1, 2, 15, 16, 17, 33, 100] {
                let heads: Vec<f32> = Numbers::with_seed(6)
                    .take(tokens * QKV_WIDTH)
                    .iter()
                    .map(|value| value * 2.0)
                    .collect();
                let mut context = vec![f32::NAN; tokens * HIDDEN];
                let target = RowsMut {
                    values: &mut context,
                    stride: HIDDEN,
                };
                let rows = Rows {
                    values: &heads,
                    stride: QKV_WIDTH,
                };
                kernel.attend(rows, tokens, &mut space, target);
                for (at, expected) in attention(&heads, tokens, width).into_iter().enumerate() {
                    let actual = f64::from(context[at / width * HIDDEN + at % width]);
                    // Queries, keys and values lie between -2 and 2. In int8 attention their step is 2/127.
                    assert!(
                        (actual - expected).abs() < 0.04,
                        "{tokens} tokens, value {at}: {actual}, not {expected}"
                    );
                }
            }
        }
    }
    for_each_kernel!(check);
}

/// One large weight and many small equal ones. If each of these were rounded in the same direction, a tenth of their sum would be lost.
#[test]
fn equal_weights_are_not_all_rounded_in_the_same_direction() {
    fn check(kernel: &impl Arithmetic) {
        let tokens = POSITIONS;
        let mut heads = vec![0.0; tokens * QKV_WIDTH];
        for (token, row) in heads.chunks_exact_mut(QKV_WIDTH).enumerate() {
            row[0] = 5.0;
            row[PANEL] = if token == 0 { 5.0 } else { 0.0 };
            row[2 * PANEL..2 * PANEL + HEAD].fill(if token == 0 { 0.0 } else { 1.0 });
        }
        let mut context = vec![0.0; tokens * HEAD];
        let target = RowsMut {
            values: &mut context,
            stride: HEAD,
        };
        kernel.attend(
            Rows {
                values: &heads,
                stride: QKV_WIDTH,
            },
            tokens,
            &mut HeadWorkspace::new(HEAD, POSITIONS),
            target,
        );
        let expected = attention(&heads, tokens, HEAD)[0];
        assert!(
            (f64::from(context[0]) - expected).abs() < 0.01,
            "{}, not {expected}",
            context[0]
        );
    }
    for_each_kernel!(check);
}

#[test]
fn the_fastest_kernel_is_the_first_available_one() {
    let available = Kernel::available();
    assert_eq!(available[0], DetectedKernel::fastest().kernel());
    assert_eq!(available.last(), Some(&Kernel::Portable));
}
