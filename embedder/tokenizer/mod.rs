//! Splits text into a model's tokens: with our own WordPiece if the model uses that, otherwise as its `tokenizer.json` says.

mod json;
mod normalize;
mod vocabulary;
mod word_piece;

use std::ops::Range;
use std::path::Path;

use crate::error::EmbedError;
use json::JsonTokenizer;
use word_piece::WordPiece;

/// Splits text into the tokens of a model.
///
/// Public methods leave out the special tokens that the model gets around a text. A special token spelled out in a text never becomes
/// that token: its characters are split like other text, or are unknown.
#[derive(Debug)]
pub struct Tokenizer {
    algorithm: Algorithm,
    /// Special tokens before every text.
    start: Vec<u32>,
    /// Special tokens after every text.
    end: Vec<u32>,
}

#[derive(Debug)]
enum Algorithm {
    WordPiece(WordPiece),
    Json(Box<JsonTokenizer>),
}

impl Tokenizer {
    /// Parses the uncased `vocab.txt` of the built-in model.
    pub(crate) fn from_vocabulary(lines: &'static str) -> Result<Self, EmbedError> {
        Ok(Self::from_word_piece(WordPiece::new(lines.into(), true)?))
    }

    /// Parses a `vocab.txt`: one piece per line, the line number is the token id, and continuation pieces begin with `##`.
    pub(crate) fn read_vocabulary(path: &Path, bytes: Vec<u8>, uncased: bool) -> Result<Self, EmbedError> {
        let lines = String::from_utf8(bytes)
            .map_err(|_| EmbedError::unusable(path, "is not valid UTF-8: download the model again"))?;
        let word_piece = WordPiece::new(lines.into(), uncased).map_err(|error| match error {
            EmbedError::MalformedModel { reason } => {
                EmbedError::unusable(path, format!("cannot be used: {reason}"))
            }
            other => other,
        })?;
        Ok(Self::from_word_piece(word_piece))
    }

    /// Parses a `tokenizer.json`.
    pub(crate) fn read_json(path: &Path, bytes: &[u8]) -> Result<Self, EmbedError> {
        if let Some(word_piece) = json::parse_word_piece(bytes) {
            return Ok(Self::from_word_piece(word_piece));
        }
        let (tokenizer, start, end) = JsonTokenizer::read(path, bytes)?;
        Ok(Self {
            algorithm: Algorithm::Json(Box::new(tokenizer)),
            start,
            end,
        })
    }

    fn from_word_piece(word_piece: WordPiece) -> Self {
        let (start, end) = word_piece.boundary_tokens();
        Self {
            algorithm: Algorithm::WordPiece(word_piece),
            start: vec![start],
            end: vec![end],
        }
    }

    /// Number of tokens of a text, without special tokens.
    pub fn count(&self, text: &str) -> usize {
        match &self.algorithm {
            Algorithm::WordPiece(word_piece) => {
                let mut tokens = 0;
                word_piece.for_each_token(text, |_, _| tokens += 1);
                tokens
            }
            Algorithm::Json(tokenizer) => tokenizer.ids(text).len(),
        }
    }

    /// The byte range in `text` of each token, in order, without special tokens.
    ///
    /// Ranges lie on character boundaries, and their starts never decrease. Spaces and characters that the model does not see
    /// (control characters, stand-alone accents) may be in no range. Several pieces of one decomposed character share its range.
    pub fn token_spans(&self, text: &str) -> Vec<Range<usize>> {
        match &self.algorithm {
            Algorithm::WordPiece(word_piece) => {
                let mut spans = Vec::with_capacity(text.len() / 4);
                word_piece.for_each_token(text, |_, span| spans.push(span));
                spans
            }
            Algorithm::Json(tokenizer) => tokenizer.spans(text),
        }
    }

    /// The token ids of a text, without special tokens.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        match &self.algorithm {
            Algorithm::WordPiece(word_piece) => {
                let mut ids = Vec::with_capacity(text.len() / 4);
                word_piece.for_each_token(text, |id, _| ids.push(id));
                ids
            }
            Algorithm::Json(tokenizer) => tokenizer.ids(text),
        }
    }

    /// The token ids of a text with special tokens; `[CLS] … [SEP]` in BERT.
    pub(crate) fn encode_for_model(&self, text: &str) -> Vec<u32> {
        let mut ids = self.start.clone();
        match &self.algorithm {
            Algorithm::WordPiece(word_piece) => word_piece.for_each_token(text, |id, _| ids.push(id)),
            Algorithm::Json(tokenizer) => ids.extend(tokenizer.ids(text)),
        }
        ids.extend(&self.end);
        ids
    }

    /// Shortens ids from [`Tokenizer::encode_for_model`] to `limit` tokens, and keeps the special tokens.
    pub(crate) fn truncate(&self, ids: &mut Vec<u32>, limit: usize) {
        ids.truncate(limit.saturating_sub(self.end.len()));
        ids.extend(&self.end);
    }

    /// Number of special tokens that the model gets around a text.
    pub fn special_tokens(&self) -> usize {
        self.start.len() + self.end.len()
    }

    /// The special tokens before and after every text.
    pub(crate) fn boundary_tokens(&self) -> (&[u32], &[u32]) {
        (&self.start, &self.end)
    }

    /// The highest token id plus one.
    pub(crate) fn vocabulary_size(&self) -> usize {
        match &self.algorithm {
            Algorithm::WordPiece(word_piece) => word_piece.vocabulary_size(),
            Algorithm::Json(tokenizer) => tokenizer.vocabulary_size(),
        }
    }
}

#[cfg(test)]
mod tests;
