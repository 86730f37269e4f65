//! Reading what is left of a damaged catalog, and keeping it in another.

use rusqlite::{Connection, params};

use super::checksum::of_codes;
use crate::ModelIdentity;

/// An embedding that its checksum holds for.
pub(crate) struct SalvagedEmbedding {
    hash: Vec<u8>,
    /// The number of the model that made it.
    pub model: i64,
    scale: f64,
    codes: Vec<u8>,
}

/// Numbers and identities of models, but for those that do not read back.
pub(crate) fn models(connection: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut statement = connection.prepare("SELECT * FROM models")?;
    let models = statement.query_map([], |row| {
        Ok((row.get(0)?, row.get::<_, Option<String>>(1).ok().flatten()))
    })?;
    let models: Vec<(i64, Option<String>)> = models.collect::<Result<_, _>>()?;
    let whole = |json: &String| serde_json::from_str::<ModelIdentity>(json).is_ok();
    Ok(models
        .into_iter()
        .filter_map(|(number, json)| Some((number, json.filter(whole)?)))
        .collect())
}

/// Keeps models under their numbers.
pub(crate) fn put_models(connection: &Connection, models: &[(i64, String)]) -> rusqlite::Result<()> {
    for (number, identity) in models {
        connection.execute(
            "INSERT OR REPLACE INTO models VALUES (?1, ?2)",
            params![number, identity],
        )?;
    }
    Ok(())
}

/// Calls `each` for every embedding that is intact, in the order of their texts' hashes or against it.
///
/// # Errors
/// Where it comes to something that cannot be read; it cannot go on behind that.
pub(crate) fn salvage_embeddings(
    connection: &Connection,
    backwards: bool,
    mut each: impl FnMut(SalvagedEmbedding),
) -> rusqlite::Result<()> {
    let order = if backwards { "DESC" } else { "ASC" };
    // By their places, as the names of columns may be what is damaged.
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
        // What has no checksum cannot be told from damage.
        let kept: Option<i64> = row.get(4)?;
        if kept == Some(of_codes(embedding.scale as f32, &embedding.codes)) {
            each(embedding);
        }
    }
    Ok(())
}

/// Keeps embeddings. How many were not there yet.
pub(crate) fn put_salvaged(
    connection: &Connection,
    embeddings: &[SalvagedEmbedding],
) -> rusqlite::Result<usize> {
    let mut insert =
        connection.prepare_cached("INSERT OR IGNORE INTO embeddings VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let mut new = 0;
    for embedding in embeddings {
        let checksum = of_codes(embedding.scale as f32, &embedding.codes);
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
