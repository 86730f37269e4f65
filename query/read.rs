//! Reading a document, whole or by lines.

use std::sync::Arc;

use autorag_store::DocumentEntry;

use crate::Freshness;

/// Lines asked for, from 1, both ends included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineRange {
    /// First line; the document's first where not said.
    pub start: Option<u32>,
    /// Last line; the document's last where not said.
    pub end: Option<u32>,
}

/// A document's text, or some lines of it.
#[derive(Debug, Clone)]
pub struct DocumentText {
    /// The document.
    pub document: Arc<DocumentEntry>,
    /// The lines asked for, as extracted.
    pub text: String,
    /// First line given, from 1.
    pub start_line: u32,
    /// Last line given; less than `start_line` where the range is empty.
    pub end_line: u32,
    /// How many lines the document has.
    pub total_lines: u32,
    /// Whether the file is still as it was indexed.
    pub freshness: Freshness,
}

/// The lines `range` of `text`: the slice, its first and last line, and how many lines there are.
/// A last line that ends in a line break is not followed by an empty one.
pub(crate) fn lines(text: &str, range: LineRange) -> (&str, u32, u32, u32) {
    let mut starts: Vec<usize> = vec![0];
    starts.extend(
        text.bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at + 1),
    );
    if starts.last() == Some(&text.len()) {
        starts.pop();
    }
    let total = starts.len() as u32;
    let start = range.start.unwrap_or(1).max(1);
    let end = range.end.unwrap_or(total).min(total);
    if start > end {
        return ("", start, start - 1, total);
    }
    let from = starts[start as usize - 1];
    let to = starts.get(end as usize).copied().unwrap_or(text.len());
    (&text[from..to], start, end, total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u32, end: u32) -> LineRange {
        LineRange {
            start: Some(start),
            end: Some(end),
        }
    }

    #[test]
    fn line_ranges() {
        let text = "a\nb\nc\n";
        assert_eq!(lines(text, LineRange::default()), (text, 1, 3, 3));
        assert_eq!(lines(text, range(2, 2)), ("b\n", 2, 2, 3));
        assert_eq!(lines(text, range(3, 99)), ("c\n", 3, 3, 3));
        assert_eq!(lines(text, range(4, 9)), ("", 4, 3, 3));
        assert_eq!(lines(text, range(0, 1)), ("a\n", 1, 1, 3));
        assert_eq!(lines("no break", LineRange::default()), ("no break", 1, 1, 1));
        assert_eq!(lines("", LineRange::default()), ("", 1, 0, 0));
    }
}
