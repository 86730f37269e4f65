//! Words that the end of a printed line has parted, and letters that print as one.

use std::collections::HashSet;

/// Words with a hyphen of their own that are remembered.
const MOST_COMPOUNDS: usize = 20_000;
/// What follows a hyphen that stands for a part said later, as in "pre- and post-war", in the languages that do so.
const JOINING: &[&str] = &[
    "and", "or", "nor", "to", "und", "oder", "bzw", "bis", "sowie", "et", "ou", "y", "o", "e", "en", "of",
    "och", "eller", "og",
];

/// Puts parted words together again, document by document.
///
/// A hyphen before the end of a line is either the printer's, and goes, or belongs to the word ("well-known"). It stays where the
/// document has written the word with it before.
#[derive(Debug, Default)]
pub(super) struct LineEnds {
    compounds: HashSet<String>,
}

impl LineEnds {
    /// `text`, in which a line ended where now there is one space or newline, with whole words.
    pub(super) fn mend(&mut self, text: &str) -> String {
        self.learn(text);
        let mut whole = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(is_hyphen) {
            let (before, after) = rest.split_at(at);
            let hyphen = after.chars().next().map_or(0, char::len_utf8);
            whole.push_str(before);
            let first = letters_at_end(&whole);
            match second_part(&after[hyphen..]) {
                Some((second, next)) if first.chars().nth(1).is_some() && !JOINING.contains(&second) => {
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
            if !first.is_empty() && !second.is_empty() && self.compounds.len() < MOST_COMPOUNDS {
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

/// What goes on after the end of a line, where it does so with a small letter: its letters, and all from there on.
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

/// `text` with the letters of ligatures that are characters of their own. To a model that has not seen them, "ﬁle" is no word.
pub(super) fn spelled(text: String) -> String {
    const LIGATURES: [(char, &str); 7] = [
        ('\u{fb00}', "ff"),
        ('\u{fb01}', "fi"),
        ('\u{fb02}', "fl"),
        ('\u{fb03}', "ffi"),
        ('\u{fb04}', "ffl"),
        ('\u{fb05}', "st"),
        ('\u{fb06}', "st"),
    ];
    LIGATURES
        .iter()
        .fold(text, |text, (ligature, letters)| match text.contains(*ligature) {
            true => text.replace(*ligature, letters),
            false => text,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mended(text: &str) -> String {
        LineEnds::default().mend(text)
    }

    #[test]
    fn the_hyphens_of_the_printer_go() {
        assert_eq!(
            mended("the docu- mentation of pro\u{2010}\ngrammers"),
            "the documentation of programmers"
        );
        assert_eq!(mended("Über- setzung"), "Übersetzung");
    }

    #[test]
    fn ligatures_are_spelled_out() {
        assert_eq!(
            spelled("\u{fb01}rst, a\u{fb04}uent, \u{fb06}ag".into()),
            "first, affluent, stag"
        );
        assert_eq!(spelled("Straße, cæsar".into()), "Straße, cæsar");
    }

    #[test]
    fn other_hyphens_stay() {
        for text in [
            "pre- and post-war, Vor- und Nachteile",
            "a - b, -c, x- y, - item",
            "read-only",
            "1990- today, up to 3- digits",
            "Navier- Stokes",
            "trailing-",
            "trailing- ",
        ] {
            assert_eq!(mended(text), text);
        }
    }

    #[test]
    fn a_word_that_has_a_hyphen_keeps_it() {
        let mut ends = LineEnds::default();
        assert_eq!(ends.mend("It is well-known."), "It is well-known.");
        assert_eq!(ends.mend("Well- known since"), "Well-known since");
        assert_eq!(
            ends.mend("A low- level, low-level call"),
            "A low-level, low-level call"
        );
    }

    proptest! {
        /// Nothing is lost but hyphens and the ends of lines behind them.
        #[test]
        fn letters_stay(text in "([a-zé]{1,3}[-\u{2010} \nA]{1,2}){0,12}") {
            let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
            prop_assert_eq!(letters(&mended(&text)), letters(&text));
        }
    }
}
