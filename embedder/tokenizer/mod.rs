//! Text to tokens, by the rules of the model: our own WordPiece where the model has that, else what its `tokenizer.json` says.

mod normalize;
mod published;
mod vocabulary;
mod word_piece;

use std::ops::Range;
use std::path::Path;

use crate::error::EmbedError;
use published::Published;
use word_piece::WordPiece;

/// Divides text into the tokens of the model.
///
/// Every public method leaves out the special tokens that the model sees around a text. A text that contains the characters
/// of a special token never becomes that token: it is divided as text is, or unknown.
#[derive(Debug)]
pub struct Tokenizer {
    kind: Kind,
    /// The tokens before every text.
    start: Vec<u32>,
    /// The tokens after every text.
    end: Vec<u32>,
}

#[derive(Debug)]
enum Kind {
    WordPiece(WordPiece),
    Published(Box<Published>),
}

impl Tokenizer {
    /// Reads a `vocab.txt` of uncased words, which is part of the program.
    pub(crate) fn from_vocabulary(lines: &'static str) -> Result<Self, EmbedError> {
        Ok(Self::of_word_piece(WordPiece::new(lines.into(), true)?))
    }

    /// Reads a `vocab.txt`: one piece a line, the line number is the token id, continuations begin with `##`.
    pub(crate) fn read_vocabulary(path: &Path, bytes: Vec<u8>, uncased: bool) -> Result<Self, EmbedError> {
        let lines = String::from_utf8(bytes)
            .map_err(|_| EmbedError::unusable(path, "is not text in UTF-8: get the model again"))?;
        let word_piece = WordPiece::new(lines.into(), uncased).map_err(|error| match error {
            EmbedError::MalformedModel { reason } => {
                EmbedError::unusable(path, format!("cannot be used: {reason}"))
            }
            other => other,
        })?;
        Ok(Self::of_word_piece(word_piece))
    }

    /// Reads a `tokenizer.json`.
    pub(crate) fn read_published(path: &Path, bytes: &[u8]) -> Result<Self, EmbedError> {
        if let Some(word_piece) = published::as_word_piece(bytes) {
            return Ok(Self::of_word_piece(word_piece));
        }
        let (published, start, end) = Published::read(path, bytes)?;
        Ok(Self {
            kind: Kind::Published(Box::new(published)),
            start,
            end,
        })
    }

    fn of_word_piece(word_piece: WordPiece) -> Self {
        let (start, end) = word_piece.special();
        Self {
            kind: Kind::WordPiece(word_piece),
            start: vec![start],
            end: vec![end],
        }
    }

    /// How many tokens the text has, without the special ones.
    pub fn count(&self, text: &str) -> usize {
        match &self.kind {
            Kind::WordPiece(word_piece) => {
                let mut tokens = 0;
                word_piece.for_each_token(text, |_, _| tokens += 1);
                tokens
            }
            Kind::Published(published) => published.ids(text).len(),
        }
    }

    /// The byte range of the text each token was made from, in order, without the special tokens.
    ///
    /// Ranges begin and end on character boundaries and never go backwards. Spaces and characters that the model does
    /// not see (controls, accents standing alone) may be in no range. Pieces of one decomposed character share its range.
    pub fn token_spans(&self, text: &str) -> Vec<Range<usize>> {
        match &self.kind {
            Kind::WordPiece(word_piece) => {
                let mut spans = Vec::with_capacity(text.len() / 4);
                word_piece.for_each_token(text, |_, span| spans.push(span));
                spans
            }
            Kind::Published(published) => published.spans(text),
        }
    }

    /// The token ids of the text, without the special ones.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        match &self.kind {
            Kind::WordPiece(word_piece) => {
                let mut ids = Vec::with_capacity(text.len() / 4);
                word_piece.for_each_token(text, |id, _| ids.push(id));
                ids
            }
            Kind::Published(published) => published.ids(text),
        }
    }

    /// The token ids as the model takes them, with the special ones, `[CLS] … [SEP]` in BERT.
    pub(crate) fn encode_for_model(&self, text: &str) -> Vec<u32> {
        let mut ids = self.start.clone();
        match &self.kind {
            Kind::WordPiece(word_piece) => word_piece.for_each_token(text, |id, _| ids.push(id)),
            Kind::Published(published) => ids.extend(published.ids(text)),
        }
        ids.extend(&self.end);
        ids
    }

    /// Shortens what [`Tokenizer::encode_for_model`] gave to `limit` tokens; the special ones stay.
    pub(crate) fn shorten(&self, ids: &mut Vec<u32>, limit: usize) {
        ids.truncate(limit.saturating_sub(self.end.len()));
        ids.extend(&self.end);
    }

    /// How many special tokens the model sees around a text.
    pub fn special_tokens(&self) -> usize {
        self.start.len() + self.end.len()
    }

    /// The special tokens before and after every text.
    pub(crate) fn around(&self) -> (&[u32], &[u32]) {
        (&self.start, &self.end)
    }

    /// One more than the highest id there is.
    pub(crate) fn vocabulary(&self) -> usize {
        match &self.kind {
            Kind::WordPiece(word_piece) => word_piece.vocabulary(),
            Kind::Published(published) => published.vocabulary(),
        }
    }
}

#[cfg(test)]
mod tests;
