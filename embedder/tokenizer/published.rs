//! Tokenizers as models publish them, in a `tokenizer.json`, computed by the `tokenizers` crate.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde::Deserialize;

use super::word_piece::{LONGEST_WORD, WordPiece};
use crate::error::EmbedError;

/// A long text is divided into parts of about so many bytes, each at a white space: the crate keeps some hundred bytes for every token.
const PART: usize = 1 << 16;

/// A tokenizer of any kind.
pub(super) struct Published {
    tokenizer: tokenizers::Tokenizer,
    /// Tokens that no text has, and the one that stands for them where a text has their characters.
    special: HashSet<u32>,
    unknown: u32,
}

impl Published {
    /// Reads the file; with the tokens that the model sees before and after every text.
    pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<(Self, Vec<u32>, Vec<u32>), EmbedError> {
        let unusable = |reason: String| EmbedError::unusable(path, reason);
        let mut tokenizer = contained(|| tokenizers::Tokenizer::from_bytes(bytes)).map_err(|error| {
            unusable(format!(
                "is not a tokenizer that can be read ({error}): get the model again"
            ))
        })?;
        tokenizer
            .with_truncation(None)
            .map_err(|error| unusable(format!("cannot be used: {error}")))?;
        tokenizer.with_padding(None);
        // The characters of a special token in a text are text.
        tokenizer.set_encode_special_tokens(true);
        let encode = |text, special| {
            let ids = contained(|| tokenizer.encode_fast(text, special));
            ids.map(|encoding| encoding.get_ids().to_vec())
                .map_err(|error| unusable(format!("cannot divide every text ({error}): get the model again")))
        };
        // Some lack the token for what they do not know, and fail on that only.
        let of_unknown = encode("\u{10fffd} \u{1f980}", false)?;
        let (alone, within) = (encode("a", false)?, encode("a", true)?);
        let at = within
            .windows(alone.len().max(1))
            .position(|part| part == alone)
            .ok_or_else(|| {
                unusable("does not put special tokens around a text: only such models can be used".into())
            })?;
        let (start, end) = (within[..at].to_vec(), within[at + alone.len()..].to_vec());
        if start.is_empty() {
            return Err(unusable(
                "puts no special token before a text: only such models can be used".into(),
            ));
        }
        let unknown = ["<unk>", "[UNK]"]
            .iter()
            .find_map(|name| tokenizer.token_to_id(name));
        let unknown = unknown.or(of_unknown.last().copied()).unwrap_or_default();
        let added = tokenizer.get_added_tokens_decoder();
        let special = added.iter().filter(|(_, token)| token.special).map(|(id, _)| *id);
        let special = special
            .chain(start.iter().chain(&end).copied())
            .filter(|id| *id != unknown)
            .collect();
        let published = Self {
            tokenizer,
            special,
            unknown,
        };
        let vocabulary = published.vocabulary();
        // The post-processor brings ids of its own, which nothing has compared with the vocabulary yet.
        let mut around = start.iter().chain(&end);
        if let Some(id) = around.find(|id| **id as usize >= vocabulary) {
            return Err(unusable(format!(
                "puts the token {id} around a text, which its vocabulary of {vocabulary} does not have: get the model again"
            )));
        }
        Ok((published, start, end))
    }

    /// One more than the highest id.
    pub(super) fn vocabulary(&self) -> usize {
        let highest = self.tokenizer.get_vocab(true).into_values().max();
        highest.map_or(0, |id| id as usize + 1)
    }

    pub(super) fn ids(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        for part in parts(text) {
            let part = &text[part];
            if let Ok(encoding) = contained(|| self.tokenizer.encode_fast(part, false)) {
                // Some vocabularies have the special tokens among the pieces of words.
                let plain = encoding
                    .get_ids()
                    .iter()
                    .map(|id| match self.special.contains(id) {
                        true => self.unknown,
                        false => *id,
                    });
                ids.extend(plain);
            } else {
                ids.extend(words(part).map(|_| self.unknown));
            }
        }
        ids
    }

    pub(super) fn spans(&self, text: &str) -> Vec<Range<usize>> {
        let mut spans = Vec::new();
        let mut last = 0;
        for part in parts(text) {
            let Ok(encoding) = contained(|| self.tokenizer.encode(&text[part.clone()], false)) else {
                spans.extend(
                    words(&text[part.clone()]).map(|word| part.start + word.start..part.start + word.end),
                );
                last = spans.last().map_or(last, |span| span.start);
                continue;
            };
            for &(start, end) in encoding.get_offsets() {
                let start = text.floor_char_boundary(part.start + start).max(last);
                let end = text.ceil_char_boundary(part.start + end).max(start);
                last = start;
                spans.push(start..end);
            }
        }
        spans
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published").finish_non_exhaustive()
    }
}

/// What the crate gives. Of a damaged file, such as one with a broken table of normalisation, it may panic, and on some texts only; it
/// holds no state that would be left half done.
fn contained<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err("it is damaged".into()))
}

/// The words of a text that the tokenizer fails on: reading the file has shown that it divides others.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut end = 0;
    text.split_inclusive(char::is_whitespace).filter_map(move |word| {
        let start = end;
        end += word.len();
        let length = word.trim_end().len();
        (length > 0).then_some(start..start + length)
    })
}

/// The parts of a text that are divided by themselves: all of a short one.
fn parts(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start == text.len() {
            return None;
        }
        let most = text.floor_char_boundary(start.saturating_add(PART));
        let end = if most == text.len() {
            most
        } else {
            // Before a white space, which tokenizers of this kind take as the beginning of a word.
            text[start..most]
                .rfind(char::is_whitespace)
                .filter(|at| *at > 0)
                .map_or(most, |at| start + at)
        };
        let part = start..end;
        start = end;
        Some(part)
    })
}

/// The parts of a `tokenizer.json` that say whether it is the WordPiece of BERT.
#[derive(Deserialize)]
struct File<M> {
    model: M,
    normalizer: Option<Normalizer>,
    pre_tokenizer: Option<PreTokenizer>,
    post_processor: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Normalizer {
    r#type: String,
    clean_text: Option<bool>,
    handle_chinese_chars: Option<bool>,
    strip_accents: Option<bool>,
    lowercase: Option<bool>,
}

#[derive(Deserialize)]
struct PreTokenizer {
    r#type: String,
}

#[derive(Deserialize)]
struct ModelKind {
    r#type: Option<String>,
}

#[derive(Deserialize)]
struct Model {
    unk_token: String,
    continuing_subword_prefix: String,
    max_input_chars_per_word: usize,
    vocab: HashMap<String, u32>,
}

/// Our own tokenizer, where the file describes just that: it is several times as fast and needs a tenth of the memory.
pub(super) fn as_word_piece(bytes: &[u8]) -> Option<WordPiece> {
    let kind: File<ModelKind> = serde_json::from_slice(bytes).ok()?;
    if kind.model.r#type.as_deref() != Some("WordPiece") {
        return None;
    }
    let file: File<Model> = serde_json::from_slice(bytes).ok()?;
    let model = file.model;
    let normalizer = file.normalizer?;
    let uncased = normalizer.lowercase?;
    let same_text = normalizer.r#type == "BertNormalizer"
        && normalizer.clean_text == Some(true)
        && normalizer.handle_chinese_chars == Some(true)
        && normalizer.strip_accents.is_none_or(|strip| strip == uncased)
        && file.pre_tokenizer?.r#type == "BertPreTokenizer";
    let same_model = model.unk_token == "[UNK]"
        && model.continuing_subword_prefix == "##"
        && model.max_input_chars_per_word == LONGEST_WORD;
    if !same_text || !same_model || !is_of_bert(&file.post_processor?) {
        return None;
    }
    let mut pieces = vec![""; model.vocab.len()];
    for (piece, &id) in &model.vocab {
        let place = pieces.get_mut(id as usize)?;
        if !place.is_empty() || piece.is_empty() || piece.contains(['\n', '\r']) {
            return None;
        }
        *place = piece;
    }
    WordPiece::new(pieces.join("\n").into(), uncased).ok()
}

/// Whether one text comes between `[CLS]` and `[SEP]`.
fn is_of_bert(post_processor: &serde_json::Value) -> bool {
    match post_processor["type"].as_str() {
        Some("BertProcessing") => post_processor["cls"][0] == "[CLS]" && post_processor["sep"][0] == "[SEP]",
        Some("TemplateProcessing") => {
            let single = &post_processor["single"];
            single.as_array().is_some_and(|parts| parts.len() == 3)
                && single[0]["SpecialToken"]["id"] == "[CLS]"
                && single[1]["Sequence"]["id"] == "A"
                && single[2]["SpecialToken"]["id"] == "[SEP]"
        }
        _ => false,
    }
}
