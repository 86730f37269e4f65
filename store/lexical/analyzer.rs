//! The tantivy analyzer: turns text into terms.
//!
//! Words are lower-cased, stripped of accents and stemmed. Identifiers are indexed whole and in parts.
//! Chinese, Japanese and Korean text, which has no spaces between words, is indexed as overlapping bigrams.

use tantivy::tokenizer::{
    AsciiFoldingFilter, LowerCaser, RemoveLongFilter, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer,
};

use super::language::Profile;

/// Name of the analyzer in the index schema. Change it whenever the terms change: a new name makes older
/// indexes be rebuilt.
pub(super) const NAME: &str = "autorag-2";
/// Maximum length of a term, in bytes. Longer tokens are data such as base64, not words.
const MAX_TERM_BYTES: usize = 80;

/// The analyzer of a language, for passages, queries and highlights alike.
pub(super) fn analyzer(language: &Profile) -> TextAnalyzer {
    TextAnalyzer::builder(WordTokenizer)
        .filter(RemoveLongFilter::limit(MAX_TERM_BYTES))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(Stemmer::new(language.stemmer))
        .build()
}

/// The tokens of a text, in order.
pub(super) fn tokens(analyzer: &mut TextAnalyzer, text: &str) -> Vec<Token> {
    let mut stream = analyzer.token_stream(text);
    // About six bytes per word and space.
    let mut tokens = Vec::with_capacity(text.len() / 6);
    while stream.advance() {
        tokens.push(stream.token().clone());
    }
    tokens
}

/// Whether a stemmed term is an English stop word. Stop words are indexed, because phrases need them, but
/// queries drop them.
pub(super) fn is_stop_word(term: &str) -> bool {
    // Stemmed, in ascending order.
    const STOP_WORDS: &[&str] = &[
        "a", "about", "all", "am", "an", "and", "ani", "are", "as", "at", "be", "been", "but", "by", "can",
        "could", "did", "do", "doe", "doing", "for", "from", "get", "had", "has", "have", "how", "i", "if",
        "in", "into", "is", "it", "me", "my", "of", "on", "or", "our", "out", "shall", "should", "so",
        "some", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to",
        "too", "was", "we", "were", "what", "when", "where", "whi", "which", "who", "will", "with", "would",
        "you", "your",
    ];
    STOP_WORDS.binary_search(&term).is_ok()
}

/// Splits text into words, identifier parts and CJK bigrams.
#[derive(Clone, Default)]
struct WordTokenizer;

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream {
        WordStream {
            tokens: tokenize(text),
            next: 0,
        }
    }
}

struct WordStream {
    tokens: Vec<Token>,
    next: usize,
}

impl TokenStream for WordStream {
    fn advance(&mut self) -> bool {
        self.next += 1;
        self.next <= self.tokens.len()
    }

    fn token(&self) -> &Token {
        &self.tokens[self.next - 1]
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.tokens[self.next - 1]
    }
}

/// Character class of the tokenizer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Upper,
    Lower,
    Digit,
    Underscore,
    /// A script without spaces between words: Chinese, Japanese, Korean.
    Cjk,
    /// Not part of any token.
    Separator,
}

fn class(c: char) -> Class {
    match c {
        'a'..='z' => Class::Lower,
        'A'..='Z' => Class::Upper,
        '0'..='9' => Class::Digit,
        '_' => Class::Underscore,
        // Kana, bopomofo, Han with its extensions, Hangul.
        '\u{3040}'..='\u{312f}'
        | '\u{31a0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => Class::Cjk,
        // A combining mark continues the word of its letter.
        '\u{300}'..='\u{36f}' => Class::Lower,
        c if c.is_uppercase() => Class::Upper,
        c if c.is_numeric() => Class::Digit,
        c if c.is_alphanumeric() => Class::Lower,
        _ => Class::Separator,
    }
}

fn tokenize(text: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(text.len() / 6);
    let mut position = 0;
    let mut characters = text.char_indices().peekable();
    while let Some(&(start, first)) = characters.peek() {
        if class(first) == Class::Separator {
            characters.next();
            continue;
        }
        let is_cjk = class(first) == Class::Cjk;
        let mut run = Vec::new();
        while let Some(&(at, c)) = characters.peek() {
            let class = class(c);
            if class == Class::Separator || (class == Class::Cjk) != is_cjk {
                break;
            }
            run.push((at, c));
            characters.next();
        }
        let end = characters.peek().map_or(text.len(), |&(at, _)| at);
        if is_cjk {
            push_bigrams(text, &run, end, &mut position, &mut tokens);
        } else {
            push_word(text, start, end, &run, &mut position, &mut tokens);
        }
    }
    tokens
}

/// Adds the overlapping bigrams of a run of characters. A single character becomes a token of its own.
fn push_bigrams(
    text: &str,
    run: &[(usize, char)],
    end: usize,
    position: &mut usize,
    tokens: &mut Vec<Token>,
) {
    let end_of = |index: usize| run.get(index).map_or(end, |&(at, _)| at);
    for index in 0..run.len().saturating_sub(1).max(1) {
        let range = run[index].0..end_of((index + 2).min(run.len()));
        tokens.push(token(text, range.start, range.end, *position));
        *position += 1;
    }
}

/// Adds a word, followed by its parts if it is a compound identifier: `split_words`, `readFile`, `utf8`.
///
/// The compound has the position of its first part. Phrases therefore match with either spelling.
fn push_word(
    text: &str,
    start: usize,
    end: usize,
    run: &[(usize, char)],
    position: &mut usize,
    tokens: &mut Vec<Token>,
) {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    let mut part_start = None;
    for (index, &(at, c)) in run.iter().enumerate() {
        let current = class(c);
        if current == Class::Underscore {
            parts.extend(part_start.take().map(|start| (start, at)));
            continue;
        }
        let previous = index.checked_sub(1).map(|previous| class(run[previous].1));
        let next = run.get(index + 1).map(|&(_, c)| class(c));
        let is_boundary = match (previous, current) {
            (Some(Class::Lower), Class::Upper) => true,
            // The last of several capitals starts the next part: `HTTPServer`.
            (Some(Class::Upper), Class::Upper) => next == Some(Class::Lower),
            (Some(Class::Digit), Class::Lower | Class::Upper) => true,
            (Some(Class::Lower | Class::Upper), Class::Digit) => true,
            _ => false,
        };
        if is_boundary {
            parts.extend(part_start.take().map(|start| (start, at)));
        }
        part_start.get_or_insert(at);
    }
    parts.extend(part_start.map(|start| (start, end)));
    let Some(&(first_start, first_end)) = parts.first() else {
        return;
    };
    if parts.len() == 1 {
        // The part excludes leading and trailing underscores.
        tokens.push(token(text, first_start, first_end, *position));
        *position += 1;
        return;
    }
    tokens.push(token(text, start, end, *position));
    for (from, to) in parts {
        tokens.push(token(text, from, to, *position));
        *position += 1;
    }
}

fn token(text: &str, from: usize, to: usize, position: usize) -> Token {
    Token {
        offset_from: from,
        offset_to: to,
        position,
        text: text[from..to].to_owned(),
        position_length: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::super::language::ENGLISH;
    use super::*;
    use proptest::prelude::*;

    fn terms(text: &str) -> Vec<String> {
        let found = tokens(&mut analyzer(ENGLISH), text);
        found.into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn words_are_lowercased_unaccented_and_stemmed() {
        assert_eq!(
            terms("Installing the Café's files"),
            ["instal", "the", "cafe", "s", "file"]
        );
        assert_eq!(terms("größe"), ["gross"]);
    }

    #[test]
    fn identifiers_are_indexed_whole_and_in_parts() {
        assert_eq!(terms("split_words"), ["split_word", "split", "word"]);
        assert_eq!(
            terms("readFile HTTPServer"),
            ["readfil", "read", "file", "httpserver", "http", "server"]
        );
        assert_eq!(
            terms("utf8 v1.2.3"),
            ["utf8", "utf", "8", "v1", "v", "1", "2", "3"]
        );
        assert_eq!(terms("__init__ _ a_"), ["init", "a"]);
    }

    #[test]
    fn cjk_text_becomes_bigrams() {
        assert_eq!(terms("東京都へ"), ["東京", "京都", "都へ"]);
        assert_eq!(terms("茶 C言語"), ["茶", "c", "言語"]);
        assert_eq!(terms("검색 엔진"), ["검색", "엔진"]);
    }

    #[test]
    fn stop_words_are_found_by_their_stems() {
        for term in ["the", "a", "how", "your", "why", "does"].map(|word| terms(word).remove(0)) {
            assert!(is_stop_word(&term), "{term}");
        }
        assert!(!is_stop_word("install"));
    }

    proptest! {
        /// Offsets are character boundaries of the text, and positions never decrease.
        #[test]
        fn offsets_are_valid_and_positions_ascend(text in "\\PC{0,200}") {
            let mut position = 0;
            for token in tokenize(&text) {
                prop_assert_eq!(&text[token.offset_from..token.offset_to], token.text);
                prop_assert!(token.position >= position);
                position = token.position;
            }
        }
    }
}
