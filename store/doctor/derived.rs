//! Checks of what is made from the catalog.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::Found;
use crate::catalog::{self, Catalog, SEQ};
use crate::lexical::LexicalIndex;
use crate::lock;
use crate::publish::GENERATION;
use crate::vectors::{path_of, read_frames};

pub(super) fn lexical(dir: &Path, catalog: &Catalog) -> Found {
    let path = dir.join(crate::store::LEXICAL);
    if !path.exists() {
        return Ok(Err("it is missing".into()));
    }
    let index = LexicalIndex::open_existing(&path)?;
    let damaged = index.damaged_files()?;
    if let Some(first) = damaged.first() {
        let count = damaged.len();
        return Ok(Err(format!(
            "{count} files are not what was written, {first} among them"
        )));
    }
    let (applied, passages) = (index.applied_seq()?, index.passage_count()?);
    let (seq, expected) = catalog.read(|connection| {
        let entries = catalog::entries(connection, 0, applied)?;
        let passages: u64 = entries.iter().map(|entry| u64::from(entry.passages)).sum();
        Ok((catalog::seq_at(connection, SEQ)?, passages))
    })?;
    Ok(match () {
        () if applied > seq => Err("it is ahead of the catalog".into()),
        () if passages != expected => Err(format!(
            "it has {passages} passages where the catalog has {expected}"
        )),
        () => Ok(format!("{passages} passages, every checksum holds")),
    })
}

pub(super) fn vectors(dir: &Path, catalog: &Catalog) -> Found {
    let (generation, seq, model) = catalog.read(|connection| {
        let generation = catalog::seq_at(connection, GENERATION)?;
        Ok((
            generation,
            catalog::seq_at(connection, SEQ)?,
            catalog::serving(connection)?,
        ))
    })?;
    let path = path_of(dir, generation);
    let Some(model) = model.filter(|_| path.exists()) else {
        return Ok(Err("they are missing".into()));
    };
    let (mut written, mut count, mut reached) = (HashMap::new(), 0, 0);
    let end = read_frames(&path, model.dimensions, 0, |frame| {
        for (vector, _) in frame.vectors() {
            let codes = crc32fast::hash(bytemuck::cast_slice(vector.codes));
            written.insert(vector.passage, (vector.scale.to_bits(), codes));
            count += 1;
        }
        reached = frame.seq.unwrap_or(reached);
    })?;
    let length = fs_err::metadata(&path)?.len();
    match end {
        None => return Ok(Err("their file has another header".into())),
        // A writer may be in the middle of a commit.
        Some(end) if end < length && !lock::is_held(dir) => {
            return Ok(Err(format!("no whole commit after byte {end} of {length}")));
        }
        Some(_) => {}
    }
    if reached > seq {
        return Ok(Err("they are ahead of the catalog".into()));
    }
    if count > written.len() {
        return Ok(Err(format!(
            "{} passages have more than one",
            count - written.len()
        )));
    }
    let mut differing = HashSet::new();
    catalog.read(|connection| {
        catalog::vectors(connection, 0, reached, |row| {
            let kept = (row.scale.to_bits(), crc32fast::hash(&row.codes));
            if written.get(&row.passage) != Some(&kept) {
                differing.insert(row.passage);
            }
        })
    })?;
    Ok(match differing.len() {
        0 => Ok(format!("{} vectors, as the catalog has them", written.len())),
        count => Err(format!("{count} vectors are not those of the catalog")),
    })
}
