//! Chunking: cutting a document's text into passages by its structure, measured in the model's own tokens.
//!
//! Text with headings is cut at its headings first; neighbouring sections that are short are taken together, under the headings
//! they share. What is still too long is cut by Markdown's blocks, by the syntax of a programming language, or by paragraphs,
//! sentences and words, with some overlap.

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

/// Sections shorter than this, in tokens, are taken together with the next.
const SHORT: usize = 64;
/// Longest text given to a splitter at once, in bytes. For every passage they look at all that is left of it, at every level of
/// structure, so that time grows with the square of this: a larger text goes in parts.
const PART: usize = 16 << 10;

/// A passage to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it lies in the text.
    pub span: Span,
    /// Headings above it, outermost first.
    pub heading_path: Vec<String>,
}

/// Cuts documents.
#[derive(Debug, Clone, Copy)]
pub struct Chunker<'a> {
    tokenizer: &'a Tokenizer,
    tokens: usize,
    overlap: usize,
}

impl<'a> Chunker<'a> {
    /// Passages of at most `tokens` tokens (without the model's special ones), each repeating `overlap_percent` of the one
    /// before where a text is cut for its length alone.
    pub fn new(tokenizer: &'a Tokenizer, tokens: usize, overlap_percent: u8) -> Chunker<'a> {
        let tokens = tokens.max(1);
        let overlap = (tokens * usize::from(overlap_percent) / 100).min(tokens - 1);
        Chunker {
            tokenizer,
            tokens,
            overlap,
        }
    }

    /// Cuts a document. Every piece has something other than white space in it, none has more tokens than asked for, and together
    /// they cover all of the text but white space.
    pub fn chunk(&self, parsed: &Parsed) -> Vec<Piece> {
        let text = &parsed.text;
        let index = TokenIndex::new(text, self.tokenizer);
        let lines = Lines::new(text, &parsed.pages);
        let outline = outline(parsed);
        let mut pieces = Vec::new();
        for section in self.sections(parsed, &outline, &index) {
            let from = pieces.len();
            for part in parts(text, section.range.clone()) {
                self.cut(parsed, part, &outline, &index, &mut |range| {
                    let range = trimmed(text, range);
                    if !range.is_empty() {
                        pieces.push(Piece {
                            span: lines.span(range),
                            heading_path: section.path.clone(),
                        });
                    }
                });
            }
            debug_assert!(
                pieces[from..]
                    .iter()
                    .all(|piece| piece.span.end_byte <= section.range.end)
            );
        }
        pieces
    }

    /// The text in sections by its headings, short neighbours together; all of it where it has none.
    fn sections(&self, parsed: &Parsed, outline: &[Heading], index: &TokenIndex<'_>) -> Vec<Section> {
        let sections = headings::sections(&parsed.text, parsed.body_start, outline);
        let mut merged: Vec<Section> = Vec::new();
        for section in sections {
            match merged.last_mut() {
                Some(last)
                    if index.count(&last.range) < SHORT
                        && index.count(&(last.range.start..section.range.end)) <= self.tokens =>
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

    /// Cuts one part and gives each range to `keep`. Headings that the part begins with stay with what follows them.
    fn cut(
        &self,
        parsed: &Parsed,
        part: Range<usize>,
        outline: &[Heading],
        index: &TokenIndex<'_>,
        keep: &mut impl FnMut(Range<usize>),
    ) {
        if index.count(&part) <= self.tokens {
            return self.keep_exactly(&parsed.text, part, keep);
        }
        let mut body = part.start;
        let mut room = self.tokens;
        let lead = part.start..headings::leading(&parsed.text, &part, outline);
        let tokens = index.count(&lead);
        // Headings of many words would leave what follows too little.
        if tokens <= self.tokens / 4 {
            body = lead.end;
            room -= tokens;
        }
        let mut ranges = self.split(parsed, body..part.end, room, index);
        if let Some(first) = ranges.first_mut() {
            first.start = part.start;
        }
        // A word too long for the model's vocabulary is one token to the index, and may be all of an overlap; of one that was cut in
        // pieces, what is repeated begins with the last.
        let mut last = part.start;
        for range in ranges {
            let range = range.start.max(last)..range.end;
            if range.start < range.end {
                self.keep_exactly(&parsed.text, range, &mut |piece: Range<usize>| {
                    last = piece.start;
                    keep(piece);
                });
            }
        }
    }

    /// Cuts a range by its structure into ranges of at most `tokens` tokens.
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
            // The overlap is below the size, which is the only thing that can be wrong with it.
            sized
                .with_overlap(self.overlap.min(tokens - 1))
                .unwrap_or_else(|_| ChunkConfig::new(tokens).with_sizer(index))
        };
        match (has_marks(parsed), parsed.language.as_deref().and_then(grammar)) {
            (true, _) => ranges(range.start, MarkdownSplitter::new(config()).chunk_indices(text)),
            (_, Some(grammar)) => match CodeSplitter::new(grammar, config()) {
                Ok(splitter) => ranges(range.start, splitter.chunk_indices(text)),
                Err(_) => ranges(range.start, TextSplitter::new(config()).chunk_indices(text)),
            },
            _ => ranges(range.start, TextSplitter::new(config()).chunk_indices(text)),
        }
    }

    /// Keeps a range if it is as short as it must be by an exact count, else its halves. The index counts by where tokens
    /// begin in the whole text; cut in the middle of a word, a piece may have a token or two more by itself.
    fn keep_exactly(&self, text: &str, range: Range<usize>, keep: &mut impl FnMut(Range<usize>)) {
        let mut open = vec![range];
        while let Some(range) = open.pop() {
            let piece = &text[range.clone()];
            if self.tokenizer.count(piece) <= self.tokens || piece.chars().nth(1).is_none() {
                keep(range);
                continue;
            }
            let middle = range.start + halfway(piece);
            open.push(middle..range.end);
            open.push(range.start..middle);
        }
    }
}

/// Whether the text is cut by Markdown's marks.
fn has_marks(parsed: &Parsed) -> bool {
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

/// A place to cut `piece` in two: a white space near the middle, or any character.
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

/// `range` without white space at its ends, but with the indentation of its first line, which in code and lists has a meaning.
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

/// `range` in parts of at most [`PART`] bytes, cut at blank lines, lines or white space where there are any.
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

    fn chunk(tokens: usize, parsed: &Parsed) -> Vec<Piece> {
        Chunker::new(EMBEDDER.tokenizer(), tokens, 10).chunk(parsed)
    }

    fn texts<'t>(text: &'t str, pieces: &[Piece]) -> Vec<&'t str> {
        pieces
            .iter()
            .map(|piece| &text[piece.span.start_byte..piece.span.end_byte])
            .collect()
    }

    #[test]
    fn sections_are_cut_at_headings_and_short_ones_stay_together() {
        let long = "The quick brown fox jumps over the lazy dog and runs away. ".repeat(8);
        let text = format!(
            "# Guide\n\n## A\n\n{long}\n\n## B\n\n{long}\n\n### B one\n\nshort\n\n### B two\n\nshort too\n"
        );
        let document = parsed("markdown", None, &text);
        let pieces = chunk(200, &document);
        let paths: Vec<String> = pieces.iter().map(|piece| piece.heading_path.join("/")).collect();
        assert_eq!(paths, ["Guide", "Guide/B", "Guide/B"]);
        assert!(texts(&text, &pieces)[0].starts_with("# Guide\n\n## A"));
        assert!(texts(&text, &pieces)[2].ends_with("short too"));
        assert_eq!(pieces[1].span.start_line, 7);
    }

    #[test]
    fn a_heading_stays_with_what_follows() {
        let rows = "| some cell | another cell |\n".repeat(60);
        let text = format!("## Codes\n\n| a | b |\n|---|---|\n{rows}");
        let document = parsed("markdown", None, &text);
        let pieces = chunk(120, &document);
        assert!(pieces.len() > 2);
        assert!(texts(&text, &pieces)[0].starts_with("## Codes\n\n| a | b |\n"));
        assert!(texts(&text, &pieces)[0].len() > 200);
    }

    #[test]
    fn code_is_cut_between_functions() {
        let function = |name: &str| {
            format!("fn {name}() {{\n    let value = 1 + 2 + 3;\n    println!(\"{{value}}\");\n}}\n\n")
        };
        let text = ["one", "two", "three"].map(function).concat();
        let pieces = chunk(60, &parsed("code", Some("rust"), &text));
        assert!(pieces.len() > 1);
        assert!(
            texts(&text, &pieces).iter().all(|piece| piece.starts_with("fn ")),
            "{:?}",
            texts(&text, &pieces)
        );
    }

    #[test]
    fn a_line_of_megabytes_is_cut_in_time() {
        let text = "lorem ipsum dolor ".repeat(60_000);
        assert!(chunk(220, &parsed("text", None, &text)).len() > 1000);
        let text = "x".repeat(1 << 20);
        assert!(!chunk(220, &parsed("text", None, &text)).is_empty());
    }

    #[test]
    fn a_word_cut_in_pieces_is_not_repeated_whole() {
        // Longer than any word that the model knows, and so one token, until a cut makes it shorter.
        let word = "\u{443}";
        let text = format!(
            "c\u{25a0}\u{b7}\u{2584}\u{2591} [^A:{}\u{255e}\u{42c}{}\n    def \u{435}\u{42a}\u{42a}\u{42a}lf):\n  {}      return 0\n",
            word.repeat(73),
            word.repeat(40),
            word.repeat(38)
        );
        let pieces = chunk(12, &parsed("code", Some("python"), &text));
        let starts: Vec<usize> = pieces.iter().map(|piece| piece.span.start_byte).collect();
        assert!(starts.len() > 4 && starts.is_sorted(), "{starts:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Pieces slice back on whole characters, keep to their size, come in order and leave nothing out.
        #[test]
        fn pieces_cover_the_text(
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
            let pieces = chunk(tokens, &document);
            let mut covered = 0;
            let mut last = 0;
            for piece in &pieces {
                let span = piece.span;
                let slice = text.get(span.start_byte..span.end_byte).expect("whole characters");
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
