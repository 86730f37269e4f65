//! Checks of the two indexes against the catalog.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::Finding;
use crate::catalog::{self, Catalog, SEQ};
use crate::lexical::LexicalIndex;
use crate::lock;
use crate::publish::GENERATION;
use crate::vectors::{path_of, read_frames};

pub(super) fn lexical(dir: &Path, catalog: &Catalog) -> Finding {
    let path = dir.join(crate::store::LEXICAL);
    if !path.exists() {
        return Ok(Err("the index is missing".into()));
    }
    let index = LexicalIndex::open_existing(&path)?;
    let damaged = index.damaged_files()?;
    if let Some(first) = damaged.first() {
        let count = damaged.len();
        return Ok(Err(format!("{count} corrupt files, among them {first}")));
    }
    let (applied, passages) = (index.applied_seq()?, index.passage_count()?);
    let (seq, expected) = catalog.read(|connection| {
        let documents = catalog::added_documents(connection, 0, applied)?;
        let passages: u64 = documents.iter().map(|entry| u64::from(entry.passages)).sum();
        Ok((catalog::seq_at(connection, SEQ)?, passages))
    })?;
    Ok(if applied > seq {
        Err("the index is ahead of the catalog".into())
    } else if passages != expected {
        Err(format!("{passages} passages, but the catalog has {expected}"))
    } else {
        Ok(format!("{passages} passages, all checksums match"))
    })
}

pub(super) fn vectors(dir: &Path, catalog: &Catalog) -> Finding {
    let (generation, seq, model) = catalog.read(|connection| {
        let generation = catalog::seq_at(connection, GENERATION)?;
        Ok((
            generation,
            catalog::seq_at(connection, SEQ)?,
            catalog::serving_model(connection)?,
        ))
    })?;
    let path = path_of(dir, generation);
    let Some(model) = model.filter(|_| path.exists()) else {
        return Ok(Err("the vector file is missing".into()));
    };
    let (mut written, mut count, mut applied) = (HashMap::new(), 0, 0);
    let end = read_frames(&path, model.dimensions, 0, |frame| {
        for (vector, _) in frame.vectors() {
            let codes = crc32fast::hash(bytemuck::cast_slice(vector.codes));
            written.insert(vector.passage, (vector.scale.to_bits(), codes));
            count += 1;
        }
        applied = frame.seq.unwrap_or(applied);
    })?;
    let length = fs_err::metadata(&path)?.len();
    match end {
        None => return Ok(Err("the vector file has an invalid header".into())),
        // With a writer, this can be a commit in progress.
        Some(end) if end < length && !lock::is_held(dir) => {
            return Ok(Err(format!(
                "the vector file is corrupt from byte {end} of {length}"
            )));
        }
        Some(_) => {}
    }
    if applied > seq {
        return Ok(Err("the vectors are ahead of the catalog".into()));
    }
    if count > written.len() {
        return Ok(Err(format!("{} duplicate vectors", count - written.len())));
    }
    let mut differing = HashSet::new();
    catalog.read(|connection| {
        catalog::vector_rows(connection, 0, applied, |row| {
            let expected = (row.scale.to_bits(), crc32fast::hash(&row.codes));
            if written.get(&row.passage) != Some(&expected) {
                differing.insert(row.passage);
            }
        })
    })?;
    Ok(match differing.len() {
        0 => Ok(format!(
            "{} vectors, equal to those of the catalog",
            written.len()
        )),
        count => Err(format!("{count} vectors differ from the catalog")),
    })
}
