//! Checks of a store as it lies on disk, which change nothing, and repairs of what they find.

mod catalog;
mod derived;
mod storage;
#[cfg(test)]
mod tests;

pub use storage::{StorageReport, Writer, storage_report};

use std::path::Path;

use crate::catalog::Catalog;
use crate::{ErrorChain, StoreError, lock, salvage};

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Not what was written.
    Damaged,
    /// It could not be looked at, so that nothing is known of it.
    Unchecked,
}

/// A part of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorePart {
    /// The database's pages.
    Catalog,
    /// What its rows say of one another.
    Contents,
    /// The lexical index, derived.
    Lexical,
    /// The vectors, derived.
    Vectors,
}

impl StorePart {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            StorePart::Catalog => "catalog",
            StorePart::Contents => "contents",
            StorePart::Lexical => "lexical",
            StorePart::Vectors => "vectors",
        }
    }
}

/// One part, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Which.
    pub part: StorePart,
    /// What it came to.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
}

/// What a look at a part found: what is right with it, or what is not.
type Found = Result<Result<String, String>, StoreError>;

/// Checks the store in `dir`. Reads all of it.
///
/// # Errors
/// [`StoreError::NoStore`] where there is none, and where its format is another.
pub fn examine(dir: &Path) -> Result<Vec<Check>, StoreError> {
    let catalog = match Catalog::open_read_only(dir) {
        Err(error) if error.is_damage() => return Ok(vec![judged(StorePart::Catalog, Err(error))]),
        opened => opened?,
    };
    let pages = judged(StorePart::Catalog, catalog::pages(&catalog));
    let whole = pages.verdict == Verdict::Ok;
    let mut checks = vec![pages];
    // What a damaged database says of the other parts is worth nothing.
    if whole {
        checks.push(judged(StorePart::Contents, catalog::contents(&catalog)));
        checks.push(judged(StorePart::Lexical, derived::lexical(dir, &catalog)));
        checks.push(judged(StorePart::Vectors, derived::vectors(dir, &catalog)));
    }
    Ok(checks)
}

/// Repairs parts of the store in `dir`, so far as it can be done without the documents: derived indexes are deleted, for the next
/// writer to make anew; what is damaged in the catalog is taken out, and its files are read, or its passages embedded, by the next
/// run; a catalog that SQLite cannot read is put aside, and a new one begins with what is intact of it.
///
/// # Errors
/// [`StoreError::LockHeld`] where a process writes the store.
pub fn repair(dir: &Path, parts: &[StorePart]) -> Result<(), StoreError> {
    let _held = lock::acquire(dir)?;
    for part in parts {
        match part {
            StorePart::Catalog => drop(salvage::begin_anew(dir)?),
            StorePart::Contents => catalog::repair(&Catalog::open(dir)?)?,
            StorePart::Lexical => discard(&dir.join(crate::store::LEXICAL))?,
            StorePart::Vectors => discard(&dir.join("vectors"))?,
        }
    }
    Ok(())
}

fn discard(folder: &Path) -> Result<(), StoreError> {
    match folder.exists() {
        true => Ok(fs_err::remove_dir_all(folder)?),
        false => Ok(()),
    }
}

fn judged(part: StorePart, found: Found) -> Check {
    let (verdict, detail) = match found {
        Ok(Ok(detail)) => (Verdict::Ok, detail),
        Ok(Err(detail)) => (Verdict::Damaged, detail),
        Err(error) if error.is_damage() => (Verdict::Damaged, ErrorChain(&error).to_string()),
        Err(error) => (Verdict::Unchecked, ErrorChain(&error).to_string()),
    };
    Check {
        part,
        verdict,
        detail,
    }
}
