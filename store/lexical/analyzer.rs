//! From text to terms: words in lower case without accents, stemmed; identifiers whole and in parts; Chinese, Japanese and
//! Korean, which put no space between words, as overlapping pairs of characters.

use tantivy::tokenizer::{
    AsciiFoldingFilter, LowerCaser, RemoveLongFilter, Stemmer, TextAnalyzer, Token, TokenStream, Tokenizer,
};

use super::language::Profile;

/// Name of the analyzer in the index's schema. A change of what it does needs a new name, so that older indexes are rebuilt.
pub(super) const NAME: &str = "autorag-2";
/// Longest term, bytes. What is longer is data, not a word.
const LONGEST: usize = 80;

/// The analyzer of texts in a language, and of queries and highlights.
pub(super) fn analyzer(language: &Profile) -> TextAnalyzer {
    TextAnalyzer::builder(Words)
        .filter(RemoveLongFilter::limit(LONGEST))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter)
        .filter(Stemmer::new(language.stemmer))
        .build()
}

/// All tokens of a text.
pub(super) fn tokens(analyzer: &mut TextAnalyzer, text: &str) -> Vec<Token> {
    let mut stream = analyzer.token_stream(text);
    let mut tokens = Vec::with_capacity(text.len() / 6);
    while stream.advance() {
        tokens.push(stream.token().clone());
    }
    tokens
}

/// Words that say little by themselves. They are indexed, since phrases need them, and left out of queries that have others.
pub(super) fn is_stop_word(term: &str) -> bool {
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

/// Cuts text into words, see the module.
#[derive(Clone, Default)]
struct Words;

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream {
        WordStream {
            tokens: cut(text),
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

/// What a character is to the cutter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Upper,
    Lower,
    Digit,
    Underscore,
    Unspaced,
    Gap,
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
        | '\u{20000}'..='\u{3ffff}' => Class::Unspaced,
        // Combining marks belong to the letter before them.
        '\u{300}'..='\u{36f}' => Class::Lower,
        c if c.is_uppercase() => Class::Upper,
        c if c.is_numeric() => Class::Digit,
        c if c.is_alphanumeric() => Class::Lower,
        _ => Class::Gap,
    }
}

fn cut(text: &str) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(text.len() / 6);
    let mut position = 0;
    let mut characters = text.char_indices().peekable();
    while let Some(&(start, first)) = characters.peek() {
        let kind = class(first);
        let unspaced = kind == Class::Unspaced;
        let mut run = Vec::new();
        while let Some(&(at, c)) = characters.peek() {
            let here = class(c);
            if here == Class::Gap || (here == Class::Unspaced) != unspaced {
                break;
            }
            run.push((at, c));
            characters.next();
        }
        let end = characters.peek().map_or(text.len(), |&(at, _)| at);
        match (kind, unspaced) {
            (Class::Gap, _) => drop(characters.next()),
            (_, true) => pairs(text, &run, end, &mut position, &mut tokens),
            (_, false) => word(text, start, end, &run, &mut position, &mut tokens),
        }
    }
    tokens
}

/// Overlapping pairs of the characters of a run; the character itself where there is only one.
fn pairs(text: &str, run: &[(usize, char)], end: usize, position: &mut usize, tokens: &mut Vec<Token>) {
    let end_of = |index: usize| run.get(index).map_or(end, |&(at, _)| at);
    for index in 0..run.len().saturating_sub(1).max(1) {
        let range = run[index].0..end_of((index + 2).min(run.len()));
        tokens.push(token(text, range.start, range.end, *position));
        *position += 1;
    }
}

/// A word, and its parts where it is an identifier of several: `split_words`, `readFile`, `utf8`.
fn word(
    text: &str,
    start: usize,
    end: usize,
    run: &[(usize, char)],
    position: &mut usize,
    tokens: &mut Vec<Token>,
) {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    let mut from = None;
    for (index, &(at, c)) in run.iter().enumerate() {
        let here = class(c);
        if here == Class::Underscore {
            parts.extend(from.take().map(|from| (from, at)));
            continue;
        }
        let before = index.checked_sub(1).map(|before| class(run[before].1));
        let after = run.get(index + 1).map(|&(_, c)| class(c));
        let boundary = match (before, here) {
            (Some(Class::Lower), Class::Upper) => true,
            // The last capital of several begins the next word: `HTTPServer`.
            (Some(Class::Upper), Class::Upper) => after == Some(Class::Lower),
            (Some(Class::Digit), Class::Lower | Class::Upper) => true,
            (Some(Class::Lower | Class::Upper), Class::Digit) => true,
            _ => false,
        };
        if boundary {
            parts.extend(from.take().map(|from| (from, at)));
        }
        from.get_or_insert(at);
    }
    parts.extend(from.map(|from| (from, end)));
    let Some(&(first, last)) = parts.first() else {
        return;
    };
    if parts.len() == 1 {
        tokens.push(token(text, first, last, *position));
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
    fn words_are_folded_and_stemmed() {
        assert_eq!(
            terms("Installing the Café's files"),
            ["instal", "the", "cafe", "s", "file"]
        );
        assert_eq!(terms("größe"), ["gross"]);
    }

    #[test]
    fn identifiers_stay_whole_and_come_apart() {
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
    fn unspaced_scripts_become_pairs() {
        assert_eq!(terms("東京都へ"), ["東京", "京都", "都へ"]);
        assert_eq!(terms("茶 C言語"), ["茶", "c", "言語"]);
        assert_eq!(terms("검색 엔진"), ["검색", "엔진"]);
    }

    #[test]
    fn stop_words_are_in_order() {
        for term in ["the", "a", "how", "your", "why", "does"].map(|word| terms(word).remove(0)) {
            assert!(is_stop_word(&term), "{term}");
        }
        assert!(!is_stop_word("install"));
    }

    proptest! {
        /// Offsets are on character boundaries, in the text, and positions never go back.
        #[test]
        fn offsets_are_in_the_text(text in "\\PC{0,200}") {
            let mut position = 0;
            for token in cut(&text) {
                prop_assert_eq!(&text[token.offset_from..token.offset_to], token.text);
                prop_assert!(token.position >= position);
                position = token.position;
            }
        }
    }
}
