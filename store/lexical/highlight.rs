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
    /// One for each language of the index.
    analyzers: Vec<TextAnalyzer>,
    /// Where pieces of text have such words.
    known: HashMap<String, Vec<Range<usize>>>,
}

impl Highlighter {
    pub(super) fn new(question: &str, languages: &[&Profile]) -> Highlighter {
        let typed = Typed::parse(question, languages);
        Highlighter {
            sought: typed.sought().flatten().cloned().collect(),
            analyzers: languages.iter().map(|language| analyzer(language)).collect(),
            known: HashMap::new(),
        }
    }

    /// Where `text` has words of the question: byte ranges, in order and apart from one another.
    pub fn ranges(&mut self, text: &str) -> Vec<Range<usize>> {
        let (mut ranges, mut start) = (Vec::new(), 0);
        // White space parts words, so that each piece is cut as it would be within the text.
        for spaced in text.split_inclusive(char::is_whitespace) {
            let piece = spaced.trim_end();
            if !self.known.contains_key(piece) {
                let found = marked(piece, &self.sought, &mut self.analyzers);
                self.known.insert(piece.to_owned(), found);
            }
            let found = self.known.get(piece).into_iter().flatten();
            ranges.extend(found.map(|range| start + range.start..start + range.end));
            start += spaced.len();
        }
        ranges
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

    use super::super::language::{ENGLISH, by_code};
    use super::*;

    proptest! {
        /// The same as a look at the whole text at once, also when it was met before.
        #[test]
        fn pieces_are_marked_as_the_whole_is(
            parts in prop::collection::vec("[ \n\u{3000}\u{a0}]|files?|read_Files|读文件|Datei(en)?|e\u{301}|\u{301}|[-.,\"]|[a-zA-Zß0-9_]{1,4}|\\PC", 0..40),
            question in "(file|read|文件|dateien|a) ?(reading|é|b1)?",
        ) {
            let languages = [ENGLISH, by_code("de").unwrap()];
            let text = parts.concat();
            let mut highlighter = Highlighter::new(&question, &languages);
            let whole = marked(&text, &highlighter.sought.clone(), &mut highlighter.analyzers.clone());
            prop_assert_eq!(highlighter.ranges(&text), whole.clone());
            prop_assert_eq!(highlighter.ranges(&text), whole);
        }
    }
}
