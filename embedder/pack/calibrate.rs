//! Texts of random words, which show how far the inputs of each linear layer reach.
//!
//! Random words need no data, and drive the few channels that reach far about as hard as sentences do: packing with
//! real sentences instead brought the vectors no nearer to those of f32 (mean cosine 0.9991 either way).

use std::ops::Range;

/// Words of each text; the short ones are there because single words reach further than words in company.
const LENGTHS: [usize; 24] = [
    0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 254,
];

/// What a text of random words is made of, in token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alphabet {
    /// The tokens before every text.
    pub start: Vec<u32>,
    /// The tokens after every text.
    pub end: Vec<u32>,
    /// The tokens that are words or signs, neither special nor unused.
    pub words: Range<u32>,
}

impl Alphabet {
    /// The texts, none longer than `positions`. The same for the same alphabet.
    pub(super) fn texts(&self, positions: usize) -> Vec<Vec<u32>> {
        let room = positions.saturating_sub(self.start.len() + self.end.len());
        let mut state = 1_u64;
        let mut word = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            self.words.start + (state >> 33) as u32 % (self.words.end - self.words.start).max(1)
        };
        LENGTHS
            .iter()
            .map(|&length| {
                let mut ids = self.start.clone();
                ids.extend((0..length.min(room)).map(|_| word()));
                ids.extend(&self.end);
                ids
            })
            // A model that puts nothing around a text cannot read one of no words.
            .filter(|ids| !ids.is_empty())
            .collect()
    }
}
