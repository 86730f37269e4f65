//! Line ranges of documents.

use std::sync::Arc;

use autorag_store::DocumentEntry;

use crate::Freshness;

/// A range of lines, counted from 1, both ends included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineRange {
    /// First line. `None` is the first of the document.
    pub start: Option<u32>,
    /// Last line. `None` is the last of the document.
    pub end: Option<u32>,
}

/// The text of a document or of some of its lines.
#[derive(Debug, Clone)]
pub struct DocumentText {
    /// The document.
    pub document: Arc<DocumentEntry>,
    /// Text of the lines, as extracted from the file.
    pub text: String,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line. Less than `start_line` for an empty range.
    pub end_line: u32,
    /// Number of lines in the document.
    pub total_lines: u32,
    /// State of the document's file compared with the index.
    pub freshness: Freshness,
}

/// Lines of a text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lines<'a> {
    pub text: &'a str,
    pub start: u32,
    pub end: u32,
    pub total: u32,
}

/// The lines of `text` in `range`. A line break at the end of the text does not start another line.
pub(crate) fn lines(text: &str, range: LineRange) -> Lines<'_> {
    let mut starts: Vec<usize> = vec![0];
    starts.extend(text.match_indices('\n').map(|(at, _)| at + 1));
    if starts.last() == Some(&text.len()) {
        starts.pop();
    }
    let total = starts.len() as u32;
    let start = range.start.unwrap_or(1).max(1);
    let end = range.end.unwrap_or(total).min(total);
    if start > end {
        return Lines {
            text: "",
            start,
            end: start - 1,
            total,
        };
    }
    let from = starts[start as usize - 1];
    let to = starts.get(end as usize).copied().unwrap_or(text.len());
    Lines {
        text: &text[from..to],
        start,
        end,
        total,
    }
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

    fn slice(text: &str, range: LineRange) -> (&str, u32, u32, u32) {
        let lines = lines(text, range);
        (lines.text, lines.start, lines.end, lines.total)
    }

    #[test]
    fn a_range_is_limited_to_the_lines_of_the_text() {
        let text = "a\nb\nc\n";
        assert_eq!(slice(text, LineRange::default()), (text, 1, 3, 3));
        assert_eq!(slice(text, range(2, 2)), ("b\n", 2, 2, 3));
        assert_eq!(slice(text, range(3, 99)), ("c\n", 3, 3, 3));
        assert_eq!(slice(text, range(4, 9)), ("", 4, 3, 3));
        assert_eq!(slice(text, range(0, 1)), ("a\n", 1, 1, 3));
        assert_eq!(slice("no break", LineRange::default()), ("no break", 1, 1, 1));
        assert_eq!(slice("", LineRange::default()), ("", 1, 0, 0));
    }
}
