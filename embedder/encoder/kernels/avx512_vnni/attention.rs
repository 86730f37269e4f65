//! Attention of one head over one text in int8: queries and weights unsigned, keys and values signed.
//!
//! Keys are stored as `[tokens / 16][HEAD / 4][16][4]`, values as `[tokens / 4][HEAD][4]`. The innermost four feed one lane of a byte
//! dot product, which runs along the head for keys and along the tokens for values. Tokens are padded with zeros to a multiple of
//! 32.
//!
//! `HEAD` is the width of the head, and `VECTORS` is that width in vectors.

use std::arch::x86_64::*;

use super::{LANES, exp2, quantize_row};
use crate::encoder::format::{GROUP, PANEL};
use crate::encoder::kernels::{Affine, HeadWorkspace, KEY_BLOCK, QUERIES, Rows, RowsMut};

/// Implements `Arithmetic::attend`.
///
/// # Safety
/// The processor must have the instructions, and the caller must have checked the sizes as `Avx512Vnni::attend` does.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
pub(super) unsafe fn attend<const HEAD: usize, const VECTORS: usize>(
    heads: Rows<'_>,
    tokens: usize,
    space: &mut HeadWorkspace,
    context: RowsMut<'_>,
) {
    let padded = tokens.next_multiple_of(KEY_BLOCK);
    // SAFETY: `tokens` rows exist, and the workspace has room for the longest text.
    unsafe {
        quantize_queries::<HEAD>(heads, tokens, space);
        pack_keys::<HEAD, VECTORS>(heads, tokens, padded, space);
        let value_scales = pack_values::<HEAD, VECTORS>(heads, tokens, padded, space);
        for first in (0..tokens).step_by(QUERIES) {
            let highest = score::<HEAD, VECTORS>(first, tokens, padded, space);
            let inverses = quantize_weights(padded, &highest, space);
            let sums = mix::<HEAD, VECTORS>(padded, space);
            for query in 0..QUERIES.min(tokens - first) {
                let target = context.values.as_mut_ptr().add((first + query) * context.stride);
                for (i, scale) in value_scales.iter().enumerate() {
                    let mean = _mm512_mul_ps(
                        _mm512_cvtepi32_ps(sums[query][i]),
                        _mm512_set1_ps(inverses[query]),
                    );
                    _mm512_storeu_ps(target.add(i * LANES), _mm512_mul_ps(mean, *scale));
                }
            }
        }
    }
}

/// Quantizes the queries to unsigned codes. Their scale includes 1/√width, and log₂ e because softmax uses base 2.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
unsafe fn quantize_queries<const HEAD: usize>(heads: Rows<'_>, tokens: usize, space: &mut HeadWorkspace) {
    let factor = std::f32::consts::LOG2_E / (HEAD as f32).sqrt();
    for (token, affine) in space.query_codes.affine[..tokens].iter_mut().enumerate() {
        // SAFETY: the row exists, and the codes have room for the longest text.
        let Affine { scale, offset } = unsafe {
            let codes = space.query_codes.codes.as_mut_ptr().add(token * HEAD);
            quantize_row(
                heads.values.as_ptr().add(token * heads.stride),
                &[1.0; HEAD],
                codes,
            )
        };
        *affine = Affine {
            scale: scale * factor,
            offset: offset * factor,
        };
    }
    // The last group of queries may exceed the text. Scores of missing queries are not used, but must not be NaN.
    space.query_codes.affine[tokens..tokens.next_multiple_of(QUERIES)].fill(Affine::default());
}

/// Quantizes the keys to signed codes, each key with its own scale. Also sums the codes of each key, to correct the scores for the
/// queries' offset.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
#[inline]
unsafe fn pack_keys<const HEAD: usize, const VECTORS: usize>(
    heads: Rows<'_>,
    tokens: usize,
    padded: usize,
    space: &mut HeadWorkspace,
) {
    let (scales, sums) = space.keys.split_at_mut(padded);
    scales[tokens..].fill(0.0);
    sums[tokens..padded].fill(0.0);
    space.key_codes[(tokens / LANES) * LANES * HEAD..padded * HEAD].fill(0);
    for token in 0..tokens {
        // SAFETY: the row exists, and the codes have room for the longest text.
        unsafe {
            let key = heads.values.as_ptr().add(token * heads.stride + PANEL);
            let values: [__m512; VECTORS] = std::array::from_fn(|i| _mm512_loadu_ps(key.add(i * LANES)));
            let largest = values.iter().fold(_mm512_setzero_ps(), |largest, &value| {
                _mm512_max_ps(largest, _mm512_abs_ps(value))
            });
            let largest = _mm512_reduce_max_ps(largest).max(f32::MIN_POSITIVE);
            let inverse = _mm512_set1_ps(127.0 / largest);
            scales[token] = largest / 127.0;
            let mut total = _mm512_setzero_si512();
            let block = (token / LANES) * LANES * HEAD;
            let target = space.key_codes.as_mut_ptr().add(block).cast::<i32>();
            for (i, value) in values.into_iter().enumerate() {
                let codes = _mm512_cvtps_epi32(_mm512_mul_ps(value, inverse));
                total = _mm512_add_epi32(total, codes);
                let groups: [i32; LANES / GROUP] = bytemuck::must_cast(_mm512_cvtepi32_epi8(codes));
                for (group, four) in groups.into_iter().enumerate() {
                    let group = i * (LANES / GROUP) + group;
                    *target.add(group * LANES + token % LANES) = four;
                }
            }
            sums[token] = _mm512_reduce_add_epi32(total) as f32;
        }
    }
}

/// Quantizes the values to signed codes. Each coordinate has one scale for the whole text, because sums run over its tokens.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
unsafe fn pack_values<const HEAD: usize, const VECTORS: usize>(
    heads: Rows<'_>,
    tokens: usize,
    padded: usize,
    space: &mut HeadWorkspace,
) -> [__m512; VECTORS] {
    let value = |token: usize, vector: usize| {
        // SAFETY: the calls below stay within `tokens`.
        unsafe {
            _mm512_loadu_ps(
                heads
                    .values
                    .as_ptr()
                    .add(token * heads.stride + 2 * PANEL + vector * LANES),
            )
        }
    };
    let mut scales = [_mm512_setzero_ps(); VECTORS];
    for (vector, scale) in scales.iter_mut().enumerate() {
        let mut largest = _mm512_set1_ps(f32::MIN_POSITIVE);
        for token in 0..tokens {
            largest = _mm512_max_ps(largest, _mm512_abs_ps(value(token, vector)));
        }
        *scale = _mm512_div_ps(largest, _mm512_set1_ps(127.0));
        let inverse = _mm512_div_ps(_mm512_set1_ps(127.0), largest);
        for group in 0..padded / GROUP {
            let mut packed = _mm512_setzero_si512();
            // Each token enters at the highest byte and shifts the earlier ones down, so the first token ends in the lowest byte.
            for token in group * GROUP..(group + 1) * GROUP {
                packed = _mm512_srli_epi32::<8>(packed);
                if token < tokens {
                    let code = _mm512_cvtps_epi32(_mm512_mul_ps(value(token, vector), inverse));
                    packed = _mm512_or_si512(packed, _mm512_slli_epi32::<24>(code));
                }
            }
            // SAFETY: the codes have room for the longest text, with `VECTORS` vectors per group.
            unsafe {
                let codes = space
                    .value_codes
                    .as_mut_ptr()
                    .add((group * VECTORS + vector) * LANES * GROUP);
                _mm512_store_si512(codes.cast(), packed);
            }
        }
    }
    scales
}

/// Scores [`QUERIES`] queries, starting with `first`, against all keys. Returns the highest scores of each query, by lane.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn score<const HEAD: usize, const VECTORS: usize>(
    first: usize,
    tokens: usize,
    padded: usize,
    space: &mut HeadWorkspace,
) -> [__m512; QUERIES] {
    let mut highest = [_mm512_set1_ps(f32::MIN); QUERIES];
    let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let (scales, key_sums) = space.keys.split_at(padded);
    for block in (0..padded).step_by(KEY_BLOCK) {
        // SAFETY: blocks stay within the padded keys, and queries within the room for the longest text.
        unsafe {
            let keys = space.key_codes.as_ptr().add(block * HEAD);
            let queries = space.query_codes.codes.as_ptr().add(first * HEAD);
            let mut sums = [[_mm512_setzero_si512(); KEY_BLOCK / LANES]; QUERIES];
            for group in 0..HEAD / GROUP {
                let vectors: [__m512i; KEY_BLOCK / LANES] = std::array::from_fn(|half| {
                    _mm512_load_si512(keys.add((half * (HEAD / GROUP) + group) * LANES * GROUP).cast())
                });
                for (query, sums) in sums.iter_mut().enumerate() {
                    let four = queries
                        .add(query * HEAD + group * GROUP)
                        .cast::<i32>()
                        .read_unaligned();
                    for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                        *sum = _mm512_dpbusd_epi32(*sum, _mm512_set1_epi32(four), vector);
                    }
                }
            }
            for half in 0..KEY_BLOCK / LANES {
                let key = block + half * LANES;
                let scale = _mm512_loadu_ps(scales.as_ptr().add(key));
                let key_sum = _mm512_mul_ps(_mm512_loadu_ps(key_sums.as_ptr().add(key)), scale);
                let exists = _mm512_cmplt_epi32_mask(lanes, _mm512_set1_epi32(tokens as i32 - key as i32));
                for (query, sums) in sums.iter().enumerate() {
                    let Affine {
                        scale: query_scale,
                        offset,
                    } = *space.query_codes.affine.get_unchecked(first + query);
                    let sum = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[half]), scale);
                    let by_offset = _mm512_mul_ps(key_sum, _mm512_set1_ps(offset));
                    let score = _mm512_fmadd_ps(sum, _mm512_set1_ps(query_scale), by_offset);
                    let score = _mm512_mask_mov_ps(_mm512_set1_ps(f32::MIN), exists, score);
                    highest[query] = _mm512_max_ps(highest[query], score);
                    _mm512_store_ps(space.scores.as_mut_ptr().add(query * padded + key), score);
                }
            }
        }
    }
    highest
}

/// The code of the highest weight. One less than the maximum, because the carried rounding error can add one.
const HIGHEST_CODE: f32 = 254.0;

/// Computes softmax of the scores and quantizes the weights to unsigned codes. Returns one divided by the sum of each query's codes.
///
/// Each weight's rounding error is carried to the next weight in its lane. Otherwise many small equal weights, as in a text that
/// repeats a word, would all be rounded in the same direction. For such a text, the cosine to f32 was 0.984.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
unsafe fn quantize_weights(
    padded: usize,
    highest: &[__m512; QUERIES],
    space: &mut HeadWorkspace,
) -> [f32; QUERIES] {
    let mut inverses = [0.0; QUERIES];
    for (query, inverse) in inverses.iter_mut().enumerate() {
        let highest = _mm512_set1_ps(_mm512_reduce_max_ps(highest[query]));
        let (mut total, mut error) = (_mm512_setzero_si512(), _mm512_setzero_ps());
        for key in (query * padded..(query + 1) * padded).step_by(LANES) {
            // SAFETY: the workspace has `QUERIES` rows for the longest text.
            unsafe {
                let power = exp2(_mm512_sub_ps(
                    _mm512_load_ps(space.scores.as_ptr().add(key)),
                    highest,
                ));
                let exact = _mm512_fmadd_ps(power, _mm512_set1_ps(HIGHEST_CODE), error);
                let code = _mm512_cvtps_epi32(exact);
                error = _mm512_sub_ps(exact, _mm512_cvtepi32_ps(code));
                total = _mm512_add_epi32(total, code);
                _mm_store_si128(
                    space.weight_codes.as_mut_ptr().add(key).cast(),
                    _mm512_cvtepi32_epi8(code),
                );
            }
        }
        // The rounded codes are summed, so the weights sum to one despite rounding.
        *inverse = 1.0 / _mm512_reduce_add_epi32(total) as f32;
    }
    inverses
}

/// Weighted sums of the value codes over all tokens, for each query.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn mix<const HEAD: usize, const VECTORS: usize>(
    padded: usize,
    space: &HeadWorkspace,
) -> [[__m512i; VECTORS]; QUERIES] {
    // Two vectors per query and pass; the sums of more would not fit in the registers.
    const PAIR: usize = 2;
    let mut mixed = [[_mm512_setzero_si512(); VECTORS]; QUERIES];
    for pair in (0..VECTORS).step_by(PAIR) {
        let mut sums = [[_mm512_setzero_si512(); PAIR]; QUERIES];
        for group in 0..padded / GROUP {
            // SAFETY: groups stay within the padded tokens, for which the workspace has room.
            unsafe {
                let values = space.value_codes.as_ptr().add(group * HEAD * GROUP);
                let vectors: [__m512i; PAIR] =
                    std::array::from_fn(|i| _mm512_load_si512(values.add((pair + i) * LANES * GROUP).cast()));
                for (query, sums) in sums.iter_mut().enumerate() {
                    let weights = space.weight_codes.as_ptr().add(query * padded + group * GROUP);
                    let four = _mm512_set1_epi32(weights.cast::<i32>().read_unaligned());
                    for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                        *sum = _mm512_dpbusd_epi32(*sum, four, vector);
                    }
                }
            }
        }
        for (mixed, sums) in mixed.iter_mut().zip(sums) {
            mixed[pair..pair + PAIR].copy_from_slice(&sums);
        }
    }
    mixed
}
