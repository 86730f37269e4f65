//! Generated prose with the word frequencies of real text.

/// Distinct words. A technical corpus of some million words has about as many.
const VOCABULARY: u64 = 30_000;
/// Syllables that words are made of.
const SYLLABLES: &[&str] = &[
    "an", "ber", "cor", "dal", "en", "fir", "gan", "hol", "in", "jar", "kel", "lor", "mi", "nor", "ol",
    "per", "qua", "ras", "sel", "tor", "un", "ver", "win", "xen", "yal", "zor", "sta", "tri", "plo", "ghe",
    "fle", "sku",
];
/// Common words, which make up about half of any text.
const COMMON: &[&str] = &[
    "the", "of", "and", "to", "a", "in", "is", "that", "for", "it", "with", "as", "on", "are", "be", "this",
    "by", "from", "or", "when", "which", "can", "not", "use", "file", "value", "set", "name", "all",
    "system",
];

/// A generator of text.
pub struct Prose(fastrand::Rng);

impl Prose {
    /// The text that belongs to `seed`.
    pub fn new(seed: u64) -> Prose {
        Prose(fastrand::Rng::with_seed(seed))
    }

    /// A word: a common one half of the time, else one by Zipf's law.
    pub fn word(&mut self) -> String {
        if self.0.bool() {
            return COMMON[self.0.usize(0..COMMON.len())].to_owned();
        }
        // An exponential of a uniform variable has a density of 1/x, which is Zipf's law.
        let rank = (VOCABULARY as f64).powf(self.0.f64()) as u64;
        spell(rank)
    }

    /// A sentence of `words` words, at least one.
    pub fn sentence(&mut self, words: u64) -> String {
        let words: Vec<String> = (0..words.max(1)).map(|_| self.word()).collect();
        words.join(" ") + ". "
    }

    /// Sentences of `words` words in all.
    pub fn paragraph(&mut self, words: u64) -> String {
        let mut text = String::new();
        let mut left = words;
        while left > 0 {
            let length = self.0.u64(6..20).min(left);
            text += &self.sentence(length);
            left -= length;
        }
        text
    }
}

/// The word of a frequency rank: its digits in base 32, as syllables.
fn spell(rank: u64) -> String {
    let base = SYLLABLES.len() as u64;
    // Adding the base gives every word at least two syllables.
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
    fn text_depends_on_the_seed_alone() {
        assert_eq!(Prose::new(3).paragraph(50), Prose::new(3).paragraph(50));
        assert_ne!(Prose::new(3).paragraph(50), Prose::new(4).paragraph(50));
        assert_eq!(Prose::new(1).paragraph(50).split_whitespace().count(), 50);
    }
}
