//! The arithmetic for processors with AVX-512 and VNNI. Its `vpdpbusd` multiplies four unsigned by four signed bytes in each of
//! sixteen lanes and adds the products to a sum.
//!
//! Functions take raw pointers where bounds checks in a loop would cost time. The methods of [`Avx512Vnni`] check all sizes before
//! the loops.

mod attention;
mod linear;

use std::arch::x86_64::*;
use std::ops::Range;

use super::{Activation, Affine, Arithmetic, HeadWorkspace, Quantized, Rows, RowsMut, check_sizes};
use crate::encoder::format::PANEL;
use crate::encoder::weights::{Linear, Norm};

/// Lanes of f32 per vector.
const LANES: usize = 16;

/// Proof that the processor has AVX-512 F, BW, VL, DQ and VNNI.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512Vnni(());

impl Avx512Vnni {
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vnni"))
        .then_some(Self(()))
    }
}

impl Arithmetic for Avx512Vnni {
    fn quantize(&self, rows: Rows<'_>, count: usize, smoothing: &[f32], out: &mut Quantized) {
        let width = smoothing.len();
        assert!(width > 0 && width.is_multiple_of(LANES) && out.codes.len() >= count * width);
        for (row, affine) in out.affine[..count].iter_mut().enumerate() {
            let values = &rows.values[row * rows.stride..][..width];
            let codes = &mut out.codes[row * width..][..width];
            // SAFETY: `self` proves the instructions. All slices have `width` elements, a multiple of 16.
            *affine = unsafe { quantize_row(values.as_ptr(), smoothing, codes.as_mut_ptr()) };
        }
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
        if count == 0 || panels.is_empty() {
            return;
        }
        check_sizes(layer, &panels, input, count, &out);
        // SAFETY: `self` proves the instructions, and the sizes were checked above.
        unsafe {
            match activation {
                Activation::Identity => linear::panels::<false>(layer, panels, input, count, out),
                Activation::Gelu => linear::panels::<true>(layer, panels, input, count, out),
            }
        }
    }

    fn add_and_norm(&self, x: &mut [f32], residual: &[f32], norm: &Norm<'_>) {
        let width = norm.weight.len();
        assert!(width > 0 && width.is_multiple_of(LANES) && norm.bias.len() == width);
        for (x, residual) in x.chunks_exact_mut(width).zip(residual.chunks_exact(width)) {
            // SAFETY: `self` proves the instructions. All four slices have equal length, a multiple of 16.
            unsafe { add_and_norm_row(x, residual, norm) }
        }
    }

    fn attend(&self, heads: Rows<'_>, tokens: usize, space: &mut HeadWorkspace, context: RowsMut<'_>) {
        if tokens == 0 {
            return;
        }
        let width = space.width;
        assert!(tokens <= space.tokens);
        assert!(heads.values.len() >= (tokens - 1) * heads.stride + 2 * PANEL + width);
        assert!(context.stride >= width && context.values.len() >= (tokens - 1) * context.stride + width);
        // SAFETY: `self` proves the instructions. The sizes were checked above; `HeadWorkspace::new` sets those of the buffers.
        unsafe {
            match width {
                32 => attention::attend::<32, 2>(heads, tokens, space, context),
                64 => attention::attend::<64, 4>(heads, tokens, space, context),
                _ => unreachable!("`Shape::check` allows only these widths"),
            }
        }
    }
}

/// Multiplies one row by `smoothing` and quantizes it.
///
/// # Safety
/// `values` must be readable and `codes` writable for `smoothing.len()` elements, a positive multiple of 16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
unsafe fn quantize_row(values: *const f32, smoothing: &[f32], codes: *mut u8) -> Affine {
    let width = smoothing.len();
    // SAFETY: every offset is below the width, which the caller guarantees for all slices.
    unsafe {
        let smoothed = |at: usize| {
            _mm512_mul_ps(
                _mm512_loadu_ps(values.add(at)),
                _mm512_loadu_ps(smoothing.as_ptr().add(at)),
            )
        };
        let (mut low, mut high) = (smoothed(0), smoothed(0));
        for at in (LANES..width).step_by(LANES) {
            let value = smoothed(at);
            low = _mm512_min_ps(low, value);
            high = _mm512_max_ps(high, value);
        }
        let (low, high) = (_mm512_reduce_min_ps(low), _mm512_reduce_max_ps(high));
        let scale = ((high - low) / 255.0).max(f32::MIN_POSITIVE);
        let (inverse, offset) = (_mm512_set1_ps(1.0 / scale), _mm512_set1_ps(low));
        for at in (0..width).step_by(LANES) {
            let value = _mm512_sub_ps(smoothed(at), offset);
            let rounded = _mm512_cvtps_epi32(_mm512_mul_ps(value, inverse));
            _mm_storeu_si128(codes.add(at).cast(), _mm512_cvtusepi32_epi8(rounded));
        }
        Affine { scale, offset: low }
    }
}

/// Layer normalization of one row (Ba et al., 2016, <https://arxiv.org/abs/1607.06450>).
///
/// # Safety
/// All slices must have equal length, a positive multiple of 16.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
#[inline]
unsafe fn add_and_norm_row(x: &mut [f32], residual: &[f32], norm: &Norm<'_>) {
    let width = x.len();
    // SAFETY: every offset is below the width, which the caller guarantees for all slices.
    unsafe {
        let mut sum = _mm512_setzero_ps();
        for at in (0..width).step_by(LANES) {
            let target = x.as_mut_ptr().add(at);
            let value = _mm512_add_ps(
                _mm512_loadu_ps(target),
                _mm512_loadu_ps(residual.as_ptr().add(at)),
            );
            sum = _mm512_add_ps(sum, value);
            _mm512_storeu_ps(target, value);
        }
        let mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / width as f32);
        let mut squares = _mm512_setzero_ps();
        for at in (0..width).step_by(LANES) {
            let target = x.as_mut_ptr().add(at);
            let value = _mm512_sub_ps(_mm512_loadu_ps(target), mean);
            squares = _mm512_fmadd_ps(value, value, squares);
            _mm512_storeu_ps(target, value);
        }
        let variance = _mm512_reduce_add_ps(squares) / width as f32;
        let inverse = _mm512_set1_ps(1.0 / (variance + norm.epsilon).sqrt());
        for at in (0..width).step_by(LANES) {
            let target = x.as_mut_ptr().add(at);
            let weight = _mm512_loadu_ps(norm.weight.as_ptr().add(at));
            let bias = _mm512_loadu_ps(norm.bias.as_ptr().add(at));
            let value = _mm512_mul_ps(_mm512_loadu_ps(target), inverse);
            _mm512_storeu_ps(target, _mm512_fmadd_ps(value, weight, bias));
        }
    }
}

/// 2^x for x ≤ 0, with a relative error of about 2·10⁻⁶. The fraction goes through a polynomial, the integer part becomes the exponent.
#[target_feature(enable = "avx512f")]
#[inline]
fn exp2(x: __m512) -> __m512 {
    let x = _mm512_max_ps(x, _mm512_set1_ps(-126.0));
    let integer = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x);
    let fraction = _mm512_sub_ps(x, integer);
    let mut power = _mm512_set1_ps(1.333_355_8e-3);
    for coefficient in [
        9.618_129e-3,
        5.550_411e-2,
        0.240_226_5,
        std::f32::consts::LN_2,
        1.0,
    ] {
        power = _mm512_fmadd_ps(power, fraction, _mm512_set1_ps(coefficient));
    }
    _mm512_scalef_ps(power, integer)
}
