//! Checksums of what the catalog keeps, since SQLite has none of its own: a bit that a disk turns is to be seen, not answered with.

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

/// Whether what was read is what was written. Rows of older versions that have no checksum yet are believed.
pub(crate) fn holds(kept: Option<i64>, found: i64) -> bool {
    kept.is_none_or(|kept| kept == found)
}
