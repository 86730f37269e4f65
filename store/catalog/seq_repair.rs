//! Repair of a damaged sequence number.

use rusqlite::Connection;

use super::{SEQ, seq_at, set_meta};
use crate::Seq;

/// The greatest sequence number in any row.
const GREATEST: &str = "
SELECT max(
    coalesce((SELECT max(added_seq) FROM documents), 0),
    coalesce((SELECT max(touched_seq) FROM documents), 0),
    coalesce((SELECT max(retired_seq) FROM documents), 0),
    coalesce((SELECT max(vector_seq) FROM passages WHERE vector_seq IS NOT NULL), 0))";

/// Raises the recorded sequence number to the greatest one of the rows. A damaged record may be too low, and rows above it would
/// never reach the indexes.
pub(super) fn repair_seq(connection: &Connection) -> rusqlite::Result<()> {
    let (recorded, greatest) = (seq_at(connection, SEQ)?, greatest(connection)?);
    if greatest > recorded {
        tracing::warn!(
            "the catalog records sequence number {recorded}, but has rows up to {greatest}; continuing from {greatest}"
        );
        set_meta(connection, SEQ, &greatest.to_string())?;
    }
    Ok(())
}

fn greatest(connection: &Connection) -> rusqlite::Result<Seq> {
    connection.query_row(GREATEST, [], |row| {
        row.get::<_, i64>(0).map(|greatest| greatest.max(0) as Seq)
    })
}
