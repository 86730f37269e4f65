//! Text to tokens: the uncased WordPiece of BERT (Devlin et al., 2018, <https://arxiv.org/abs/1810.04805>).
//!
//! Written here, not taken from the `tokenizers` crate, for three reasons: dividing documents into passages asks for
//! token counts all the time, and this one counts without allocating; it opens in about a millisecond, which a server start
//! waits for; and a text that contains the characters `[SEP]` is text, never the model's separator. The tests hold it to
//! the tokens of that crate on everything else.

mod normalize;
mod vocabulary;

use std::ops::Range;

use normalize::Normalizer;
use vocabulary::Vocabulary;

use crate::error::EmbedError;

/// A word of more characters than this is one unknown token, as in the model's training.
const LONGEST_WORD: usize = 100;

/// Divides text into the tokens of the model.
///
/// Every method leaves out the two special tokens that the model sees around a text.
#[derive(Debug)]
pub struct Tokenizer {
    vocabulary: Vocabulary,
}

impl Tokenizer {
    /// Reads a `vocab.txt`: one piece a line, the line number is the token id, continuations begin with `##`.
    pub(crate) fn from_vocabulary(vocabulary: &'static str) -> Result<Self, EmbedError> {
        Ok(Self {
            vocabulary: Vocabulary::parse(vocabulary)?,
        })
    }

    /// How many tokens the text has, without the special ones.
    pub fn count(&self, text: &str) -> usize {
        let mut tokens = 0;
        self.for_each_token(text, |_, _| tokens += 1);
        tokens
    }

    /// The byte range of the text each token was made from, in order, without the special tokens.
    ///
    /// Ranges begin and end on character boundaries and never go backwards. Spaces and characters that the model does
    /// not see (controls, accents standing alone) are in no range. Pieces of one decomposed character share its range.
    pub fn token_spans(&self, text: &str) -> Vec<Range<usize>> {
        let mut spans = Vec::with_capacity(text.len() / 4);
        self.for_each_token(text, |_, span| spans.push(span));
        spans
    }

    /// The token ids of the text, without the special ones.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 4);
        self.for_each_token(text, |id, _| ids.push(id));
        ids
    }

    /// The token ids as the model takes them: `[CLS] … [SEP]`.
    pub(crate) fn encode_for_model(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 4 + 2);
        ids.push(self.vocabulary.start);
        self.for_each_token(text, |id, _| ids.push(id));
        ids.push(self.vocabulary.end);
        ids
    }

    fn for_each_token(&self, text: &str, mut emit: impl FnMut(u32, Range<usize>)) {
        let mut pieces = Vec::new();
        Normalizer::default().for_each_word(text, |word| {
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

#[cfg(test)]
mod tests;
