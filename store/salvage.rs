//! A catalog that SQLite finds damaged: it is put aside, and a new one begins with what is intact of it. Documents come from their
//! files again; what cost most, the embeddings, need not.

use std::path::Path;

use rusqlite::Connection;

use crate::catalog::{self, Catalog, SalvagedEmbedding};
use crate::publish::GENERATION;
use crate::{StoreError, lock};

/// Where a damaged catalog is put, in place of any that was put there before.
pub(crate) const ASIDE: &str = "damaged";
/// Says, to whoever opens the store next, that SQLite has met damage.
const SUSPECT: &str = "suspect";
/// What belongs to a catalog.
const FILES: [&str; 3] = ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"];
/// Keys of `meta` that a new catalog takes over.
const KEPT: [&str; 4] = ["sources", "serving_model", "next_model", GENERATION];
/// Embeddings written in a transaction.
const BATCH: usize = 4096;

/// Marks the store in `dir` as one whose catalog is to be looked through when it is opened next.
pub(crate) fn suspect(dir: &Path) {
    // Where not even that can be written, the damage will be met again.
    if let Err(error) = fs_err::write(dir.join(SUSPECT), b"") {
        tracing::warn!("{error}");
    }
}

/// Has a new catalog take the place of that of `dir`, if there is one and it was found damaged. To be called before anything of it is
/// asked.
///
/// # Errors
/// [`StoreError::LockHeld`] where another process writes the store, and whatever the disk says.
pub fn replace_damaged_catalog(dir: &Path) -> Result<(), StoreError> {
    let damaged = match Catalog::read_model(dir) {
        Err(error) => error.is_damage(),
        _ => dir.join(SUSPECT).exists(),
    };
    if damaged {
        let _held = lock::acquire(dir)?;
        drop(open(dir)?);
    }
    Ok(())
}

/// Opens the catalog of `dir` for writing, in place of one that is damaged a new one.
pub(crate) fn open(dir: &Path) -> Result<Catalog, StoreError> {
    let mark = dir.join(SUSPECT);
    let opened = match Catalog::open(dir) {
        Err(error) if error.is_damage() => None,
        opened => Some(opened?),
    };
    let sound = match &opened {
        Some(catalog) if mark.exists() => catalog.is_sound()?,
        opened => opened.is_some(),
    };
    let catalog = match opened {
        Some(catalog) if sound => catalog,
        damaged => {
            drop(damaged);
            begin_anew(dir)?
        }
    };
    if mark.exists() {
        fs_err::remove_file(mark)?;
    }
    Ok(catalog)
}

/// Puts the catalog aside and begins a new one with its model, sources and embeddings, so far as they can be read.
pub(crate) fn begin_anew(dir: &Path) -> Result<Catalog, StoreError> {
    let aside = dir.join(ASIDE);
    if aside.exists() {
        fs_err::remove_dir_all(&aside)?;
    }
    fs_err::create_dir(&aside)?;
    for file in FILES.iter().filter(|file| dir.join(file).exists()) {
        fs_err::rename(dir.join(file), aside.join(file))?;
    }
    // Their numbers are those of the other catalog.
    for derived in ["lexical", "vectors"].map(|name| dir.join(name)) {
        if derived.exists() {
            fs_err::remove_dir_all(derived)?;
        }
    }
    let catalog = Catalog::open(dir)?;
    let kept = salvage(&aside.join(FILES[0]), &catalog)?;
    tracing::warn!(
        "the catalog of {} is damaged: it was put into {}, a new one has {kept} of its embeddings, and all files are read again",
        dir.display(),
        aside.display()
    );
    Ok(catalog)
}

/// Copies what is intact. How many embeddings that is.
fn salvage(from: &Path, to: &Catalog) -> Result<usize, StoreError> {
    let Ok(old) = Connection::open(from) else {
        return Ok(0);
    };
    let mut kept = Vec::new();
    for key in KEPT {
        // Each for itself: one that cannot be read costs only itself.
        kept.extend(catalog::meta(&old, key).ok().flatten().map(|value| (key, value)));
    }
    let Ok(models) = catalog::models(&old) else {
        return Ok(0);
    };
    to.write(|transaction| {
        for (key, value) in &kept {
            // Followers are to see that the vectors are others.
            let value = match (*key, value.parse::<u64>()) {
                (GENERATION, Ok(generation)) => (generation + 1).to_string(),
                _ => value.clone(),
            };
            catalog::set_meta(transaction, key, &value)?;
        }
        catalog::put_models(transaction, &models)
    })?;
    let mut salvaged = 0;
    let mut batch = Vec::new();
    let mut outcome = Ok(());
    let mut keep = |batch: &mut Vec<SalvagedEmbedding>| {
        match to.write(|transaction| catalog::put_salvaged(transaction, batch)) {
            Ok(new) => salvaged += new,
            Err(error) => outcome = Err(error),
        }
        batch.clear();
    };
    // From both ends, each up to where it cannot be read.
    for backwards in [false, true] {
        let read = catalog::salvage_embeddings(&old, backwards, |embedding| {
            // A model that nobody knows would give its number, and what it embedded, to the next one.
            if !models.iter().any(|(number, _)| *number == embedding.model) {
                return;
            }
            batch.push(embedding);
            if batch.len() == BATCH {
                keep(&mut batch);
            }
        });
        keep(&mut batch);
        if read.is_ok() {
            break;
        }
    }
    outcome.map(|()| salvaged)
}
