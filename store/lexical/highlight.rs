//! Finds the words of a query in texts, for highlighting.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use tantivy::tokenizer::TextAnalyzer;

use super::analyzer::{analyzer, tokens};
use super::language::Profile;
use super::query_parser::ParsedQuery;

/// Finds the words of a query in texts, with the stemming of the lexical index.
///
/// Stemming is slow and texts repeat words, so results are cached by piece of text.
#[derive(Default)]
pub struct Highlighter {
    /// Stems of the query's words.
    stems: HashSet<String>,
    /// First bytes of `stems`.
    first_bytes: FirstBytes,
    /// One analyzer for each language of the index.
    analyzers: Vec<TextAnalyzer>,
    /// Ranges within a piece of text that has been searched before.
    cache: HashMap<String, Vec<Range<usize>>>,
}

impl Highlighter {
    pub(super) fn new(question: &str, languages: &[&Profile]) -> Highlighter {
        let query = ParsedQuery::parse(question, languages);
        let stems: HashSet<String> = query.scoring_words().flatten().cloned().collect();
        let first_bytes = if languages.iter().all(|language| language.keeps_first_letters()) {
            FirstBytes::of(&stems)
        } else {
            FirstBytes::ANY
        };
        Highlighter {
            stems,
            first_bytes,
            analyzers: languages.iter().map(|language| analyzer(language)).collect(),
            cache: HashMap::new(),
        }
    }

    /// Byte ranges of the query's words in `text`, ascending, with a gap between any two.
    pub fn ranges(&mut self, text: &str) -> Vec<Range<usize>> {
        let (mut ranges, mut start) = (Vec::new(), 0);
        // No token spans white space, so a piece has the same tokens alone as within the text.
        for piece_with_space in text.split_inclusive(char::is_whitespace) {
            let (piece, offset) = (piece_with_space.trim_end(), start);
            start += piece_with_space.len();
            if !self.first_bytes.may_match(piece) {
                continue;
            }
            if !self.cache.contains_key(piece) {
                let found = find_stems(piece, &self.stems, &mut self.analyzers);
                self.cache.insert(piece.to_owned(), found);
            }
            let found = self.cache.get(piece).into_iter().flatten();
            ranges.extend(found.map(|range| offset + range.start..offset + range.end));
        }
        ranges
    }
}

/// ASCII bytes that stems start with. Stemming keeps the first letter of a word, so most pieces of text can
/// be skipped unstemmed.
struct FirstBytes([bool; 128]);

impl Default for FirstBytes {
    fn default() -> FirstBytes {
        FirstBytes([false; 128])
    }
}

impl FirstBytes {
    /// Skips nothing, for languages whose stemmers remove prefixes.
    const ANY: FirstBytes = FirstBytes([true; 128]);

    fn of(stems: &HashSet<String>) -> FirstBytes {
        let mut first_bytes = FirstBytes::default();
        for first in stems.iter().filter_map(|stem| stem.bytes().next()) {
            if let Some(slot) = first_bytes.0.get_mut(usize::from(first)) {
                *slot = true;
            }
        }
        first_bytes
    }

    /// Whether a word in `piece` may have one of the stems. False positives are possible, false negatives are
    /// not.
    fn may_match(&self, piece: &str) -> bool {
        let mut previous = b' ';
        piece.bytes().any(|byte| {
            // No word starts between two lower-case letters.
            let is_inside_word = byte.is_ascii_lowercase() && previous.is_ascii_lowercase();
            previous = byte;
            let slot = self.0.get(usize::from(byte.to_ascii_lowercase()));
            !is_inside_word && slot.is_none_or(|&is_first| is_first)
        })
    }
}

/// Byte ranges of the words of `text` that have one of the `stems`, merged where they touch.
fn find_stems(text: &str, stems: &HashSet<String>, analyzers: &mut [TextAnalyzer]) -> Vec<Range<usize>> {
    let mut matches: Vec<Range<usize>> = Vec::new();
    for analyzer in analyzers {
        let found = tokens(analyzer, text).into_iter();
        let found = found.filter(|token| stems.contains(&token.text));
        matches.extend(found.map(|token| token.offset_from..token.offset_to));
    }
    matches.sort_by_key(|range| (range.start, range.end));
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for range in matches {
        match ranges.last_mut() {
            // CJK bigrams overlap, and so do identifiers and their parts.
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => ranges.push(range),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::language::{ENGLISH, PROFILES, by_code};
    use super::*;

    proptest! {
        #[test]
        fn stemming_keeps_the_first_letter(word in "[a-z]{1,3}[a-z]{0,12}|[A-Z][a-z]{0,8}") {
            for language in PROFILES.iter().filter(|language| language.keeps_first_letters()) {
                for token in tokens(&mut analyzer(language), &word) {
                    let first = word.to_ascii_lowercase().bytes().next();
                    prop_assert_eq!(token.text.bytes().next(), first, "{} in {}", token.text, language.code);
                }
            }
        }

        /// Searching piece by piece equals searching the whole text, with an empty cache and with a full one.
        #[test]
        fn ranges_equal_those_of_the_unsplit_text(
            dutch in any::<bool>(),
            parts in prop::collection::vec("[ \n\u{3000}\u{a0}]|files?|gelezen|Geef|read_Files|读文件|Datei(en)?|e\u{301}|\u{301}|[-.,\"]|[a-zA-Zß0-9_]{1,4}|\\PC", 0..40),
            question in "(file|read|文件|dateien|a|gelezen) ?(reading|é|b1|lezen)?",
        ) {
            let languages = [ENGLISH, by_code(if dutch { "nl" } else { "de" }).unwrap()];
            let text = parts.concat();
            let mut highlighter = Highlighter::new(&question, &languages);
            let whole = find_stems(&text, &highlighter.stems.clone(), &mut highlighter.analyzers.clone());
            prop_assert_eq!(highlighter.ranges(&text), whole.clone());
            prop_assert_eq!(highlighter.ranges(&text), whole);
        }
    }
}
