//! Reading parts of document texts.

use std::ops::Range;

use rusqlite::Connection;
use rusqlite::blob::Blob;

/// Reads parts of texts through SQLite's incremental blob I/O. With `substr`, SQLite would read a text from its start for each part.
/// Reading all passages of a document would then take quadratic time.
pub(super) struct TextReader<'c> {
    connection: &'c Connection,
    /// The text that was read last. An open blob keeps the list of its pages.
    last: Option<(i64, Blob<'c>)>,
}

impl<'c> TextReader<'c> {
    pub(super) fn new(connection: &'c Connection) -> TextReader<'c> {
        TextReader {
            connection,
            last: None,
        }
    }

    /// The bytes of a document's text in `range`. A range beyond the end is cut.
    ///
    /// Call this only while a statement is positioned on a row that proves that the text exists. A missing text is an error.
    pub(super) fn read(&mut self, document: i64, range: Range<usize>) -> rusqlite::Result<Vec<u8>> {
        let text = match self.last.take() {
            Some((last, text)) if last == document => text,
            Some((_, mut text)) => {
                text.reopen(document)?;
                text
            }
            None => self
                .connection
                .blob_open("main", "texts", "text", document, true)?,
        };
        let mut bytes = vec![0; range.end.min(text.len()).saturating_sub(range.start)];
        if !bytes.is_empty() {
            text.read_at_exact(&mut bytes, range.start)?;
        }
        self.last = Some((document, text));
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn connection(texts: &[(i64, Vec<u8>)]) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE texts (document INTEGER PRIMARY KEY, text BLOB NOT NULL) STRICT;")
            .unwrap();
        for (document, text) in texts {
            let row = (document, text);
            connection
                .execute("INSERT INTO texts VALUES (?1, ?2)", row)
                .unwrap();
        }
        connection
    }

    proptest! {
        #[test]
        fn parts_are_slices_whatever_was_read_before(requests in prop::collection::vec((0usize..3, 0usize..70_000, 0usize..70_000), 1..20)) {
            let text = |length: usize| (0..length).map(|at| (at * 7 % 251) as u8).collect::<Vec<u8>>();
            let stored = [(3, text(0)), (5, text(900)), (8, text(60_000))];
            let connection = connection(&stored);
            let mut texts = TextReader::new(&connection);
            for (which, start, end) in requests {
                let (document, text) = &stored[which];
                let end_within = end.min(text.len());
                let expected = text.get(start..end_within).unwrap_or_default();
                prop_assert_eq!(texts.read(*document, start..end).unwrap(), expected);
            }
        }
    }

    #[test]
    fn a_missing_text_is_an_error_and_the_reader_stays_usable() {
        let connection = connection(&[(1, b"one".to_vec()), (2, b"two".to_vec())]);
        let mut texts = TextReader::new(&connection);
        assert!(texts.read(4, 0..3).is_err());
        assert_eq!(texts.read(1, 0..3).unwrap(), b"one");
        assert!(texts.read(4, 0..3).is_err());
        assert_eq!(texts.read(2, 1..usize::MAX).unwrap(), b"wo");
    }
}
