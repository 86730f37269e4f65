//! Parts of documents' texts.

use std::ops::Range;

use rusqlite::Connection;
use rusqlite::blob::Blob;

/// Reads parts of texts without the rest of them. `substr` would have SQLite read a text from its beginning to its end for each
/// part, which takes a document's passages together a time that is quadratic in its length.
pub(super) struct Texts<'c> {
    connection: &'c Connection,
    /// The text that was read last, which knows its pages.
    opened: Option<(i64, Blob<'c>)>,
}

impl<'c> Texts<'c> {
    pub(super) fn new(connection: &'c Connection) -> Texts<'c> {
        Texts {
            connection,
            opened: None,
        }
    }

    /// A range of bytes of a document's text, or what there is of it.
    ///
    /// To be called while a statement that has found the text is at its row: the text may be gone otherwise, which is an error.
    pub(super) fn part(&mut self, document: i64, range: Range<usize>) -> rusqlite::Result<Vec<u8>> {
        let text = match self.opened.take() {
            Some((opened, text)) if opened == document => text,
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
        self.opened = Some((document, text));
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
        /// Slices of the text, whatever is asked for before.
        #[test]
        fn parts_are_slices(asked in prop::collection::vec((0usize..3, 0usize..70_000, 0usize..70_000), 1..20)) {
            let text = |length: usize| (0..length).map(|at| (at * 7 % 251) as u8).collect::<Vec<u8>>();
            let given = [(3, text(0)), (5, text(900)), (8, text(60_000))];
            let connection = connection(&given);
            let mut texts = Texts::new(&connection);
            for (which, start, end) in asked {
                let (document, text) = &given[which];
                let end_within = end.min(text.len());
                let expected = text.get(start..end_within).unwrap_or_default();
                prop_assert_eq!(texts.part(*document, start..end).unwrap(), expected);
            }
        }
    }

    #[test]
    fn a_text_that_is_gone_is_an_error_and_others_are_read_afterwards() {
        let connection = connection(&[(1, b"one".to_vec()), (2, b"two".to_vec())]);
        let mut texts = Texts::new(&connection);
        assert!(texts.part(4, 0..3).is_err());
        assert_eq!(texts.part(1, 0..3).unwrap(), b"one");
        assert!(texts.part(4, 0..3).is_err());
        assert_eq!(texts.part(2, 1..usize::MAX).unwrap(), b"wo");
    }
}
