//! Linear layers, in tiles of six rows by one panel of 64 outputs.
//!
//! A tile has 24 vectors of sums. With four vectors of weights and one of activations, it fits in the 32 registers, and a step of 24
//! multiplications needs only ten loads.

use std::arch::x86_64::*;
use std::ops::Range;

use super::{LANES, exp2};
use crate::encoder::format::{GROUP, PANEL};
use crate::encoder::kernels::{Affine, Quantized, RowsMut};
use crate::encoder::weights::Linear;

/// Rows of a full tile.
const TILE: usize = 6;
/// Vectors of sums per panel.
const VECTORS: usize = PANEL / LANES;

/// Computes the outputs of `panels` for the first `count` rows.
///
/// # Safety
/// The processor must have the instructions, and `check_sizes` must accept the slices.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn panels<const GELU: bool>(
    layer: &Linear<'_>,
    panels: Range<usize>,
    input: &Quantized,
    count: usize,
    out: RowsMut<'_>,
) {
    let first = panels.start;
    for panel in panels {
        let target = out.values.as_mut_ptr();
        let full = count - count % TILE;
        // SAFETY: rows stay below `count` and columns within the panels, and the caller has checked the sizes for both.
        unsafe {
            let target = target.add((panel - first) * PANEL);
            for row in (0..full).step_by(TILE) {
                tile::<TILE, GELU>(layer, panel, input, row, target.add(row * out.stride), out.stride);
            }
            let target = target.add(full * out.stride);
            match count - full {
                1 => tile::<1, GELU>(layer, panel, input, full, target, out.stride),
                2 => tile::<2, GELU>(layer, panel, input, full, target, out.stride),
                3 => tile::<3, GELU>(layer, panel, input, full, target, out.stride),
                4 => tile::<4, GELU>(layer, panel, input, full, target, out.stride),
                5 => tile::<5, GELU>(layer, panel, input, full, target, out.stride),
                _ => {}
            }
        }
    }
}

/// Computes one panel for `ROWS` rows, starting with `row`, and writes the result to `target`.
///
/// # Safety
/// The rows and the panel must exist. `target` must be writable for `ROWS` rows of 64 elements, `stride` apart.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn tile<const ROWS: usize, const GELU: bool>(
    layer: &Linear<'_>,
    panel: usize,
    input: &Quantized,
    row: usize,
    target: *mut f32,
    stride: usize,
) {
    let inputs = layer.inputs;
    // SAFETY: the caller guarantees rows, panel and target. The file format aligns weights to 64 bytes.
    unsafe {
        let mut weights = layer.codes.as_ptr().add(panel * PANEL * inputs);
        let codes = input.codes.as_ptr().add(row * inputs);
        let mut sums = [[_mm512_setzero_si512(); VECTORS]; ROWS];
        for group in (0..inputs).step_by(GROUP) {
            let vectors: [__m512i; VECTORS] =
                std::array::from_fn(|i| _mm512_load_si512(weights.add(i * LANES * GROUP).cast()));
            for (r, sums) in sums.iter_mut().enumerate() {
                let four = _mm512_set1_epi32(codes.add(r * inputs + group).cast::<i32>().read_unaligned());
                for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                    *sum = _mm512_dpbusd_epi32(*sum, four, vector);
                }
            }
            weights = weights.add(PANEL * GROUP);
        }
        let output = panel * PANEL;
        for (r, sums) in sums.iter().enumerate() {
            let Affine { scale, offset } = *input.affine.get_unchecked(row + r);
            let (row_scale, offset) = (_mm512_set1_ps(scale), _mm512_set1_ps(offset));
            for (i, &sum) in sums.iter().enumerate() {
                let at = output + i * LANES;
                let column_sum = _mm512_loadu_ps(layer.column_sum.as_ptr().add(at));
                let (scale, bias) = (
                    _mm512_loadu_ps(layer.scale.as_ptr().add(at)),
                    _mm512_loadu_ps(layer.bias.as_ptr().add(at)),
                );
                let product = _mm512_fmadd_ps(
                    _mm512_cvtepi32_ps(sum),
                    row_scale,
                    _mm512_mul_ps(offset, column_sum),
                );
                let mut value = _mm512_fmadd_ps(product, scale, bias);
                if GELU {
                    value = gelu(value);
                }
                _mm512_storeu_ps(target.add(r * stride + i * LANES), value);
            }
        }
    }
}

/// x · Φ(x), with erf by Abramowitz and Stegun 7.1.26 (error below 1.5·10⁻⁷).
#[target_feature(enable = "avx512f")]
#[inline]
fn gelu(x: __m512) -> __m512 {
    let constant = |value: f32| _mm512_set1_ps(value);
    let z = _mm512_mul_ps(_mm512_abs_ps(x), constant(std::f32::consts::FRAC_1_SQRT_2));
    let denominator = _mm512_fmadd_ps(z, constant(0.327_591_1), constant(1.0));
    // An estimate with one Newton step is faster than a division.
    let estimate = _mm512_rcp14_ps(denominator);
    let t = _mm512_mul_ps(estimate, _mm512_fnmadd_ps(denominator, estimate, constant(2.0)));
    let mut polynomial = constant(1.061_405_4);
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        polynomial = _mm512_fmadd_ps(polynomial, t, constant(coefficient));
    }
    let power = exp2(_mm512_mul_ps(
        _mm512_mul_ps(z, z),
        constant(-std::f32::consts::LOG2_E),
    ));
    let tail = _mm512_mul_ps(_mm512_mul_ps(polynomial, t), power);
    let half = _mm512_mul_ps(_mm512_mul_ps(x, constant(0.5)), tail);
    let negative = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_setzero_ps());
    _mm512_mask_mov_ps(_mm512_sub_ps(x, half), negative, half)
}
