//! Every kernel against sums made plainly in f64, and against itself with other rows around.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::encoder::format::code_index;
use crate::encoder::shape::HEAD_WIDTHS;

const HIDDEN: usize = 384;
const FEED_FORWARD: usize = 1536;
const HEAD: usize = 32;
const POSITIONS: usize = 256;

/// The same numbers every time, between -1 and 1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    fn take(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// Calls a generic function with every kernel this processor has.
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
fn codes_stand_for_their_values() {
    fn check(kernel: &impl Arithmetic) {
        let mut values = Numbers(1).take(3 * HIDDEN);
        values[HIDDEN..2 * HIDDEN].fill(0.25);
        let codes = quantized(kernel, &values, HIDDEN);
        for (at, &value) in values.iter().enumerate() {
            let Affine { scale, offset } = codes.affine[at / HIDDEN];
            let error = f32::from(codes.codes[at]) * scale + offset - value;
            assert!(
                error.abs() <= 0.5001 * scale,
                "value {at} is wrong by {error} at a scale of {scale}"
            );
        }
        let row = &codes.codes[..HIDDEN];
        assert!(row.contains(&0) && row.contains(&255));

        let smoothing = Numbers(7).take(HIDDEN);
        let smoothed: Vec<f32> = values
            .iter()
            .zip(smoothing.iter().cycle())
            .map(|(value, factor)| value * factor)
            .collect();
        let expected = quantized(kernel, &smoothed, HIDDEN);
        let mut got = Quantized::default();
        got.grow(3, HIDDEN);
        kernel.quantize(
            Rows {
                values: &values,
                stride: HIDDEN,
            },
            3,
            &smoothing,
            &mut got,
        );
        assert!(got.affine == expected.affine && got.codes[..] == expected.codes[..]);
    }
    for_each_kernel!(check);
}

/// A layer of random codes, with the numbers it multiplies by.
struct Random {
    inputs: usize,
    codes: AlignedVec<i8>,
    scale: Vec<f32>,
    column_sum: Vec<f32>,
    bias: Vec<f32>,
}

impl Random {
    fn new(inputs: usize, outputs: usize) -> Self {
        let mut numbers = Numbers(2);
        let mut codes = AlignedVec::zeroed(inputs * outputs);
        let mut column_sum = vec![0.0; outputs];
        for output in 0..outputs {
            for input in 0..inputs {
                // The first output has the largest codes everywhere: its sums must not overflow.
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

    fn layer(&self) -> Linear<'_> {
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
    // Simpson's rule: slow, and nothing like what it checks.
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
fn a_linear_layer_is_the_sum_of_its_products() {
    fn check(kernel: &impl Arithmetic) {
        for (inputs, activation) in [(HIDDEN, Activation::Gelu), (FEED_FORWARD, Activation::Identity)] {
            let (rows, outputs) = (9, 3 * PANEL);
            let random = Random::new(inputs, outputs);
            let mut values = Numbers(3).take(rows * inputs);
            values[..inputs].fill(1.0);
            values[0] = 0.0;
            let input = quantized(kernel, &values, inputs);
            let stride = 2 * PANEL + 16;
            let mut out = vec![f32::NAN; rows * stride];
            kernel.linear(
                &random.layer(),
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
                &random.layer(),
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
                &random.layer(),
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
                            x * f64::from(random.codes[code_index(output, i, inputs)])
                        })
                        .sum();
                    let mut expected =
                        product * f64::from(random.scale[output]) + f64::from(random.bias[output]);
                    if activation == Activation::Gelu {
                        expected *= 0.5 * (1.0 + erf(expected / std::f64::consts::SQRT_2));
                    }
                    let got = f64::from(out[row * stride + column]);
                    let tolerance = 1e-4 * (1.0 + expected.abs());
                    assert!(
                        (got - expected).abs() < tolerance,
                        "row {row}, output {output}: {got}, not {expected}"
                    );
                }
                assert!(
                    out[row * stride + 2 * PANEL..][..16]
                        .iter()
                        .all(|value| value.is_nan()),
                    "wrote too far"
                );
            }
        }
    }
    for_each_kernel!(check);
}

#[test]
fn a_row_does_not_depend_on_the_rows_around_it() {
    fn check(kernel: &impl Arithmetic) {
        let random = Random::new(HIDDEN, PANEL);
        let values = Numbers(4).take(14 * HIDDEN);
        let run = |first: usize, rows: usize| {
            let input = quantized(kernel, &values[first * HIDDEN..][..rows * HIDDEN], HIDDEN);
            let mut out = vec![0.0; rows * PANEL];
            let target = RowsMut {
                values: &mut out,
                stride: PANEL,
            };
            kernel.linear(&random.layer(), 0..1, &input, rows, Activation::Gelu, target);
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
        let mut numbers = Numbers(5);
        let (x, residual) = (numbers.take(2 * HIDDEN), numbers.take(2 * HIDDEN));
        let (weight, bias) = (numbers.take(HIDDEN), numbers.take(HIDDEN));
        let mut got = x.clone();
        kernel.add_and_norm(
            &mut got,
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
                assert!((f64::from(got[row * HIDDEN + i]) - expected).abs() < 1e-5);
            }
        }
    }
    for_each_kernel!(check);
}

/// Attention in f64.
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
fn attention_mixes_the_values_by_softmax() {
    fn check(kernel: &impl Arithmetic) {
        for width in HEAD_WIDTHS {
            // One space for all, the longest first: what a text leaves behind must not show in the next.
            let mut space = HeadWorkspace::new(width, POSITIONS);
            for tokens in [POSITIONS, 1, 2, 15, 16, 17, 33, 100] {
                let heads: Vec<f32> = Numbers(6)
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
                    let got = f64::from(context[at / width * HIDDEN + at % width]);
                    // Values reach 2, in steps of 2/127 where they are codes, and so do queries and keys.
                    assert!(
                        (got - expected).abs() < 0.04,
                        "{tokens} tokens, value {at}: {got}, not {expected}"
                    );
                }
            }
        }
    }
    for_each_kernel!(check);
}

/// Many small and equal weights beside a large one: rounding each to the same side would lose a tenth of their sum.
#[test]
fn equal_weights_are_not_rounded_to_the_same_side() {
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
fn the_fastest_kernel_is_the_first_that_is_available() {
    let available = Kernel::available();
    assert_eq!(available[0], DetectedKernel::fastest().kernel());
    assert_eq!(available.last(), Some(&Kernel::Portable));
}
