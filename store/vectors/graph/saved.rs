//! The graph on disk: the library's own files, beside a manifest with their lengths and hashes. A file that is not as it was
//! written never gets to the library, which ends the process over some kinds of damage.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hnsw_rs::api::AnnT;
use hnsw_rs::hnswio::HnswIo;
use serde::{Deserialize, Serialize};

use super::{CodeDistance, Graph};
use crate::StoreError;
use crate::vectors::Vectors;

/// Version of the manifest and of what the library writes.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
/// What the library's files are called, before its own endings.
const NAME: &str = "rows";
const FILES: [&str; 2] = ["rows.hnsw.graph", "rows.hnsw.data"];

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    rows: usize,
    dimensions: usize,
    files: Vec<Written>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Written {
    name: String,
    bytes: u64,
    blake3: String,
}

/// The folder of a generation's graph.
pub(crate) fn path_of(dir: &Path, generation: u64) -> PathBuf {
    dir.join("vectors").join(format!("{generation}.graph"))
}

/// Writes `graph` into `folder`, whole or not at all.
pub(crate) fn save(graph: &Graph, folder: &Path) -> Result<(), StoreError> {
    let fresh = folder.with_extension("graph-new");
    if fresh.exists() {
        fs_err::remove_dir_all(&fresh)?;
    }
    fs_err::create_dir_all(&fresh)?;
    let dumped = catch_unwind(AssertUnwindSafe(|| graph.hnsw.file_dump(&fresh, NAME)));
    let failed =
        |why: String| io::Error::other(format!("cannot write the graph to {}: {why}", fresh.display()));
    dumped
        .map_err(|panic| failed(said(&*panic)))?
        .map_err(|error| failed(error.to_string()))?;
    let manifest = Manifest {
        format: FORMAT,
        rows: graph.rows,
        dimensions: graph.vectors.dimensions,
        files: FILES
            .iter()
            .map(|name| written(&fresh, name))
            .collect::<Result<_, _>>()?,
    };
    let json = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other)?;
    fs_err::write(fresh.join(MANIFEST), json)?;
    for name in FILES.iter().chain([&MANIFEST]) {
        fs_err::File::open(fresh.join(name))?.sync_all()?;
    }
    if folder.exists() {
        fs_err::remove_dir_all(folder)?;
    }
    fs_err::rename(&fresh, folder)?;
    Ok(())
}

/// Reads the graph of `folder`; none where there is none that is whole and fits `vectors`.
pub(crate) fn load(folder: &Path, vectors: &Arc<Vectors>) -> Option<Graph> {
    if !folder.join(MANIFEST).is_file() {
        return None;
    }
    match read(folder, vectors) {
        Ok(graph) => Some(graph),
        Err(error) => {
            tracing::warn!(path = %folder.display(), "the graph is built anew: {error}");
            None
        }
    }
}

fn read(folder: &Path, vectors: &Arc<Vectors>) -> io::Result<Graph> {
    let manifest: Manifest = serde_json::from_slice(&fs_err::read(folder.join(MANIFEST))?)?;
    let refused = |why: &str| Err(io::Error::other(why.to_owned()));
    if manifest.format != FORMAT || manifest.dimensions != vectors.dimensions {
        return refused("it is of another format or model");
    }
    if manifest.rows > vectors.len {
        return refused("it knows of vectors that are not there");
    }
    let files: Vec<Written> = FILES
        .iter()
        .map(|name| written(folder, name))
        .collect::<Result<_, _>>()?;
    if files != manifest.files {
        return refused("its files are not as they were written");
    }
    // The library lets a graph borrow from its reader, for vectors that are mapped. Ours are not, and the reader is small.
    let reader: &'static HnswIo = Box::leak(Box::new(HnswIo::new(folder, NAME)));
    let distance = CodeDistance(Arc::clone(vectors));
    let hnsw = catch_unwind(AssertUnwindSafe(|| reader.load_hnsw_with_dist(distance)))
        .map_err(|panic| io::Error::other(said(&*panic)))?
        .map_err(io::Error::other)?;
    if hnsw.get_nb_point() != manifest.rows {
        return refused("it has another number of vectors than it says");
    }
    Ok(Graph::over(vectors, manifest.rows, hnsw))
}

fn written(folder: &Path, name: &str) -> io::Result<Written> {
    let file = fs_err::File::open(folder.join(name))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(&file)?;
    Ok(Written {
        name: name.to_owned(),
        bytes: file.metadata()?.len(),
        blake3: hasher.finalize().to_hex().to_string(),
    })
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("the library gave up")
        .to_owned()
}
