//! Copying readable rows of a damaged catalog into a new one.

use rusqlite::{Connection, params};

use super::checksum::embedding_checksum;
use crate::ModelIdentity;

/// An embedding with a valid checksum.
pub(crate) struct SalvagedEmbedding {
    hash: Vec<u8>,
    /// Number of the model.
    pub model: i64,
    scale: f64,
    codes: Vec<u8>,
}

/// Numbers and identities (JSON) of the models whose rows are readable.
pub(crate) fn readable_models(connection: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement = connection.prepare("SELECT * FROM models")?;
    let models = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get::<_, Option<String>>(1).ok().flatten()))
    })?;
    let models: Vec<(i64, Option<String>)> = models.collect::<Result<_, _>>()?;
    let is_valid = |json: &String| serde_json::from_str::<ModelIdentity>(json).is_ok();
    Ok(models
        .into_iter()
        .filter_map(|(number, json)| Some((number, json.filter(is_valid)?)))
        .collect())
}

/// Inserts models under their numbers.
pub(crate) fn put_models(connection: &Connection, models: &[(i64, String)]) -> rusqlite::Result<()> {
    for (number, identity) in models {
        connection.execute(
            "INSERT OR REPLACE INTO models VALUES (?1, ?2)",
            params![number, identity],
        )?;
    }
    Ok(())
}

/// Calls `each` for every intact embedding, ordered by hash, ascending or descending.
///
/// # Errors
/// At the first unreadable page. SQLite cannot read past it.
pub(crate) fn salvage_embeddings(
    connection: &Connection,
    backwards: bool,
    mut each: impl FnMut(SalvagedEmbedding),
) -> rusqlite::Result<()> {
    let order = if backwards { "DESC" } else { "ASC" };
    // Columns by position, because their names may be damaged.
    let mut statement =
        connection.prepare(&format!("SELECT * FROM embeddings ORDER BY 1 {order}, 2 {order}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let embedding = SalvagedEmbedding {
            hash: row.get(0)?,
            model: row.get(1)?,
            scale: row.get(2)?,
            codes: row.get(3)?,
        };
        // Without a checksum, an intact embedding cannot be distinguished from a damaged one.
        let stored: Option<i64> = row.get(4)?;
        if stored == Some(embedding_checksum(embedding.scale as f32, &embedding.codes)) {
            each(embedding);
        }
    }
    Ok(())
}

/// Inserts embeddings. Returns how many are new.
pub(crate) fn put_salvaged(
    connection: &Connection,
    embeddings: &[SalvagedEmbedding],
) -> rusqlite::Result<usize> {
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO embeddings VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut new = 0;
    for embedding in embeddings {
        let checksum = embedding_checksum(embedding.scale as f32, &embedding.codes);
        let SalvagedEmbedding {
            hash,
            model,
            scale,
            codes,
        } = embedding;
        new += insert.execute(params![hash, model, scale, codes, checksum])?;
    }
    Ok(new)
}
