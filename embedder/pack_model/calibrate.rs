//! How far the inputs of each linear layer reach, measured on texts of random words.
//!
//! Random words need no data, and drive the few channels that reach far about as hard as sentences do: packing with
//! real sentences instead brought the vectors no nearer to those of f32 (mean cosine 0.9991 either way).

use std::collections::HashMap;

use anyhow::{Context, Result};
use autorag_embedder::encoder::format::VOCABULARY;

use crate::reference::{Part, Reference};
use crate::{END, START};

/// Words of each text; the short ones are there because single words reach further than words in company.
const LENGTHS: [usize; 24] = [
    0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 254,
];
/// The first token that is a word or a sign: before it are special and unused ones.
const FIRST_WORD: usize = 999;

/// The largest absolute value each input had.
pub(crate) struct LargestInputs(HashMap<(usize, Part), Vec<f32>>);

impl LargestInputs {
    pub(crate) fn measure(reference: &Reference) -> Self {
        let mut seen: HashMap<(usize, Part), Vec<f32>> = HashMap::new();
        let mut state = 1_u64;
        let mut word = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (FIRST_WORD + (state >> 33) as usize % (VOCABULARY - FIRST_WORD)) as u32
        };
        for length in LENGTHS {
            let words = (0..length).map(|_| word());
            let ids: Vec<u32> = std::iter::once(START)
                .chain(words)
                .chain(std::iter::once(END))
                .collect();
            reference.embed_and_show(&ids, |layer, part, tokens| {
                for token in tokens {
                    let largest = seen
                        .entry((layer, part))
                        .or_insert_with(|| vec![0.0; token.len()]);
                    for (largest, value) in largest.iter_mut().zip(token) {
                        *largest = largest.max(value.abs());
                    }
                }
            });
        }
        Self(seen)
    }

    pub(crate) fn of(&self, layer: usize, part: Part) -> Result<&[f32]> {
        self.0
            .get(&(layer, part))
            .map(Vec::as_slice)
            .with_context(|| format!("{part:?} of layer {layer} took nothing in"))
    }
}
