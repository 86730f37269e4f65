//! Checksums of what the catalog keeps, since SQLite has none of its own: a bit that a disk turns is to be seen, not answered with.

use std::ops::Range;

use rusqlite::Row;
use rusqlite::types::ValueRef;

/// The checksum of a passage's text.
pub(crate) fn of_text(text: &str) -> i64 {
    i64::from(crc32fast::hash(text.as_bytes()))
}

/// The checksum of an embedding.
pub(crate) fn of_codes(scale: f32, codes: &[u8]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&scale.to_le_bytes());
    hasher.update(codes);
    i64::from(hasher.finalize())
}

/// The checksum of values side by side in a row.
pub(crate) fn of_values<'a>(values: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    // Kinds and lengths as well, so that no value runs into the next.
    let mut bytes = |kind: u8, bytes: &[u8]| {
        hasher.update(&[kind]);
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for value in values {
        match value {
            ValueRef::Null => bytes(0, &[]),
            ValueRef::Integer(number) => bytes(1, &number.to_le_bytes()),
            ValueRef::Real(number) => bytes(2, &number.to_le_bytes()),
            ValueRef::Text(text) => bytes(3, text),
            ValueRef::Blob(blob) => bytes(4, blob),
        }
    }
    i64::from(hasher.finalize())
}

/// The same of `columns` of a row that was read.
pub(crate) fn of_columns(row: &Row<'_>, columns: Range<usize>) -> rusqlite::Result<i64> {
    let values: Vec<ValueRef<'_>> = columns
        .map(|column| row.get_ref(column))
        .collect::<Result<_, _>>()?;
    Ok(of_values(values))
}

/// Whether what was read is what was written. Rows of older versions that have no checksum yet are believed.
pub(crate) fn holds(kept: Option<i64>, found: i64) -> bool {
    kept.is_none_or(|kept| kept == found)
}
