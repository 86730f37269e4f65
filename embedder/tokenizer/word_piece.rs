//! BERT's WordPiece (Devlin et al., 2018, <https://arxiv.org/abs/1810.04805>).
//!
//! This is our own implementation, not that of the `tokenizers` crate, for three reasons. Chunking counts tokens all the time, and
//! this implementation counts without allocating. It loads in about a millisecond, which matters for the start of a server. And a
//! text that spells out `[SEP]` is plain text here, never the model's separator. In every other respect, the tests require the same
//! tokens as that crate.

use std::borrow::Cow;
use std::ops::Range;

use super::normalize::Normalizer;
use super::vocabulary::Vocabulary;
use crate::error::EmbedError;

/// A longer word becomes one unknown token, as in the model's training. In characters.
pub(super) const MAX_WORD_LENGTH: usize = 100;

/// A vocabulary with its normalization.
#[derive(Debug)]
pub(super) struct WordPiece {
    vocabulary: Vocabulary,
    /// Whether the vocabulary has only lower-case letters without accents.
    uncased: bool,
}

impl WordPiece {
    /// Parses one piece per line. The line number is the token id, and continuation pieces begin with `##`.
    pub(super) fn new(lines: Cow<'static, str>, uncased: bool) -> Result<Self, EmbedError> {
        Ok(Self {
            vocabulary: Vocabulary::parse(lines)?,
            uncased,
        })
    }

    /// The special tokens before and after every text.
    pub(super) fn boundary_tokens(&self) -> (u32, u32) {
        (self.vocabulary.start, self.vocabulary.end)
    }

    /// The highest token id plus one.
    pub(super) fn vocabulary_size(&self) -> usize {
        self.vocabulary.len()
    }

    /// The token of a word that cannot be split into pieces.
    #[cfg(test)]
    pub(super) fn unknown(&self) -> u32 {
        self.vocabulary.unknown
    }

    pub(super) fn for_each_token(&self, text: &str, mut emit: impl FnMut(u32, Range<usize>)) {
        let mut pieces = Vec::new();
        Normalizer::new(self.uncased).for_each_word(text, |word| {
            if word.characters() > MAX_WORD_LENGTH || !self.vocabulary.split(word.bytes(), &mut pieces) {
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
