//! The graph file, replaced atomically. A file that is damaged or belongs to other vectors is ignored, and the
//! graph is built again.
//!
//! All numbers are `u32`, little-endian:
//!
//! 1. magic
//! 2. dimensions, number of rows, number of entry points, number of pairs of duplicates
//! 3. BLAKE3 hash of the codes of the entry points
//! 4. entry points, pairs of duplicates
//! 5. degree of each row, targets of all edges
//! 6. BLAKE3 hash of everything before

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Graph;
use super::adjacency::Adjacency;
use super::duplicates::DuplicateRows;
use super::entry_points::EntryPoints;
use crate::StoreError;
use crate::vectors::Vectors;

const MAGIC: &[u8; 8] = b"ARAGGRF2";
/// Length of a hash, in bytes.
const HASH: usize = blake3::OUT_LEN;

/// Path of the graph file of a generation.
pub(crate) fn path_of(dir: &Path, generation: u64) -> PathBuf {
    dir.join("vectors").join(format!("{generation}.graph"))
}

/// Writes `graph` to `path`.
pub(crate) fn save(graph: &Graph, path: &Path) -> Result<(), StoreError> {
    let temporary = path.with_extension("graph-new");
    let file = fs_err::File::create(&temporary)?;
    let mut out = Hashed::new(BufWriter::new(file));
    out.write(MAGIC)?;
    let (entry_points, pairs, rows) = (graph.entry_points.rows(), graph.duplicates.pairs(), graph.rows());
    for number in [graph.vectors.dimensions, rows, entry_points.len(), pairs.len()] {
        out.write_number(number as u32)?;
    }
    out.write(&hash_codes(&graph.vectors, entry_points))?;
    for &row in entry_points {
        out.write_number(row)?;
    }
    for &(representative, duplicate) in pairs {
        out.write_number(representative)?;
        out.write_number(duplicate)?;
    }
    for row in 0..rows as u32 {
        out.write_number(graph.adjacency.neighbors(row).len() as u32)?;
    }
    for row in 0..rows as u32 {
        for &neighbor in graph.adjacency.neighbors(row) {
            out.write_number(neighbor)?;
        }
    }
    let hash = out.hasher.finalize();
    out.inner.write_all(hash.as_bytes())?;
    let file = out.inner.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    // An older version kept the graph in a folder of this name.
    if path.is_dir() {
        fs_err::remove_dir_all(path)?;
    }
    fs_err::rename(&temporary, path)?;
    Ok(())
}

/// Reads the graph at `path`. `None` if it is missing or damaged, or was built from other vectors.
pub(crate) fn load(path: &Path, vectors: &Arc<Vectors>) -> Option<Graph> {
    if !path.is_file() {
        return None;
    }
    match read(path, vectors) {
        Ok(graph) => Some(graph),
        Err(error) => {
            tracing::warn!(path = %path.display(), "rebuilding the graph: {error}");
            None
        }
    }
}

fn read(path: &Path, vectors: &Arc<Vectors>) -> io::Result<Graph> {
    let error = |reason: &str| io::Error::other(reason.to_owned());
    let damaged = || error("the file is damaged");
    let other_vectors = || error("the file belongs to other vectors");
    let file = fs_err::File::open(path)?;
    // Counts in a damaged file can be huge. No list has more numbers than the file.
    let max = file.metadata()?.len() / 4;
    let mut input = Hashed::new(BufReader::with_capacity(1 << 20, file));
    if &input.bytes::<{ MAGIC.len() }>()? != MAGIC {
        return Err(error("the file has another format"));
    }
    let [dimensions, rows, entry_points, pairs] = input.numbers(4, max)?[..] else {
        return Err(damaged());
    };
    let codes_hash = input.bytes::<HASH>()?;
    if dimensions as usize != vectors.dimensions || rows as usize > vectors.len {
        return Err(other_vectors());
    }
    let is_row = |row: &u32| *row < rows;
    let entry_points = input.numbers(u64::from(entry_points), max)?;
    let pairs = input.numbers(u64::from(pairs) * 2, max)?;
    let degrees = input.numbers(u64::from(rows), max)?;
    let targets = input.numbers(degrees.iter().map(|&degree| u64::from(degree)).sum(), max)?;
    let actual_hash = input.hasher.finalize();
    let mut expected_hash = [0; HASH];
    input.inner.read_exact(&mut expected_hash)?;
    if actual_hash.as_bytes() != &expected_hash
        || ![&entry_points, &pairs, &targets]
            .iter()
            .all(|rows| rows.iter().all(is_row))
    {
        return Err(damaged());
    }
    if hash_codes(vectors, &entry_points) != codes_hash {
        return Err(other_vectors());
    }
    let mut targets = targets.into_iter();
    let adjacency = Adjacency::new(degrees.iter().map(|&degree| {
        targets
            .by_ref()
            .take(degree as usize)
            .collect::<Vec<u32>>()
            .into_iter()
    }));
    let pairs = pairs.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    Ok(Graph {
        vectors: Arc::clone(vectors),
        entry_points: EntryPoints::new(vectors, entry_points),
        adjacency,
        duplicates: DuplicateRows::from_pairs(pairs),
    })
}

/// Hash of the codes of some rows, to recognize the vectors that a graph was built from.
fn hash_codes(vectors: &Vectors, rows: &[u32]) -> [u8; HASH] {
    let mut hasher = blake3::Hasher::new();
    for &row in rows {
        hasher.update(bytemuck::cast_slice(vectors.codes(row)));
    }
    *hasher.finalize().as_bytes()
}

/// A file, and the hash of the bytes read or written so far.
struct Hashed<F> {
    inner: F,
    hasher: blake3::Hasher,
}

impl<F> Hashed<F> {
    fn new(inner: F) -> Hashed<F> {
        Hashed {
            inner,
            hasher: blake3::Hasher::new(),
        }
    }
}

impl<F: Write> Hashed<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.inner.write_all(bytes)
    }

    fn write_number(&mut self, number: u32) -> io::Result<()> {
        self.write(&number.to_le_bytes())
    }
}

impl<F: Read> Hashed<F> {
    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    /// The next `count` numbers. An error if `count` exceeds `max`.
    fn numbers(&mut self, count: u64, max: u64) -> io::Result<Vec<u32>> {
        if count > max {
            return Err(io::Error::other("the file is truncated"));
        }
        let mut numbers = vec![0u32; count as usize];
        let bytes = bytemuck::cast_slice_mut::<u32, u8>(&mut numbers);
        self.inner.read_exact(bytes)?;
        self.hasher.update(bytes);
        // A no-op on little-endian machines.
        numbers
            .iter_mut()
            .for_each(|number| *number = u32::from_le(*number));
        Ok(numbers)
    }
}
