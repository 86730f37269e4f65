//! Rejoins words that were hyphenated at line ends, and expands ligatures.

use std::collections::HashSet;

/// Most hyphenated words to remember per document.
const MAX_COMPOUNDS: usize = 20_000;
/// Words after a suspended hyphen, as in "pre- and post-war", in several languages.
const CONJUNCTIONS: &[&str] = &[
    "and", "or", "nor", "to", "und", "oder", "bzw", "bis", "sowie", "et", "ou", "y", "o", "e", "en", "of",
    "och", "eller", "og",
];

/// Rejoins the words of one document.
///
/// A hyphen at a line end either only breaks the word, and is removed, or belongs to the word ("well-known"). The
/// hyphen is kept if the document has already used the word with one.
#[derive(Debug, Default)]
pub(super) struct LineEnds {
    compounds: HashSet<String>,
}

impl LineEnds {
    /// Rejoins the words of `text`, in which each line end is a single space or newline.
    pub(super) fn rejoin(&mut self, text: &str) -> String {
        self.learn(text);
        let mut whole = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(is_hyphen) {
            let (before, after) = rest.split_at(at);
            let hyphen = after.chars().next().map_or(0, char::len_utf8);
            whole.push_str(before);
            let first = letters_at_end(&whole);
            match second_part(&after[hyphen..]) {
                Some((second, next)) if first.chars().nth(1).is_some() && !CONJUNCTIONS.contains(&second) => {
                    if self.compounds.contains(&compound(first, second)) {
                        whole.push('-');
                    }
                    rest = next;
                }
                _ => {
                    whole.push_str(&after[..hyphen]);
                    rest = &after[hyphen..];
                }
            }
        }
        whole.push_str(rest);
        whole
    }

    fn learn(&mut self, text: &str) {
        for (at, hyphen) in text.match_indices(is_hyphen) {
            let (first, second) = (
                letters_at_end(&text[..at]),
                letters_at_start(&text[at + hyphen.len()..]),
            );
            if !first.is_empty() && !second.is_empty() && self.compounds.len() < MAX_COMPOUNDS {
                self.compounds.insert(compound(first, second));
            }
        }
    }
}

fn compound(first: &str, second: &str) -> String {
    format!("{}-{second}", first.to_lowercase())
}

fn is_hyphen(c: char) -> bool {
    matches!(c, '-' | '\u{2010}')
}

/// The continuation of a word after a line end, if it begins with a lower-case letter: its letters, and all
/// text from there.
fn second_part(after: &str) -> Option<(&str, &str)> {
    let next = after.strip_prefix([' ', '\n'])?;
    let second = letters_at_start(next);
    second.starts_with(char::is_lowercase).then_some((second, next))
}

fn letters_at_start(text: &str) -> &str {
    let others = text.trim_start_matches(char::is_alphabetic);
    &text[..text.len() - others.len()]
}

fn letters_at_end(text: &str) -> &str {
    let letters = text.trim_end_matches(char::is_alphabetic);
    &text[letters.len()..]
}

/// Replaces ligature characters by their letters. Models do not recognize words with ligatures, such as "ﬁle".
pub(super) fn expand_ligatures(text: String) -> String {
    const LIGATURES: [(char, &str); 7] = [
        ('\u{fb00}', "ff"),
        ('\u{fb01}', "fi"),
        ('\u{fb02}', "fl"),
        ('\u{fb03}', "ffi"),
        ('\u{fb04}', "ffl"),
        ('\u{fb05}', "st"),
        ('\u{fb06}', "st"),
    ];
    LIGATURES.iter().fold(text, |text, (ligature, letters)| {
        if text.contains(*ligature) {
            text.replace(*ligature, letters)
        } else {
            text
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rejoined(text: &str) -> String {
        LineEnds::default().rejoin(text)
    }

    #[test]
    fn hyphens_at_line_ends_are_removed() {
        assert_eq!(
            rejoined("the docu- mentation of pro\u{2010}\ngrammers"),
            "the documentation of programmers"
        );
        assert_eq!(rejoined("Über- setzung"), "Übersetzung");
    }

    #[test]
    fn ligatures_are_expanded() {
        assert_eq!(
            expand_ligatures("\u{fb01}rst, a\u{fb04}uent, \u{fb06}ag".into()),
            "first, affluent, stag"
        );
        assert_eq!(expand_ligatures("Straße, cæsar".into()), "Straße, cæsar");
    }

    #[test]
    fn other_hyphens_are_kept() {
        for text in [
            "pre- and post-war, Vor- und Nachteile",
            "a - b, -c, x- y, - item",
            "read-only",
            "1990- today, up to 3- digits",
            "Navier- Stokes",
            "trailing-",
            "trailing- ",
        ] {
            assert_eq!(rejoined(text), text);
        }
    }

    #[test]
    fn a_hyphenated_word_keeps_its_hyphen() {
        let mut ends = LineEnds::default();
        assert_eq!(ends.rejoin("It is well-known."), "It is well-known.");
        assert_eq!(ends.rejoin("Well- known since"), "Well-known since");
        assert_eq!(
            ends.rejoin("A low- level, low-level call"),
            "A low-level, low-level call"
        );
    }

    proptest! {
        /// Only hyphens and the line ends after them are removed.
        #[test]
        fn no_letter_is_lost(text in "([a-zé]{1,3}[-\u{2010} \nA]{1,2}){0,12}") {
            let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
            prop_assert_eq!(letters(&rejoined(&text)), letters(&text));
        }
    }
}
