//! Models and their embeddings. Searches use the vectors of the serving model. Embeddings of the next model, which is to replace it,
//! are collected beside them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::checksum::embedding_checksum;
use super::passage_rows::{Pending, select_pending};
use super::write::{QuantizedEmbedding, encode_json};
use super::{SEQ, meta, next_seq, seq_at, set_meta};
use crate::{ContentHash, ModelIdentity, PassageId, Seq};

/// Key of `meta`: number of the serving model.
const SERVING: &str = "serving_model";
/// Key of `meta`: number of the next model, while there is one.
const NEXT: &str = "next_model";

/// The serving model.
pub(crate) fn serving_model(connection: &Connection) -> rusqlite::Result<Option<ModelIdentity>> {
    model_at(connection, SERVING)
}

/// The next model.
pub(crate) fn next_model(connection: &Connection) -> rusqlite::Result<Option<ModelIdentity>> {
    model_at(connection, NEXT)
}

fn model_at(connection: &Connection, key: &str) -> rusqlite::Result<Option<ModelIdentity>> {
    let mut statement = connection.prepare_cached(
        "SELECT number, identity FROM models WHERE number = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?1)",
    )?;
    let numbered = statement.query_row([key], model).optional()?;
    Ok(numbered.map(|(_, model)| model))
}

/// All models with their numbers.
pub(super) fn all_models(connection: &Connection) -> rusqlite::Result<Vec<(i64, ModelIdentity)>> {
    let mut statement = connection.prepare("SELECT number, identity FROM models")?;
    statement.query_map([], model)?.collect()
}

fn model(row: &Row<'_>) -> rusqlite::Result<(i64, ModelIdentity)> {
    let json: String = row.get(1)?;
    let model = serde_json::from_str(&json).map_err(|_| super::document_rows::corrupt(1, "model"))?;
    Ok((row.get(0)?, model))
}

/// Sets the model to embed with. It serves at once if there are no vectors yet. Otherwise it becomes the next model and serves once
/// every passage has an embedding of it.
pub(crate) fn set_wanted_model(connection: &Connection, wanted: &ModelIdentity) -> rusqlite::Result<()> {
    let number = number_of(connection, wanted)?.to_string();
    let has_vectors: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM passages WHERE vector_seq IS NOT NULL)",
        [],
        |row| row.get(0),
    )?;
    match meta(connection, SERVING)? {
        Some(serving) if serving != number && has_vectors => set_meta(connection, NEXT, &number),
        _ => {
            set_meta(connection, SERVING, &number)?;
            clear_next(connection)
        }
    }
}

fn clear_next(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .execute("DELETE FROM meta WHERE key = ?1", [NEXT])
        .map(drop)
}

/// The number of a model. A model whose vectors are not comparable with those of any known one is inserted.
fn number_of(connection: &Connection, wanted: &ModelIdentity) -> rusqlite::Result<i64> {
    let json = encode_json(wanted)?;
    match all_models(connection)?
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

/// Stores embeddings of the next model.
pub(crate) fn put_next_embeddings(
    connection: &Connection,
    embeddings: &[(ContentHash, QuantizedEmbedding)],
) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT OR REPLACE INTO embeddings
         VALUES (?1, (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'next_model'), ?2, ?3, ?4)",
    )?;
    for (hash, QuantizedEmbedding { scale, codes }) in embeddings {
        insert.execute(params![
            hash.0,
            f64::from(*scale),
            codes,
            embedding_checksum(*scale, codes)
        ])?;
    }
    Ok(())
}

/// Live passages without an embedding of the next model and with numbers below `before`, newest first.
pub(crate) fn pending_next(
    connection: &Connection,
    before: Option<PassageId>,
    limit: usize,
) -> rusqlite::Result<Pending> {
    let condition = "NOT EXISTS (SELECT 1 FROM embeddings e WHERE e.hash = p.embed_hash
                     AND e.model = (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'next_model'))";
    select_pending(connection, condition, before, limit)
}

/// Number of live passages with an embedding of the next model.
pub(crate) fn count_embedded_by_next(connection: &Connection) -> rusqlite::Result<u64> {
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

/// Makes the next model the serving one, and marks the passages that have an embedding of it.
pub(crate) fn promote(connection: &Connection) -> rusqlite::Result<Seq> {
    let Some(number) = meta(connection, NEXT)? else {
        return seq_at(connection, SEQ);
    };
    let seq = next_seq(connection)?;
    set_meta(connection, SERVING, &number)?;
    clear_next(connection)?;
    connection.execute(
        "UPDATE passages SET vector_seq = (SELECT ?1 WHERE EXISTS (
             SELECT 1 FROM embeddings e WHERE e.hash = embed_hash AND e.model = CAST(?2 AS INTEGER)))",
        params![seq as i64, number],
    )?;
    Ok(seq)
}

/// Deletes models that are neither serving nor next, and their embeddings.
pub(crate) fn delete_unused_models(connection: &Connection) -> rusqlite::Result<()> {
    let used = "SELECT CAST(value AS INTEGER) FROM meta WHERE key IN ('serving_model', 'next_model')";
    connection.execute(&format!("DELETE FROM embeddings WHERE model NOT IN ({used})"), [])?;
    connection
        .execute(&format!("DELETE FROM models WHERE number NOT IN ({used})"), [])
        .map(drop)
}
