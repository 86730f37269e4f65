//! Attention of one head over one text in f32. Same method as in `portable`, but both matrix products use vectors of eight.

use std::arch::x86_64::*;

use super::Avx2;
use crate::encoder::format::PANEL;
use crate::encoder::kernels::portable::softmax_numerators;
use crate::encoder::kernels::{HeadWorkspace, QUERIES, Rows, RowsMut};
use crate::encoder::shape::MAX_HEAD;

/// Lanes of f32 per vector.
const LANES: usize = 8;
/// Queries that share one pass over the keys. With two vectors of keys, the sums take twelve of the sixteen registers.
const SCORED: usize = 6;
/// Queries that share one pass over the values. With four vectors of values, the sums take twelve of the sixteen registers.
const MIXED: usize = 3;
/// Keys per pass.
const KEYS: usize = 2 * LANES;
/// Coordinates of the values per pass. The width of a head is a multiple of this number.
const COLUMNS: usize = 4 * LANES;

const _: () = assert!(SCORED <= QUERIES && SCORED.is_multiple_of(MIXED));

/// One coordinate of each of the scored queries.
type Coordinates = [f32; SCORED];

#[target_feature(enable = "avx2,fma")]
pub(super) fn attend(heads: Rows<'_>, tokens: usize, space: &mut HeadWorkspace, context: RowsMut<'_>) {
    let width = space.width;
    assert!(tokens > 0 && tokens <= space.tokens);
    assert!(heads.values.len() >= (tokens - 1) * heads.stride + 2 * PANEL + width);
    assert!(width.is_multiple_of(COLUMNS) && width <= MAX_HEAD);
    let row = |token: usize, part: usize| &heads.values[token * heads.stride + part * PANEL..][..width];
    let padded = tokens.next_multiple_of(KEYS);
    // Transpose the keys, so that one load reads the same coordinate of eight keys.
    let keys = &mut space.keys[..width * padded];
    for (coordinate, keys) in keys.chunks_exact_mut(padded).enumerate() {
        for (token, key) in keys[..tokens].iter_mut().enumerate() {
            *key = heads.values[token * heads.stride + PANEL + coordinate];
        }
        keys[tokens..].fill(0.0);
    }
    // Softmax uses base 2, so the scores get the factor log₂ e here, together with 1/√width.
    let scale = std::f32::consts::LOG2_E / (width as f32).sqrt();
    let mut queries = [[0.0; SCORED]; MAX_HEAD];
    for first in (0..tokens).step_by(SCORED) {
        let count = SCORED.min(tokens - first);
        for q in 0..count {
            for (coordinates, &value) in queries.iter_mut().zip(row(first + q, 0)) {
                coordinates[q] = value * scale;
            }
        }
        for block in (0..padded).step_by(KEYS) {
            // SAFETY: every block lies within the padded keys, and each coordinate has a row of them.
            unsafe {
                score(
                    &queries[..width],
                    &keys[block..],
                    padded,
                    &mut space.scores[block..],
                )
            }
        }
        let mut inverses = [0.0; SCORED];
        for (q, inverse) in inverses[..count].iter_mut().enumerate() {
            *inverse = softmax_numerators::<Avx2>(&mut space.scores[q * padded..][..padded], tokens);
        }
        for group in (0..count).step_by(MIXED) {
            let weights = &space.scores[group * padded..];
            for column in (0..width).step_by(COLUMNS) {
                // SAFETY: the first `tokens` rows hold a value each, as wide as the head.
                let mixed = unsafe {
                    let values = heads.values.as_ptr().add(2 * PANEL + column);
                    mix(weights, padded, values, heads.stride, tokens)
                };
                for (q, mixed) in mixed.iter().enumerate().take(count - group) {
                    let target = &mut context.values[(first + group + q) * context.stride + column..];
                    for (target, mixed) in target[..COLUMNS].iter_mut().zip(mixed) {
                        *target = mixed * inverses[group + q];
                    }
                }
            }
        }
    }
}

/// Scores all queries against [`KEYS`] keys. Row `i` of `keys` holds coordinate `i`; row `q` of `scores` belongs to query `q`.
///
/// # Safety
/// Rows of `keys` and `scores` must start `stride` elements apart and have at least [`KEYS`] elements.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn score(queries: &[Coordinates], keys: &[f32], stride: usize, scores: &mut [f32]) {
    let mut sums = [[_mm256_setzero_ps(); KEYS / LANES]; SCORED];
    for (coordinate, queries) in queries.iter().enumerate() {
        // SAFETY: the caller guarantees the row of this coordinate.
        let keys: [__m256; KEYS / LANES] = std::array::from_fn(|i| unsafe {
            _mm256_loadu_ps(keys.as_ptr().add(coordinate * stride + i * LANES))
        });
        for (sums, &query) in sums.iter_mut().zip(queries) {
            let query = _mm256_set1_ps(query);
            for (sum, &keys) in sums.iter_mut().zip(&keys) {
                *sum = _mm256_fmadd_ps(query, keys, *sum);
            }
        }
    }
    for (q, sums) in sums.iter().enumerate() {
        for (i, &sum) in sums.iter().enumerate() {
            // SAFETY: the caller guarantees the row of this query.
            unsafe { _mm256_storeu_ps(scores.as_mut_ptr().add(q * stride + i * LANES), sum) }
        }
    }
}

/// Weighted sums over all tokens of [`COLUMNS`] coordinates of the values, for [`MIXED`] queries.
///
/// # Safety
/// `weights` must have [`MIXED`] rows of `tokens` elements, `padded` apart. `values` must have `tokens` rows of [`COLUMNS`] elements,
/// `stride` apart.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn mix(
    weights: &[f32],
    padded: usize,
    values: *const f32,
    stride: usize,
    tokens: usize,
) -> [[f32; COLUMNS]; MIXED] {
    const VECTORS: usize = COLUMNS / LANES;
    let mut sums = [[_mm256_setzero_ps(); VECTORS]; MIXED];
    for token in 0..tokens {
        // SAFETY: the caller guarantees this token's values and weights.
        unsafe {
            let values: [__m256; VECTORS] =
                std::array::from_fn(|i| _mm256_loadu_ps(values.add(token * stride + i * LANES)));
            for (q, sums) in sums.iter_mut().enumerate() {
                let weight = _mm256_set1_ps(*weights.as_ptr().add(q * padded + token));
                for (sum, &values) in sums.iter_mut().zip(&values) {
                    *sum = _mm256_fmadd_ps(weight, values, *sum);
                }
            }
        }
    }
    sums.map(bytemuck::must_cast)
}
