//! Checksums of catalog rows. SQLite has no checksums of its own, so a bit flip on disk would reach answers unnoticed.

use std::ops::Range;

use rusqlite::Row;
use rusqlite::types::ValueRef;

/// Checksum of a passage's text.
pub(crate) fn text_checksum(text: &str) -> i64 {
    i64::from(crc32fast::hash(text.as_bytes()))
}

/// Checksum of an embedding.
pub(crate) fn embedding_checksum(scale: f32, codes: &[u8]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&scale.to_le_bytes());
    hasher.update(codes);
    i64::from(hasher.finalize())
}

/// Checksum of the values of several columns.
pub(crate) fn values_checksum<'a>(values: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    // Hash type and length, too: moving bytes from one value to the next must change the checksum.
    let mut update = |kind: u8, bytes: &[u8]| {
        hasher.update(&[kind]);
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for value in values {
        match value {
            ValueRef::Null => update(0, &[]),
            ValueRef::Integer(number) => update(1, &number.to_le_bytes()),
            ValueRef::Real(number) => update(2, &number.to_le_bytes()),
            ValueRef::Text(text) => update(3, text),
            ValueRef::Blob(blob) => update(4, blob),
        }
    }
    i64::from(hasher.finalize())
}

/// [`values_checksum`] of `columns` of a row.
pub(crate) fn columns_checksum(row: &Row<'_>, columns: Range<usize>) -> rusqlite::Result<i64> {
    let values: Vec<ValueRef<'_>> = columns
        .map(|column| row.get_ref(column))
        .collect::<Result<_, _>>()?;
    Ok(values_checksum(values))
}

/// Verifies a checksum. Rows of older versions have none and pass.
pub(crate) fn is_checksum_valid(stored: Option<i64>, computed: i64) -> bool {
    stored.is_none_or(|stored| stored == computed)
}
