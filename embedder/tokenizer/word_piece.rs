//! The WordPiece of BERT (Devlin et al., 2018, <https://arxiv.org/abs/1810.04805>).
//!
//! Written here, not taken from the `tokenizers` crate, for three reasons: dividing documents into passages asks for
//! token counts all the time, and this one counts without allocating; it opens in about a millisecond, which a server start
//! waits for; and a text that contains the characters `[SEP]` is text, never the model's separator. The tests hold it to
//! the tokens of that crate on everything else.

use std::borrow::Cow;
use std::ops::Range;

use super::normalize::Normalizer;
use super::vocabulary::Vocabulary;
use crate::error::EmbedError;

/// A word of more characters than this is one unknown token, as in the model's training.
pub(super) const LONGEST_WORD: usize = 100;

/// A vocabulary, and whether it knows letters as they are or small and without accents.
#[derive(Debug)]
pub(super) struct WordPiece {
    vocabulary: Vocabulary,
    uncased: bool,
}

impl WordPiece {
    /// One piece a line, the line number is the token id, continuations begin with `##`.
    pub(super) fn new(lines: Cow<'static, str>, uncased: bool) -> Result<Self, EmbedError> {
        Ok(Self {
            vocabulary: Vocabulary::parse(lines)?,
            uncased,
        })
    }

    /// The tokens before and after every text.
    pub(super) fn special(&self) -> (u32, u32) {
        (self.vocabulary.start, self.vocabulary.end)
    }

    /// One more than the highest id.
    pub(super) fn vocabulary(&self) -> usize {
        self.vocabulary.len()
    }

    /// The token of a word that cannot be divided.
    #[cfg(test)]
    pub(super) fn unknown(&self) -> u32 {
        self.vocabulary.unknown
    }

    pub(super) fn for_each_token(&self, text: &str, mut emit: impl FnMut(u32, Range<usize>)) {
        let mut pieces = Vec::new();
        Normalizer::new(self.uncased).for_each_word(text, |word| {
            if word.characters() > LONGEST_WORD || !self.vocabulary.divide(word.bytes(), &mut pieces) {
                emit(self.vocabulary.unknown, word.origin(0, word.bytes().len()));
                return;
            }
            let mut start = 0;
            for &(id, end) in &pieces {
                emit(id, word.origin(start, end));
                start = end;
            }
        });
    }
}
