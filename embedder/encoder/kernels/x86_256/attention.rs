//! Attention of one head over one text in f32, as `portable` has it, with the two products written for vectors of eight.

use std::arch::x86_64::*;

use super::Avx2;
use crate::encoder::format::PANEL;
use crate::encoder::kernels::portable::soften;
use crate::encoder::kernels::{HeadWorkspace, QUERIES, Rows, RowsMut};
use crate::encoder::shape::MAX_HEAD;

/// Lanes of f32 in a vector.
const LANES: usize = 8;
/// Queries that share one pass over the keys, two vectors of them at a time, …
const SCORED: usize = 6;
/// … and over the values, four vectors of them at a time. Either way the sums take twelve of the sixteen registers.
const MIXED: usize = 3;
/// Keys of a pass.
const KEYS: usize = 2 * LANES;
/// Coordinates of the values in a pass; a head is a multiple of them wide.
const COLUMNS: usize = 4 * LANES;

const _: () = assert!(SCORED <= QUERIES && SCORED.is_multiple_of(MIXED));

/// A coordinate of each query that is scored.
type Coordinates = [f32; SCORED];

#[target_feature(enable = "avx2,fma")]
pub(super) fn attend(heads: Rows<'_>, tokens: usize, space: &mut HeadWorkspace, context: RowsMut<'_>) {
    let width = space.width;
    assert!(tokens > 0 && tokens <= space.tokens);
    assert!(heads.values.len() >= (tokens - 1) * heads.stride + 2 * PANEL + width);
    assert!(width.is_multiple_of(COLUMNS) && width <= MAX_HEAD);
    let row = |token: usize, part: usize| &heads.values[token * heads.stride + part * PANEL..][..width];
    let padded = tokens.next_multiple_of(KEYS);
    // Keys are turned so that one load takes the same coordinate of eight of them.
    let keys = &mut space.keys[..width * padded];
    for (coordinate, keys) in keys.chunks_exact_mut(padded).enumerate() {
        for (token, key) in keys[..tokens].iter_mut().enumerate() {
            *key = heads.values[token * heads.stride + PANEL + coordinate];
        }
        keys[tokens..].fill(0.0);
    }
    // Base two: what softmax takes the exponential of is scaled once, here.
    let scale = std::f32::consts::LOG2_E / (width as f32).sqrt();
    let mut queries = [[0.0; SCORED]; MAX_HEAD];
    for first in (0..tokens).step_by(SCORED) {
        let together = SCORED.min(tokens - first);
        for q in 0..together {
            for (coordinates, &value) in queries.iter_mut().zip(row(first + q, 0)) {
                coordinates[q] = value * scale;
            }
        }
        for block in (0..padded).step_by(KEYS) {
            // SAFETY: a block ends with the padded keys, of which each coordinate has a row.
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
        for (q, inverse) in inverses[..together].iter_mut().enumerate() {
            *inverse = soften::<Avx2>(&mut space.scores[q * padded..][..padded], tokens);
        }
        for some in (0..together).step_by(MIXED) {
            let weights = &space.scores[some * padded..];
            for column in (0..width).step_by(COLUMNS) {
                // SAFETY: as many rows as tokens hold a value, which is as wide as the head.
                let mixed = unsafe {
                    let values = heads.values.as_ptr().add(2 * PANEL + column);
                    mix(weights, padded, values, heads.stride, tokens)
                };
                for (q, mixed) in mixed.iter().enumerate().take(together - some) {
                    let target = &mut context.values[(first + some + q) * context.stride + column..];
                    for (target, mixed) in target[..COLUMNS].iter_mut().zip(mixed) {
                        *target = mixed * inverses[some + q];
                    }
                }
            }
        }
    }
}

/// Scores of all queries against [`KEYS`] keys: row `i` of `keys` holds coordinate `i`, row `q` of `scores` is of query `q`.
///
/// # Safety
/// There must be [`KEYS`] values in each row of `keys` and `scores`, which are `stride` apart.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn score(queries: &[Coordinates], keys: &[f32], stride: usize, scores: &mut [f32]) {
    let mut sums = [[_mm256_setzero_ps(); KEYS / LANES]; SCORED];
    for (coordinate, queries) in queries.iter().enumerate() {
        // SAFETY: the row of this coordinate exists.
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
            // SAFETY: the row of this query exists.
            unsafe { _mm256_storeu_ps(scores.as_mut_ptr().add(q * stride + i * LANES), sum) }
        }
    }
}

/// [`COLUMNS`] coordinates of the values of all tokens, weighted for [`MIXED`] queries.
///
/// # Safety
/// There must be `tokens` weights in each of as many rows as queries, `padded` apart, and [`COLUMNS`] values in each of
/// `tokens` rows, `stride` apart.
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
        // SAFETY: the caller promises this token's values and weights.
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
