//! Cuts a document's text into passages by its structure. Lengths are in tokens of the model.
//!
//! Text with headings is first cut at its headings. Short neighbouring sections are merged, under the headings
//! that they share. Sections that are too long are cut at Markdown blocks, by the syntax of a programming
//! language, or at paragraphs, sentences and words, with some overlap.

mod headings;
mod lines;
mod tokens;

use std::borrow::Cow;
use std::ops::Range;

use autorag_embedder::Tokenizer;
use autorag_store::Span;
use text_splitter::{ChunkConfig, CodeSplitter, MarkdownSplitter, TextSplitter};

pub(crate) use headings::headings;

use crate::parse::{Heading, Parsed, Structure, grammar};
use headings::Section;
use lines::Lines;
use tokens::TokenIndex;

/// A section shorter than this many tokens is merged with the next one.
const SHORT: usize = 64;
/// Longest text passed to a splitter at once, bytes. For every passage, a splitter scans all remaining text at
/// every level of structure, so its time grows with the square of the length. Longer text is split into parts
/// first.
const PART: usize = 16 << 10;

/// Position of a passage in its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassageSpan {
    /// Bytes, lines and page.
    pub span: Span,
    /// Headings above the passage, outermost first.
    pub heading_path: Vec<String>,
}

/// Cuts documents into passages.
#[derive(Debug, Clone, Copy)]
pub struct Chunker<'a> {
    tokenizer: &'a Tokenizer,
    max_tokens: usize,
    overlap: usize,
}

impl<'a> Chunker<'a> {
    /// A chunker for passages of at most `max_tokens` tokens, without the model's special tokens.
    ///
    /// Where text is cut for its length alone, consecutive passages overlap by up to `overlap_percent` of
    /// `max_tokens`.
    pub fn new(tokenizer: &'a Tokenizer, max_tokens: usize, overlap_percent: u8) -> Chunker<'a> {
        let max_tokens = max_tokens.max(1);
        let overlap = (max_tokens * usize::from(overlap_percent) / 100).min(max_tokens - 1);
        Chunker {
            tokenizer,
            max_tokens,
            overlap,
        }
    }

    /// Cuts a document. Together the passages cover all text except white space, and no passage is blank.
    ///
    /// A passage exceeds the limit only if a single character does.
    pub fn chunk(&self, parsed: &Parsed) -> Vec<PassageSpan> {
        let text = &parsed.text;
        let index = TokenIndex::new(text, self.tokenizer);
        let lines = Lines::new(text, &parsed.pages);
        let outline = outline(parsed);
        let mut passages = Vec::new();
        for section in self.sections(parsed, &outline, &index) {
            let first = passages.len();
            for part in parts(text, section.range.clone()) {
                self.cut(parsed, part, &outline, &index, &mut |range| {
                    let range = trimmed(text, range);
                    if !range.is_empty() {
                        passages.push(PassageSpan {
                            span: lines.span(range),
                            heading_path: section.path.clone(),
                        });
                    }
                });
            }
            debug_assert!(
                passages[first..]
                    .iter()
                    .all(|passage| passage.span.end_byte <= section.range.end)
            );
        }
        passages
    }

    /// The sections between headings, with short neighbours merged. Text without headings is one section.
    fn sections(&self, parsed: &Parsed, outline: &[Heading], index: &TokenIndex<'_>) -> Vec<Section> {
        let sections = headings::sections(&parsed.text, parsed.body_start, outline);
        let mut merged: Vec<Section> = Vec::new();
        for section in sections {
            match merged.last_mut() {
                Some(last)
                    if index.count(&last.range) < SHORT
                        && index.count(&(last.range.start..section.range.end)) <= self.max_tokens =>
                {
                    let shared = last
                        .path
                        .iter()
                        .zip(&section.path)
                        .take_while(|(one, other)| one == other)
                        .count();
                    last.path.truncate(shared);
                    last.range.end = section.range.end;
                }
                _ => merged.push(section),
            }
        }
        merged
    }

    /// Cuts one part and passes each range to `keep`. Leading headings stay with the text that follows them.
    fn cut(
        &self,
        parsed: &Parsed,
        part: Range<usize>,
        outline: &[Heading],
        index: &TokenIndex<'_>,
        keep: &mut impl FnMut(Range<usize>),
    ) {
        if index.count(&part) <= self.max_tokens {
            return self.keep_exactly(&parsed.text, part, keep);
        }
        let mut body = part.start;
        let mut room = self.max_tokens;
        let lead = part.start..headings::leading(&parsed.text, &part, outline);
        let tokens = index.count(&lead);
        // Long headings would leave too little room for the text after them.
        if tokens <= self.max_tokens / 4 {
            body = lead.end;
            room -= tokens;
        }
        let mut ranges = self.split(parsed, body..part.end, room, index);
        if let Some(first) = ranges.first_mut() {
            first.start = part.start;
        }
        // A word too long for the model's vocabulary is a single token to the index, so it may make up a whole
        // overlap. If `keep_exactly` has cut such a word, only its last piece is repeated.
        let mut last = part.start;
        for range in ranges {
            let range = range.start.max(last)..range.end;
            if range.start < range.end {
                self.keep_exactly(&parsed.text, range, &mut |range: Range<usize>| {
                    last = range.start;
                    keep(range);
                });
            }
        }
    }

    /// Cuts a range by its structure into ranges of at most `tokens` tokens, as the index counts them.
    fn split(
        &self,
        parsed: &Parsed,
        range: Range<usize>,
        tokens: usize,
        index: &TokenIndex<'_>,
    ) -> Vec<Range<usize>> {
        let text = &parsed.text[range.clone()];
        let config = || {
            let sized = ChunkConfig::new(tokens).with_sizer(index);
            // Fails only if the overlap is not smaller than the size.
            sized
                .with_overlap(self.overlap.min(tokens - 1))
                .unwrap_or_else(|_| ChunkConfig::new(tokens).with_sizer(index))
        };
        if is_markdown(parsed) {
            return ranges(range.start, MarkdownSplitter::new(config()).chunk_indices(text));
        }
        let grammar = parsed.language.as_deref().and_then(grammar);
        match grammar.and_then(|grammar| CodeSplitter::new(grammar, config()).ok()) {
            Some(splitter) => ranges(range.start, splitter.chunk_indices(text)),
            None => ranges(range.start, TextSplitter::new(config()).chunk_indices(text)),
        }
    }

    /// Passes a range to `keep`, or its halves if an exact count shows that it is too long.
    ///
    /// The index counts the tokens of the whole text that begin in a range. A range that begins or ends within
    /// a word may have a token or two more on its own.
    fn keep_exactly(&self, text: &str, range: Range<usize>, keep: &mut impl FnMut(Range<usize>)) {
        let mut open = vec![range];
        while let Some(range) = open.pop() {
            let piece = &text[range.clone()];
            if self.tokenizer.count(piece) <= self.max_tokens || piece.chars().nth(1).is_none() {
                keep(range);
                continue;
            }
            let middle = range.start + halfway(piece);
            open.push(middle..range.end);
            open.push(range.start..middle);
        }
    }
}

/// Whether the text is cut by Markdown syntax.
fn is_markdown(parsed: &Parsed) -> bool {
    parsed.structure != Structure::Plain
}

/// The headings of a document, in order.
fn outline(parsed: &Parsed) -> Cow<'_, [Heading]> {
    match &parsed.structure {
        Structure::Plain => Cow::Borrowed(&[]),
        Structure::Markdown => Cow::Owned(headings(&parsed.text, parsed.body_start)),
        Structure::Headings(headings) => Cow::Borrowed(headings),
    }
}

fn ranges<'t>(offset: usize, chunks: impl Iterator<Item = (usize, &'t str)>) -> Vec<Range<usize>> {
    chunks
        .map(|(at, chunk)| offset + at..offset + at + chunk.len())
        .collect()
}

/// Where to cut `piece` in two: at white space near the middle, or else between two characters.
fn halfway(piece: &str) -> usize {
    let middle = piece.floor_char_boundary(piece.len() / 2);
    let space = piece[middle..].find(char::is_whitespace).map(|at| middle + at);
    let cut = space
        .filter(|&at| at < piece.len() * 3 / 4 && at > 0)
        .unwrap_or(middle);
    if cut > 0 {
        cut
    } else {
        piece.chars().next().map_or(piece.len(), char::len_utf8)
    }
}

/// `range` without white space at its ends. The indentation of the first line is kept, because it is
/// significant in code and lists.
fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let end = range.start + piece.trim_end().len();
    let lead = piece.len() - piece.trim_start().len();
    if range.start + lead >= end {
        return range.start..range.start;
    }
    let start = piece[..lead].rfind('\n').map_or(0, |line| line + 1);
    range.start + start..end
}

/// Splits `range` into parts of at most [`PART`] bytes, at blank lines, line ends or white space if possible.
fn parts(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = range.start;
    while range.end - start > PART {
        let limit = text.floor_char_boundary(start + PART);
        let window = &text[start..limit];
        let far_enough = |at: &usize| *at > PART / 2;
        let cut = window.rfind("\n\n").filter(far_enough).map(|at| at + 2);
        let cut = cut.or_else(|| window.rfind('\n').filter(far_enough).map(|at| at + 1));
        let cut = cut.or_else(|| window.rfind(char::is_whitespace).filter(far_enough));
        let end = start + cut.unwrap_or(window.len());
        parts.push(start..end);
        start = end;
    }
    parts.push(start..range.end);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use autorag_embedder::Embedder;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static EMBEDDER: LazyLock<Embedder> = LazyLock::new(|| Embedder::built_in().unwrap());

    fn parsed(kind: &'static str, language: Option<&'static str>, text: &str) -> Parsed {
        Parsed {
            language: language.map(Cow::Borrowed),
            structure: match kind {
                "markdown" => Structure::Markdown,
                _ => Structure::Plain,
            },
            ..Parsed::plain(kind, text.to_owned())
        }
    }

    fn chunk(tokens: usize, parsed: &Parsed) -> Vec<PassageSpan> {
        Chunker::new(EMBEDDER.tokenizer(), tokens, 10).chunk(parsed)
    }

    fn texts<'t>(text: &'t str, passages: &[PassageSpan]) -> Vec<&'t str> {
        passages
            .iter()
            .map(|passage| &text[passage.span.start_byte..passage.span.end_byte])
            .collect()
    }

    #[test]
    fn sections_are_cut_at_headings_and_short_ones_are_merged() {
        let long = "The quick brown fox jumps over the lazy dog and runs away. ".repeat(8);
        let text = format!(
            "# Guide\n\n## A\n\n{long}\n\n## B\n\n{long}\n\n### B one\n\nshort\n\n### B two\n\nshort too\n"
        );
        let document = parsed("markdown", None, &text);
        let passages = chunk(200, &document);
        let paths: Vec<String> = passages
            .iter()
            .map(|passage| passage.heading_path.join("/"))
            .collect();
        assert_eq!(paths, ["Guide", "Guide/B", "Guide/B"]);
        assert!(texts(&text, &passages)[0].starts_with("# Guide\n\n## A"));
        assert!(texts(&text, &passages)[2].ends_with("short too"));
        assert_eq!(passages[1].span.start_line, 7);
    }

    #[test]
    fn a_heading_stays_with_the_text_after_it() {
        let rows = "| some cell | another cell |\n".repeat(60);
        let text = format!("## Codes\n\n| a | b |\n|---|---|\n{rows}");
        let document = parsed("markdown", None, &text);
        let passages = chunk(120, &document);
        assert!(passages.len() > 2);
        assert!(texts(&text, &passages)[0].starts_with("## Codes\n\n| a | b |\n"));
        assert!(texts(&text, &passages)[0].len() > 200);
    }

    #[test]
    fn code_is_cut_between_functions() {
        let function = |name: &str| {
            format!("fn {name}() {{\n    let value = 1 + 2 + 3;\n    println!(\"{{value}}\");\n}}\n\n")
        };
        let text = ["one", "two", "three"].map(function).concat();
        let passages = chunk(60, &parsed("code", Some("rust"), &text));
        assert!(passages.len() > 1);
        assert!(
            texts(&text, &passages)
                .iter()
                .all(|passage| passage.starts_with("fn ")),
            "{:?}",
            texts(&text, &passages)
        );
    }

    #[test]
    fn a_line_of_a_megabyte_is_cut_quickly() {
        let text = "lorem ipsum dolor ".repeat(60_000);
        assert!(chunk(220, &parsed("text", None, &text)).len() > 1000);
        let text = "x".repeat(1 << 20);
        assert!(!chunk(220, &parsed("text", None, &text)).is_empty());
    }

    #[test]
    fn an_overlap_does_not_repeat_a_whole_cut_word() {
        // Too long for the vocabulary and therefore one token, until a cut makes it shorter.
        let word = "\u{443}";
        let text = format!(
            "c\u{25a0}\u{b7}\u{2584}\u{2591} [^A:{}\u{255e}\u{42c}{}\n    def \u{435}\u{42a}\u{42a}\u{42a}lf):\n  {}      return 0\n",
            word.repeat(73),
            word.repeat(40),
            word.repeat(38)
        );
        let passages = chunk(12, &parsed("code", Some("python"), &text));
        let starts: Vec<usize> = passages.iter().map(|passage| passage.span.start_byte).collect();
        assert!(starts.len() > 4 && starts.is_sorted(), "{starts:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Passages lie on character boundaries, are within the limit and in order, and leave out only white space.
        #[test]
        fn passages_cover_the_text(
            words in proptest::collection::vec(
                prop::sample::select(vec![
                    "word ", "# heading\n", "## sub\n", "\n", "\n\n", "- item\n", "```\n", "ünïcödé ", "漢字かな交じり文", "fn x() {\n}\n",
                    "| a | b |\n", "  indented\n", "sentence ends here. ", "supercalifragilisticexpialidocious ", "\t", "\r\n",
                ]),
                0..120,
            ),
            kind in prop::sample::select(vec![("markdown", None), ("text", None), ("code", Some("rust")), ("code", Some("python"))]),
            tokens in 8usize..60,
        ) {
            let text = words.concat();
            let document = parsed(kind.0, kind.1, &text);
            let passages = chunk(tokens, &document);
            let mut covered = 0;
            let mut last = 0;
            for passage in &passages {
                let span = passage.span;
                let slice = text.get(span.start_byte..span.end_byte).expect("on character boundaries");
                prop_assert!(!slice.trim().is_empty());
                prop_assert!(EMBEDDER.tokenizer().count(slice) <= tokens);
                prop_assert!(span.start_byte >= last);
                last = span.start_byte;
                let gap = text.get(covered..span.start_byte).unwrap_or_default();
                prop_assert!(gap.trim().is_empty(), "left out {gap:?}");
                covered = covered.max(span.end_byte);
                let line = 1 + text[..span.start_byte].matches('\n').count() as u32;
                prop_assert_eq!(span.start_line, line);
                prop_assert_eq!(span.end_line, line + slice.matches('\n').count() as u32);
            }
            prop_assert!(text[covered..].trim().is_empty());
        }
    }
}
