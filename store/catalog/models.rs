//! Models and their embeddings. One model serves; while another is to take its place, that one's embeddings gather beside.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::checksum::of_codes;
use super::passages::{Pending, waiting};
use super::write::Codes;
use super::{SEQ, meta, next_seq, seq_at, set_meta};
use crate::{ContentHash, ModelIdentity, PassageId, Seq};

/// Number of the model whose vectors are searched.
const SERVING: &str = "serving_model";
/// Number of the model that is to take its place.
const NEXT: &str = "next_model";

/// The model of the vectors that are searched.
pub(crate) fn serving(connection: &Connection) -> rusqlite::Result<Option<ModelIdentity>> {
    numbered(connection, SERVING).map(|found| found.map(|(_, model)| model))
}

/// The model that is to take its place.
pub(crate) fn next(connection: &Connection) -> rusqlite::Result<Option<ModelIdentity>> {
    numbered(connection, NEXT).map(|found| found.map(|(_, model)| model))
}

fn numbered(connection: &Connection, key: &str) -> rusqlite::Result<Option<(i64, ModelIdentity)>> {
    let mut statement = connection.prepare_cached(
        "SELECT number, identity FROM models WHERE number = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?1)",
    )?;
    statement.query_row([key], model).optional()
}

/// Every model that is known, with its number.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<(i64, ModelIdentity)>> {
    let mut statement = connection.prepare("SELECT number, identity FROM models")?;
    statement.query_map([], model)?.collect()
}

fn model(row: &Row<'_>) -> rusqlite::Result<(i64, ModelIdentity)> {
    let json: String = row.get(1)?;
    let model = serde_json::from_str(&json).map_err(|_| super::documents::damaged(1, "model"))?;
    Ok((row.get(0)?, model))
}

/// Has the store made with `wanted`: at once where nothing is searched by vectors yet, else once every passage has its embedding.
pub(crate) fn want(connection: &Connection, wanted: &ModelIdentity) -> rusqlite::Result<()> {
    let number = number_of(connection, wanted)?.to_string();
    let searched: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM passages WHERE vector_seq IS NOT NULL)",
        [],
        |row| row.get(0),
    )?;
    match meta(connection, SERVING)? {
        Some(serving) if serving != number && searched => set_meta(connection, NEXT, &number),
        _ => {
            set_meta(connection, SERVING, &number)?;
            forget_next(connection)
        }
    }
}

fn forget_next(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute("DELETE FROM meta WHERE key = ?1", [NEXT])
        .map(drop)
}

/// The number of a model, which is new where there is none that makes the same vectors.
fn number_of(connection: &Connection, wanted: &ModelIdentity) -> rusqlite::Result<i64> {
    let json = serde_json::to_string(wanted).unwrap_or_default();
    match all(connection)?
        .into_iter()
        .find(|(_, known)| known.is_same_model(wanted))
    {
        Some((number, known)) => {
            if known != *wanted {
                connection.execute(
                    "UPDATE models SET identity = ?2 WHERE number = ?1",
                    params![number, json],
                )?;
            }
            Ok(number)
        }
        None => {
            connection.execute("INSERT INTO models (identity) VALUES (?1)", [json])?;
            Ok(connection.last_insert_rowid())
        }
    }
}

/// Keeps embeddings of the model that is to take the other's place.
pub(crate) fn put_next(connection: &Connection, embeddings: &[(ContentHash, Codes)]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO embeddings
         VALUES (?1, (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'next_model'), ?2, ?3, ?4)",
    )?;
    for (hash, Codes { scale, codes }) in embeddings {
        insert.execute(params![hash.0, f64::from(*scale), codes, of_codes(*scale, codes)])?;
    }
    Ok(())
}

/// Live passages without an embedding of the next model, newest first: those whose number is below `before`, where it is given.
pub(crate) fn pending_next(
    connection: &Connection,
    before: Option<PassageId>,
    limit: usize,
) -> rusqlite::Result<Pending> {
    let condition = "NOT EXISTS (SELECT 1 FROM embeddings e WHERE e.hash = p.embed_hash
                     AND e.model = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'next_model'))";
    waiting(connection, condition, before, limit)
}

/// How many live passages have an embedding of the next model.
pub(crate) fn ready_for_next(connection: &Connection) -> rusqlite::Result<u64> {
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FROM passages p JOIN documents d ON d.id = p.document
         WHERE d.retired_seq IS NULL AND EXISTS (
             SELECT 1 FROM embeddings e WHERE e.hash = p.embed_hash
             AND e.model = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'next_model'))",
    )?;
    statement
        .query_row([], |row| row.get::<_, i64>(0))
        .map(|count| count as u64)
}

/// Puts the next model in the place of the one that serves, and gives every passage its vector of it.
pub(crate) fn promote(connection: &Connection) -> rusqlite::Result<Seq> {
    let Some(number) = meta(connection, NEXT)? else {
        return seq_at(connection, SEQ);
    };
    let seq = next_seq(connection)?;
    set_meta(connection, SERVING, &number)?;
    forget_next(connection)?;
    connection.execute(
        "UPDATE passages SET vector_seq = (SELECT ?1 WHERE EXISTS (
             SELECT 1 FROM embeddings e WHERE e.hash = embed_hash AND e.model = CAST(?2 AS INTEGER)))",
        params![seq as i64, number],
    )?;
    Ok(seq)
}

/// Deletes the embeddings of models that neither serve nor are to.
pub(crate) fn forget_others(connection: &Connection) -> rusqlite::Result<()> {
    let used = "SELECT CAST(value AS INTEGER) FROM meta WHERE key IN ('serving_model', 'next_model')";
    connection.execute(&format!("DELETE FROM embeddings WHERE model NOT IN ({used})"), [])?;
    connection
        .execute(&format!("DELETE FROM models WHERE number NOT IN ({used})"), [])
        .map(drop)
}
