//! Maps byte offsets to lines and pages.

use std::ops::Range;

use autorag_store::Span;

/// Byte offsets where lines and pages begin.
pub(super) struct Lines<'p> {
    lines: Vec<usize>,
    pages: &'p [usize],
}

impl<'p> Lines<'p> {
    pub(super) fn new(text: &str, pages: &'p [usize]) -> Lines<'p> {
        let after_breaks = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at + 1);
        Lines {
            lines: std::iter::once(0).chain(after_breaks).collect(),
            pages,
        }
    }

    /// The span of a non-empty range. Lines and pages count from 1.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        let line = |byte: usize| self.lines.partition_point(|&start| start <= byte) as u32;
        let page = self.pages.partition_point(|&start| start <= range.start) as u32;
        Span {
            start_byte: range.start,
            end_byte: range.end,
            start_line: line(range.start),
            end_line: line(range.end.saturating_sub(1).max(range.start)),
            page: (page > 0).then_some(page),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_first_and_last_line_and_the_page_of_their_start() {
        let text = "one\ntwo\nthree\nfour";
        let lines = Lines::new(text, &[4, 8]);
        let span = |range| {
            let span = lines.span(range);
            (span.start_line, span.end_line, span.page)
        };
        assert_eq!(span(0..3), (1, 1, None), "before the first page");
        // The line end at byte 7 belongs to line 2.
        assert_eq!(span(4..8), (2, 2, Some(1)));
        assert_eq!(span(4..9), (2, 3, Some(1)));
        assert_eq!(span(8..18), (3, 4, Some(2)));
        assert_eq!(Lines::new(text, &[]).span(8..9).page, None);
    }
}
