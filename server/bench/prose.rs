//! Made-up prose: words with the frequencies of language, sentences, paragraphs.

/// Different words. About what a technical corpus of some million words has.
const VOCABULARY: u64 = 30_000;
/// Syllables that words are made of.
const SYLLABLES: &[&str] = &[
    "an", "ber", "cor", "dal", "en", "fir", "gan", "hol", "in", "jar", "kel", "lor", "mi", "nor", "ol",
    "per", "qua", "ras", "sel", "tor", "un", "ver", "win", "xen", "yal", "zor", "sta", "tri", "plo", "ghe",
    "fle", "sku",
];
/// Common words, which about half of any text is.
const COMMON: &[&str] = &[
    "the", "of", "and", "to", "a", "in", "is", "that", "for", "it", "with", "as", "on", "are", "be", "this",
    "by", "from", "or", "when", "which", "can", "not", "use", "file", "value", "set", "name", "all",
    "system",
];

/// A stream of made-up text.
pub struct Prose(u64);

impl Prose {
    /// The stream that belongs to `seed`.
    pub fn new(seed: u64) -> Prose {
        Prose(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// A number below `below`, by PCG's multiplication and a shift: even enough for text.
    pub fn number(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    /// A number between -1 and 1.
    pub fn fraction(&mut self) -> f32 {
        self.number(1 << 24) as f32 / (1 << 23) as f32 - 1.0
    }

    /// A word: a common one half of the time, else one by Zipf's law.
    pub fn word(&mut self) -> String {
        if self.number(2) == 0 {
            let index = self.number(COMMON.len() as u64);
            return COMMON[index as usize].to_owned();
        }
        // The inverse of a logarithm over uniform numbers is how Zipf's law comes about.
        let uniform = self.number(1 << 20) as f64 / f64::from(1 << 20);
        let rank = (VOCABULARY as f64).powf(uniform) as u64;
        spelled(rank)
    }

    /// A sentence of `words` words.
    pub fn sentence(&mut self, words: u64) -> String {
        let words: Vec<String> = (0..words.max(1)).map(|_| self.word()).collect();
        words.join(" ") + ". "
    }

    /// Sentences of about `words` words in all.
    pub fn paragraph(&mut self, words: u64) -> String {
        let mut text = String::new();
        let mut left = words;
        while left > 0 {
            let length = (6 + self.number(14)).min(left);
            text += &self.sentence(length);
            left -= length;
        }
        text
    }
}

/// The word of a rank: its digits in syllables.
fn spelled(rank: u64) -> String {
    let base = SYLLABLES.len() as u64;
    let (mut rest, mut word) = (rank + base, String::new());
    while rest > 0 {
        word += SYLLABLES[(rest % base) as usize];
        rest /= base;
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_tells_the_same() {
        assert_eq!(Prose::new(3).paragraph(50), Prose::new(3).paragraph(50));
        assert_ne!(Prose::new(3).paragraph(50), Prose::new(4).paragraph(50));
        assert_eq!(Prose::new(1).paragraph(50).split_whitespace().count(), 50);
    }
}
