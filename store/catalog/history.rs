//! Where the history of the catalog stands, against what its rows say of it.

use rusqlite::Connection;

use super::{SEQ, seq_at, set_meta};
use crate::Seq;

/// The last position that any row has.
const LAST: &str = "
SELECT max(
    coalesce((SELECT max(added_seq) FROM documents), 0),
    coalesce((SELECT max(touched_seq) FROM documents), 0),
    coalesce((SELECT max(retired_seq) FROM documents), 0),
    coalesce((SELECT max(vector_seq) FROM passages WHERE vector_seq IS NOT NULL), 0))";

/// Puts a history that stands before its rows, since what says where it stands is damaged, behind the last of them: what came after
/// it would not be searched.
pub(super) fn catch_up(connection: &Connection) -> rusqlite::Result<()> {
    let (seq, last) = (seq_at(connection, SEQ)?, last(connection)?);
    if last > seq {
        tracing::warn!(
            "the history of the catalog stands at {seq}, before the last of its rows, {last}; it goes on from there"
        );
        set_meta(connection, SEQ, &last.to_string())?;
    }
    Ok(())
}

fn last(connection: &Connection) -> rusqlite::Result<Seq> {
    connection.query_row(LAST, [], |row| {
        row.get::<_, i64>(0).map(|last| last.max(0) as Seq)
    })
}
