//! The command that serves an index that a benchmark kept with `--keep`.

use std::io::Write;
use std::path::{Path, PathBuf};

use autorag_store::SourceRoot;

use crate::data_dir;

/// The folders of a benchmark's index.
pub struct IndexFolders {
    docs: PathBuf,
    base: PathBuf,
    /// The source folder, as `autorag serve` resolves it.
    pub sources: Vec<SourceRoot>,
    /// Where `autorag serve` looks for the index of `sources`.
    pub data_dir: PathBuf,
}

impl IndexFolders {
    /// Creates the source folder, `docs`, and chooses the index folder below `index`, both inside `folder`.
    ///
    /// # Errors
    /// When a folder cannot be created.
    pub fn create(folder: &Path) -> anyhow::Result<IndexFolders> {
        let (docs, base) = (folder.join("docs"), folder.join("index"));
        fs_err::create_dir_all(&docs)?;
        let sources = data_dir::resolve_sources(std::slice::from_ref(&docs))?;
        let data_dir = data_dir::index_dir(&sources, Some(&base))?;
        Ok(IndexFolders {
            docs,
            base,
            sources,
            data_dir,
        })
    }

    /// Prints the command that serves the index.
    ///
    /// # Errors
    /// When `out` is closed.
    pub fn print_serve_command(&self, out: &mut impl Write) -> std::io::Result<()> {
        let (docs, base) = (self.docs.display(), self.base.display());
        writeln!(
            out,
            "kept; to serve it: autorag serve '{docs}' --data-dir '{base}'"
        )
    }
}
