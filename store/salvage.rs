//! Replacing a damaged catalog. The old catalog is moved aside. A new one starts with its intact embeddings, which are the costliest
//! part. The next run reads all files again.

use std::path::Path;

use rusqlite::Connection;

use crate::catalog::{self, Catalog, SalvagedEmbedding};
use crate::publish::GENERATION;
use crate::{StoreError, lock};

/// Folder for the damaged catalog. A later damaged catalog replaces it.
pub(crate) const ASIDE: &str = "damaged";
/// Marker file: SQLite has reported damage, and the next opening has to check the whole catalog.
const SUSPECT: &str = "suspect";
/// Files of a catalog.
const FILES: [&str; 3] = ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm"];
/// Keys of `meta` to copy into the new catalog.
const COPIED_KEYS: [&str; 4] = ["sources", "serving_model", "next_model", GENERATION];
/// Embeddings per transaction.
const BATCH: usize = 4096;

/// Marks the catalog in `dir` for a check at the next opening.
pub(crate) fn mark_suspect(dir: &Path) {
    // If the marker cannot be written, the damage will be found again later.
    if let Err(error) = fs_err::write(dir.join(SUSPECT), b"") {
        tracing::warn!("{error}");
    }
}

/// Replaces the catalog of the store in `dir` if it is damaged. Does nothing without a catalog. Call this before reading the
/// catalog.
///
/// # Errors
/// [`StoreError::LockHeld`] if another process has the store open for writing. Any other error means that the disk failed.
pub fn replace_damaged_catalog(dir: &Path) -> Result<(), StoreError> {
    let damaged = match Catalog::read_model(dir) {
        Err(error @ StoreError::Catalog { .. }) => error.is_damage(),
        _ => dir.join(SUSPECT).exists(),
    };
    if damaged {
        let _lock = lock::acquire(dir)?;
        drop(open_or_replace(dir)?);
    }
    Ok(())
}

/// Opens the catalog in `dir` for writing. Replaces it if it is damaged.
pub(crate) fn open_or_replace(dir: &Path) -> Result<Catalog, StoreError> {
    let marker = dir.join(SUSPECT);
    let opened = match Catalog::open(dir) {
        Err(error) if error.is_damage() => None,
        opened => Some(opened?),
    };
    let is_intact = match &opened {
        Some(catalog) if marker.exists() => catalog.is_intact()?,
        opened => opened.is_some(),
    };
    let catalog = match opened {
        Some(catalog) if is_intact => catalog,
        damaged => {
            drop(damaged);
            replace(dir)?
        }
    };
    if marker.exists() {
        fs_err::remove_file(marker)?;
    }
    Ok(catalog)
}

/// Moves the catalog aside and creates a new one with the readable part of its models, sources and embeddings.
pub(crate) fn replace(dir: &Path) -> Result<Catalog, StoreError> {
    let aside = dir.join(ASIDE);
    if aside.exists() {
        fs_err::remove_dir_all(&aside)?;
    }
    fs_err::create_dir(&aside)?;
    for file in FILES.iter().filter(|file| dir.join(file).exists()) {
        fs_err::rename(dir.join(file), aside.join(file))?;
    }
    // The indexes refer to document and passage numbers of the old catalog.
    for derived in ["lexical", "vectors"].map(|name| dir.join(name)) {
        if derived.exists() {
            fs_err::remove_dir_all(derived)?;
        }
    }
    let catalog = Catalog::open(dir)?;
    let kept = salvage(&aside.join(FILES[0]), &catalog)?;
    tracing::warn!(
        "the catalog of {} is damaged; moved it to {} and started a new one with {kept} of its embeddings; all files are read again",
        dir.display(),
        aside.display()
    );
    Ok(catalog)
}

/// Copies the intact part of the old catalog. Returns the number of copied embeddings.
fn salvage(from: &Path, to: &Catalog) -> Result<usize, StoreError> {
    let Ok(old) = Connection::open(from) else {
        return Ok(0);
    };
    let mut values = Vec::new();
    for key in COPIED_KEYS {
        // Read each value separately: one unreadable value must not cost the others.
        values.extend(catalog::meta(&old, key).ok().flatten().map(|value| (key, value)));
    }
    let Ok(models) = catalog::readable_models(&old) else {
        return Ok(0);
    };
    to.write(|transaction| {
        for (key, value) in &values {
            // A new generation shows followers that the vectors are new.
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
    let mut write_batch = |batch: &mut Vec<SalvagedEmbedding>| {
        match to.write(|transaction| catalog::put_salvaged(transaction, batch)) {
            Ok(new) => salvaged += new,
            Err(error) => outcome = Err(error),
        }
        batch.clear();
    };
    // Read from both ends of the table, each time up to the first unreadable page.
    for backwards in [false, true] {
        let read = catalog::salvage_embeddings(&old, backwards, |embedding| {
            // Skip embeddings of unknown models: the next model would reuse the number and inherit them.
            if !models.iter().any(|(number, _)| *number == embedding.model) {
                return;
            }
            batch.push(embedding);
            if batch.len() == BATCH {
                write_batch(&mut batch);
            }
        });
        write_batch(&mut batch);
        if read.is_ok() {
            break;
        }
    }
    outcome.map(|()| salvaged)
}
