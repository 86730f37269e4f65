//! From bytes to lines.

use std::ops::Range;

use autorag_store::Span;

/// Where each line of a text begins.
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn new(text: &str) -> Lines {
        let after_breaks = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at + 1);
        Lines(std::iter::once(0).chain(after_breaks).collect())
    }

    /// The span of a range that is not empty.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        let line = |byte: usize| self.0.partition_point(|&start| start <= byte) as u32;
        Span {
            start_byte: range.start,
            end_byte: range.end,
            start_line: line(range.start),
            end_line: line(range.end.saturating_sub(1).max(range.start)),
            page: None,
        }
    }
}
