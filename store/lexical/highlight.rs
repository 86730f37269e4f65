//! Where texts have the words of a question.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use tantivy::tokenizer::TextAnalyzer;

use super::analyzer::{analyzer, tokens};
use super::language::Profile;
use super::typed::Typed;

/// Marks the words of a question in texts, by the rules of the lexical index.
///
/// Texts say the same words again and again, and stemming takes its time, so that what was met is remembered.
#[derive(Default)]
pub struct Highlighter {
    sought: HashSet<String>,
    /// What the first of their characters may be.
    firsts: Firsts,
    /// One for each language of the index.
    analyzers: Vec<TextAnalyzer>,
    /// Where pieces of text have such words.
    known: HashMap<String, Vec<Range<usize>>>,
}

impl Highlighter {
    pub(super) fn new(question: &str, languages: &[&Profile]) -> Highlighter {
        let typed = Typed::parse(question, languages);
        let sought: HashSet<String> = typed.sought().flatten().cloned().collect();
        Highlighter {
            firsts: match languages.iter().all(|language| language.keeps_first_letters()) {
                true => Firsts::of(&sought),
                false => Firsts::ANY,
            },
            sought,
            analyzers: languages.iter().map(|language| analyzer(language)).collect(),
            known: HashMap::new(),
        }
    }

    /// Where `text` has words of the question: byte ranges, in order and apart from one another.
    pub fn ranges(&mut self, text: &str) -> Vec<Range<usize>> {
        let (mut ranges, mut start) = (Vec::new(), 0);
        // White space parts words, so that each piece is cut as it would be within the text.
        for spaced in text.split_inclusive(char::is_whitespace) {
            let (piece, at) = (spaced.trim_end(), start);
            start += spaced.len();
            if !self.firsts.may_be_in(piece) {
                continue;
            }
            if !self.known.contains_key(piece) {
                let found = marked(piece, &self.sought, &mut self.analyzers);
                self.known.insert(piece.to_owned(), found);
            }
            let found = self.known.get(piece).into_iter().flatten();
            ranges.extend(found.map(|range| at + range.start..at + range.end));
        }
        ranges
    }
}

/// Characters of ASCII that words begin with, which stemming leaves to them: most pieces of a text are seen by these not to have any.
struct Firsts([bool; 128]);

impl Default for Firsts {
    fn default() -> Firsts {
        Firsts([false; 128])
    }
}

impl Firsts {
    /// Where nothing is known of them.
    const ANY: Firsts = Firsts([true; 128]);

    fn of(words: &HashSet<String>) -> Firsts {
        let mut firsts = Firsts::default();
        for first in words.iter().filter_map(|word| word.bytes().next()) {
            if let Some(known) = firsts.0.get_mut(usize::from(first)) {
                *known = true;
            }
        }
        firsts
    }

    /// Whether a word of `piece` may be one of those. None begins between two small letters.
    fn may_be_in(&self, piece: &str) -> bool {
        let mut before = b' ';
        piece.bytes().any(|byte| {
            let is_within = byte.is_ascii_lowercase() && before.is_ascii_lowercase();
            before = byte;
            let known = self.0.get(usize::from(byte.to_ascii_lowercase()));
            !is_within && known.is_none_or(|&known| known)
        })
    }
}

/// Where `text` has words that are `sought`.
fn marked(text: &str, sought: &HashSet<String>, analyzers: &mut [TextAnalyzer]) -> Vec<Range<usize>> {
    let mut marked: Vec<Range<usize>> = Vec::new();
    for analyzer in analyzers {
        let found = tokens(analyzer, text).into_iter();
        let found = found.filter(|token| sought.contains(&token.text));
        marked.extend(found.map(|token| token.offset_from..token.offset_to));
    }
    marked.sort_by_key(|range| (range.start, range.end));
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for range in marked {
        match ranges.last_mut() {
            // Pairs of characters overlap, and so do identifiers and their parts.
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
        fn stemming_leaves_a_word_its_first_letter(word in "[a-z]{1,3}[a-z]{0,12}|[A-Z][a-z]{0,8}") {
            for language in PROFILES.iter().filter(|language| language.keeps_first_letters()) {
                for token in tokens(&mut analyzer(language), &word) {
                    let first = word.to_ascii_lowercase().bytes().next();
                    prop_assert_eq!(token.text.bytes().next(), first, "{} in {}", token.text, language.code);
                }
            }
        }

        /// The same as a look at the whole text at once, also when it was met before.
        #[test]
        fn pieces_are_marked_as_the_whole_is(
            dutch in any::<bool>(),
            parts in prop::collection::vec("[ \n\u{3000}\u{a0}]|files?|gelezen|Geef|read_Files|读文件|Datei(en)?|e\u{301}|\u{301}|[-.,\"]|[a-zA-Zß0-9_]{1,4}|\\PC", 0..40),
            question in "(file|read|文件|dateien|a|gelezen) ?(reading|é|b1|lezen)?",
        ) {
            let languages = [ENGLISH, by_code(if dutch { "nl" } else { "de" }).unwrap()];
            let text = parts.concat();
            let mut highlighter = Highlighter::new(&question, &languages);
            let whole = marked(&text, &highlighter.sought.clone(), &mut highlighter.analyzers.clone());
            prop_assert_eq!(highlighter.ranges(&text), whole.clone());
            prop_assert_eq!(highlighter.ranges(&text), whole);
        }
    }
}
