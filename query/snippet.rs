//! Snippets: the part of a passage with the most matches.

use std::collections::HashSet;
use std::ops::Range;

use crate::SnippetPart;

/// Maximum length of a snippet in bytes, without ellipses. About three lines of a terminal.
const SNIPPET_BYTES: usize = 280;

/// Cuts out the window of `text` with the most distinct matched words, and splits it into parts.
///
/// `matches` are byte ranges of `text`, sorted and disjoint. A snippet is a single line, so each run of white space becomes one
/// space. An ellipsis marks each end that is cut.
pub(crate) fn cut(text: &str, matches: &[Range<usize>]) -> Vec<SnippetPart> {
    let window = best_window(text, matches);
    let mut parts = Parts::default();
    if window.start > 0 {
        parts.push("… ", false);
    }
    let mut at = window.start;
    for matched in matches
        .iter()
        .filter(|m| m.start >= window.start && m.end <= window.end)
    {
        parts.push(&text[at..matched.start], false);
        parts.push(&text[matched.clone()], true);
        at = matched.end;
    }
    parts.push(&text[at..window.end], false);
    if window.end < text.len() {
        parts.push(" …", false);
    }
    parts.finish()
}

/// The window of at most [`SNIPPET_BYTES`] with the most distinct matched words. Ties are broken by the number of matches, then by
/// position. A window starts a little before a match.
fn best_window(text: &str, matches: &[Range<usize>]) -> Range<usize> {
    if text.len() <= SNIPPET_BYTES {
        return 0..text.len();
    }
    // Distinct words, matches, start of the first match.
    let mut best = (0, 0, 0);
    for (i, first) in matches.iter().enumerate() {
        let in_window = matches[i..]
            .iter()
            .take_while(|m| m.end <= first.start + SNIPPET_BYTES * 3 / 4);
        let (mut words, mut count) = (HashSet::new(), 0);
        for m in in_window {
            words.insert(text[m.clone()].to_lowercase());
            count += 1;
        }
        if (words.len(), count) > (best.0, best.1) {
            best = (words.len(), count, first.start);
        }
    }
    let start = word_start(text, best.2.saturating_sub(SNIPPET_BYTES / 6));
    let end = word_end(text, start + SNIPPET_BYTES, start);
    start..end
}

/// The first start of a word at or after `at`, or `at` itself (on a character boundary) if a very long word follows.
fn word_start(text: &str, at: usize) -> usize {
    if at == 0 {
        return 0;
    }
    let at = text.ceil_char_boundary(at);
    let gap = text[at..]
        .char_indices()
        .take(40)
        .find(|(_, c)| c.is_whitespace());
    gap.map_or(at, |(offset, c)| at + offset + c.len_utf8())
}

/// The last end of a word at or before `at` and after `start`, or `at` itself if a very long word precedes it.
fn word_end(text: &str, at: usize, start: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    let at = text.floor_char_boundary(at);
    let gap = text[start..at]
        .char_indices()
        .rev()
        .take(40)
        .find(|(_, c)| c.is_whitespace());
    gap.map_or(at, |(offset, _)| start + offset)
}

/// Collects parts. Collapses white space and merges adjacent parts with the same highlighting.
#[derive(Default)]
struct Parts {
    parts: Vec<SnippetPart>,
    ends_in_space: bool,
}

impl Parts {
    fn push(&mut self, text: &str, highlight: bool) {
        let mut collapsed = String::with_capacity(text.len());
        for c in text.chars() {
            if c.is_whitespace() {
                if !self.ends_in_space {
                    collapsed.push(' ');
                }
                self.ends_in_space = true;
            } else {
                collapsed.push(c);
                self.ends_in_space = false;
            }
        }
        if collapsed.is_empty() {
            return;
        }
        match self.parts.last_mut() {
            Some(last) if last.highlight == highlight => last.text.push_str(&collapsed),
            _ => self.parts.push(SnippetPart {
                text: collapsed,
                highlight,
            }),
        }
    }

    fn finish(mut self) -> Vec<SnippetPart> {
        if let Some(first) = self.parts.first_mut() {
            first.text = first.text.trim_start().to_owned();
        }
        if let Some(last) = self.parts.last_mut() {
            last.text = last.text.trim_end().to_owned();
        }
        self.parts.retain(|part| !part.text.is_empty());
        self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn marked(parts: &[SnippetPart]) -> String {
        let mark = |p: &SnippetPart| {
            if p.highlight {
                format!("[{}]", p.text)
            } else {
                p.text.clone()
            }
        };
        parts.iter().map(mark).collect()
    }

    #[test]
    fn a_short_text_is_shown_whole() {
        assert_eq!(
            marked(&cut("one  two\nthree", std::slice::from_ref(&(5..8)))),
            "one [two] three"
        );
    }

    #[test]
    fn the_window_has_the_most_distinct_words() {
        let filler = "lorem ".repeat(100);
        let text = format!("alpha alpha {filler}alpha beta gamma {filler}");
        let tail = text.find("alpha beta").unwrap();
        let found = [0..5, 6..11, tail..tail + 5, tail + 6..tail + 10];
        let shown = marked(&cut(&text, &found));
        assert!(shown.contains("[alpha] [beta] gamma"), "{shown}");
        assert!(shown.starts_with("… ") && shown.ends_with(" …"), "{shown}");
    }

    #[test]
    fn without_matches_the_beginning_is_shown() {
        let text = "word ".repeat(200);
        assert!(marked(&cut(&text, &[])).starts_with("word word"));
    }

    proptest! {
        /// For any text and matches, the snippet stays within its maximum length and cuts no character in half.
        #[test]
        fn a_snippet_never_exceeds_its_length(text in "\\PC{0,600}", cuts in proptest::collection::vec(0usize..600, 0..8)) {
            let mut at: Vec<usize> = cuts.into_iter().filter(|&c| c <= text.len() && text.is_char_boundary(c)).collect();
            at.sort_unstable();
            at.dedup();
            let matches: Vec<Range<usize>> = at.chunks_exact(2).map(|w| w[0]..w[1]).collect();
            let parts = cut(&text, &matches);
            let length: usize = parts.iter().map(|p| p.text.len()).sum();
            prop_assert!(length <= SNIPPET_BYTES + 16);
        }
    }
}
