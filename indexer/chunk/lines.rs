//! From bytes to lines and pages.

use std::ops::Range;

use autorag_store::Span;

/// Where each line of a text begins, and each page.
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

    /// The span of a range that is not empty.
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
