//! Tokenizers published as `tokenizer.json`, run by the `tokenizers` crate.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde::Deserialize;

use super::word_piece::{MAX_WORD_LENGTH, WordPiece};
use crate::error::EmbedError;

/// Long texts are tokenized in parts of about this many bytes, cut at white space. The crate allocates some hundred bytes per token.
const PART_LENGTH: usize = 1 << 16;

/// A tokenizer of any kind that the `tokenizers` crate supports.
pub(super) struct JsonTokenizer {
    tokenizer: tokenizers::Tokenizer,
    /// Special tokens. If one is spelled out in a text, `unknown` replaces it.
    special: HashSet<u32>,
    unknown: u32,
}

impl JsonTokenizer {
    /// Parses the file. Also returns the special tokens before and after every text.
    pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<(Self, Vec<u32>, Vec<u32>), EmbedError> {
        let unusable = |reason: String| EmbedError::unusable(path, reason);
        let mut tokenizer = catch_panic(|| tokenizers::Tokenizer::from_bytes(bytes)).map_err(|error| {
            unusable(format!(
                "is not a valid tokenizer ({error}): download the model again"
            ))
        })?;
        tokenizer
            .with_truncation(None)
            .map_err(|error| unusable(format!("cannot be used: {error}")))?;
        tokenizer.with_padding(None);
        // Special tokens spelled out in a text are plain text.
        tokenizer.set_encode_special_tokens(true);
        let encode = |text, add_special| {
            let encoding = catch_panic(|| tokenizer.encode_fast(text, add_special));
            encoding
                .map(|encoding| encoding.get_ids().to_vec())
                .map_err(|error| {
                    unusable(format!(
                        "cannot tokenize every text ({error}): download the model again"
                    ))
                })
        };
        // Unknown characters show whether the tokenizer has a token for them; if not, encoding fails.
        let unknown_ids = encode("\u{10fffd} \u{1f980}", false)?;
        let (bare, wrapped) = (encode("a", false)?, encode("a", true)?);
        let at = wrapped
            .windows(bare.len().max(1))
            .position(|window| window == bare)
            .ok_or_else(|| {
                unusable("does not put special tokens around a text: such models are not supported".into())
            })?;
        let (start, end) = (wrapped[..at].to_vec(), wrapped[at + bare.len()..].to_vec());
        if start.is_empty() {
            return Err(unusable(
                "puts no special token before a text: such models are not supported".into(),
            ));
        }
        let unknown = ["<unk>", "[UNK]"]
            .iter()
            .find_map(|name| tokenizer.token_to_id(name));
        let unknown = unknown.or(unknown_ids.last().copied()).unwrap_or_default();
        let added = tokenizer.get_added_tokens_decoder();
        let special = added.iter().filter(|(_, token)| token.special).map(|(id, _)| *id);
        let special = special
            .chain(start.iter().chain(&end).copied())
            .filter(|id| *id != unknown)
            .collect();
        let json_tokenizer = Self {
            tokenizer,
            special,
            unknown,
        };
        let size = json_tokenizer.vocabulary_size();
        // The post-processor has its own copy of these ids, which the crate does not check against the vocabulary.
        let mut boundary = start.iter().chain(&end);
        if let Some(id) = boundary.find(|id| **id as usize >= size) {
            return Err(unusable(format!(
                "puts the token {id} around a text, but its vocabulary has only {size} tokens: download the model again"
            )));
        }
        Ok((json_tokenizer, start, end))
    }

    /// The highest token id plus one.
    pub(super) fn vocabulary_size(&self) -> usize {
        let highest = self.tokenizer.get_vocab(true).into_values().max();
        highest.map_or(0, |id| id as usize + 1)
    }

    pub(super) fn ids(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        for part in parts(text) {
            let part = &text[part];
            if let Ok(encoding) = catch_panic(|| self.tokenizer.encode_fast(part, false)) {
                // Some vocabularies have the special tokens as ordinary pieces too.
                let plain = encoding.get_ids().iter().map(|id| {
                    if self.special.contains(id) {
                        self.unknown
                    } else {
                        *id
                    }
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
            let Ok(encoding) = catch_panic(|| self.tokenizer.encode(&text[part.clone()], false)) else {
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

impl fmt::Debug for JsonTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonTokenizer").finish_non_exhaustive()
    }
}

/// Turns a panic of the `tokenizers` crate into an error.
///
/// The crate panics on some corrupt files, for example one with a broken normalization table, and then only for certain texts.
/// Unwinding is safe because the crate has no state that could be left half changed.
fn catch_panic<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err("it is corrupt".into()))
}

/// Words of a text that the tokenizer fails on. Each becomes one unknown token. This is not an error, because the tokenizer works
/// for other texts.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut end = 0;
    text.split_inclusive(char::is_whitespace).filter_map(move |word| {
        let start = end;
        end += word.len();
        let length = word.trim_end().len();
        (length > 0).then_some(start..start + length)
    })
}

/// The parts of a text that are tokenized separately. A short text is one part.
fn parts(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start == text.len() {
            return None;
        }
        let limit = text.floor_char_boundary(start.saturating_add(PART_LENGTH));
        let end = if limit == text.len() {
            limit
        } else {
            // The white space starts the next part, because these tokenizers attach it to the following word.
            text[start..limit]
                .rfind(char::is_whitespace)
                .filter(|at| *at > 0)
                .map_or(limit, |at| start + at)
        };
        let part = start..end;
        start = end;
        Some(part)
    })
}

/// The parts of a `tokenizer.json` that show whether it is BERT's WordPiece.
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

/// Our own tokenizer, if the file describes exactly BERT's WordPiece. It is several times as fast as the crate and needs a tenth of
/// the memory.
pub(super) fn parse_word_piece(bytes: &[u8]) -> Option<WordPiece> {
    let kind: File<ModelKind> = serde_json::from_slice(bytes).ok()?;
    if kind.model.r#type.as_deref() != Some("WordPiece") {
        return None;
    }
    let file: File<Model> = serde_json::from_slice(bytes).ok()?;
    let model = file.model;
    let normalizer = file.normalizer?;
    let uncased = normalizer.lowercase?;
    let same_normalization = normalizer.r#type == "BertNormalizer"
        && normalizer.clean_text == Some(true)
        && normalizer.handle_chinese_chars == Some(true)
        && normalizer.strip_accents.is_none_or(|strip| strip == uncased)
        && file.pre_tokenizer?.r#type == "BertPreTokenizer";
    let same_model = model.unk_token == "[UNK]"
        && model.continuing_subword_prefix == "##"
        && model.max_input_chars_per_word == MAX_WORD_LENGTH;
    if !same_normalization || !same_model || !has_bert_boundary_tokens(&file.post_processor?) {
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

/// Whether a single text is put between `[CLS]` and `[SEP]`.
fn has_bert_boundary_tokens(post_processor: &serde_json::Value) -> bool {
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
