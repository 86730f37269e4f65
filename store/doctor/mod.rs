//! Integrity checks of a store on disk, which change nothing, and repairs.

mod check_catalog;
mod check_indexes;
mod storage;
#[cfg(test)]
mod tests;

pub use storage::{StorageReport, Writer, storage_report};

use std::path::Path;

use crate::catalog::Catalog;
use crate::{ErrorChain, StoreError, lock, salvage};

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Intact.
    Ok,
    /// Corrupt or missing.
    Damaged,
    /// The check failed, so the state is unknown.
    Unchecked,
}

/// A part of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorePart {
    /// Database file of the catalog.
    Catalog,
    /// Rows of the catalog: checksums and references.
    Contents,
    /// Lexical index. Can be rebuilt from the catalog.
    Lexical,
    /// Vector file. Can be rebuilt from the catalog.
    Vectors,
}

impl StorePart {
    /// The name in machine-readable output.
    pub fn as_str(self) -> &'static str {
        match self {
            StorePart::Catalog => "catalog",
            StorePart::Contents => "contents",
            StorePart::Lexical => "lexical",
            StorePart::Vectors => "vectors",
        }
    }
}

/// The check of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The part.
    pub part: StorePart,
    /// Result of the check.
    pub verdict: Verdict,
    /// What was checked, or what is wrong.
    pub detail: String,
}

/// `Ok(Ok(detail))` for an intact part, `Ok(Err(detail))` for a damaged one.
type Finding = Result<Result<String, String>, StoreError>;

/// Checks the store in `dir`. Reads all of its files.
///
/// # Errors
/// [`StoreError::NoStore`] if there is no store. [`StoreError::NewerFormat`] or [`StoreError::OlderFormat`] if another version wrote
/// it.
pub fn examine(dir: &Path) -> Result<Vec<Check>, StoreError> {
    let catalog = match Catalog::open_read_only(dir) {
        Err(error) if error.is_damage() => return Ok(vec![to_check(StorePart::Catalog, Err(error))]),
        opened => opened?,
    };
    let database = to_check(StorePart::Catalog, check_catalog::database(&catalog));
    let is_readable = database.verdict == Verdict::Ok;
    let mut checks = vec![database];
    // The other parts are compared with the catalog, so their checks mean nothing if its database is damaged.
    if is_readable {
        checks.push(to_check(StorePart::Contents, check_catalog::contents(&catalog)));
        checks.push(to_check(
            StorePart::Lexical,
            check_indexes::lexical(dir, &catalog),
        ));
        checks.push(to_check(
            StorePart::Vectors,
            check_indexes::vectors(dir, &catalog),
        ));
    }
    Ok(checks)
}

/// Repairs parts of the store in `dir` as far as possible without the documents' files.
///
/// - `Catalog`: the database is moved aside, and a new one starts with the intact embeddings. The next run reads all files.
/// - `Contents`: damaged rows are removed or marked. The next run reads their files, or embeds their passages again.
/// - `Lexical`, `Vectors`: the index is deleted. The next writer rebuilds it.
///
/// # Errors
/// [`StoreError::LockHeld`] if a process has the store open for writing. Any other error means that the disk failed.
pub fn repair(dir: &Path, parts: &[StorePart]) -> Result<(), StoreError> {
    let _lock = lock::acquire(dir)?;
    for part in parts {
        match part {
            StorePart::Catalog => drop(salvage::replace(dir)?),
            StorePart::Contents => check_catalog::repair(&Catalog::open(dir)?)?,
            StorePart::Lexical => remove_folder(&dir.join(crate::store::LEXICAL))?,
            StorePart::Vectors => remove_folder(&dir.join("vectors"))?,
        }
    }
    Ok(())
}

fn remove_folder(folder: &Path) -> Result<(), StoreError> {
    if folder.exists() {
        fs_err::remove_dir_all(folder)?;
    }
    Ok(())
}

fn to_check(part: StorePart, finding: Finding) -> Check {
    let (verdict, detail) = match finding {
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
