//! The graph on disk: one file, whole or not at all. Whatever is not as it was written, or is of other vectors, is built anew.
//!
//! Magic, then as `u32` the dimensions and the numbers of rows, entries and pairs of twins, a hash of the entries' codes, and the
//! rows that are entries, the pairs, the number of links of each row, the links, all `u32`, little-endian; at the end the BLAKE3
//! hash of everything before it.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Graph;
use super::entries::Entries;
use super::links::Links;
use super::twins::Twins;
use crate::StoreError;
use crate::vectors::Vectors;

const MAGIC: &[u8; 8] = b"ARAGGRF2";
/// Bytes of a hash.
const HASH: usize = blake3::OUT_LEN;

/// The file of a generation's graph.
pub(crate) fn path_of(dir: &Path, generation: u64) -> PathBuf {
    dir.join("vectors").join(format!("{generation}.graph"))
}

/// Writes `graph` to `path`.
pub(crate) fn save(graph: &Graph, path: &Path) -> Result<(), StoreError> {
    let fresh = path.with_extension("graph-new");
    let file = fs_err::File::create(&fresh)?;
    let mut out = Hashed::new(BufWriter::new(file));
    out.inner.write_all(MAGIC)?;
    out.hasher.update(MAGIC);
    let (entries, pairs, rows) = (graph.entries.rows(), graph.twins.pairs(), graph.rows());
    for number in [graph.vectors.dimensions, rows, entries.len(), pairs.len()] {
        out.put(number as u32)?;
    }
    let fingerprint = fingerprint(&graph.vectors, entries);
    out.inner.write_all(&fingerprint)?;
    out.hasher.update(&fingerprint);
    for &row in entries {
        out.put(row)?;
    }
    for &(row, twin) in pairs {
        out.put(row)?;
        out.put(twin)?;
    }
    for row in 0..rows as u32 {
        out.put(graph.links.of(row).len() as u32)?;
    }
    for row in 0..rows as u32 {
        for &link in graph.links.of(row) {
            out.put(link)?;
        }
    }
    let hash = out.hasher.finalize();
    out.inner.write_all(hash.as_bytes())?;
    let file = out.inner.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    // A folder is what an earlier version left.
    if path.is_dir() {
        fs_err::remove_dir_all(path)?;
    }
    fs_err::rename(&fresh, path)?;
    Ok(())
}

/// Reads the graph at `path`; none where there is none that is whole and fits `vectors`.
pub(crate) fn load(path: &Path, vectors: &Arc<Vectors>) -> Option<Graph> {
    if !path.is_file() {
        return None;
    }
    match read(path, vectors) {
        Ok(graph) => Some(graph),
        Err(error) => {
            tracing::warn!(path = %path.display(), "the graph is built anew: {error}");
            None
        }
    }
}

fn read(path: &Path, vectors: &Arc<Vectors>) -> io::Result<Graph> {
    let refused = |why: &str| io::Error::other(why.to_owned());
    let damaged = || refused("it is not as it was written");
    let file = fs_err::File::open(path)?;
    // Numbers of a damaged file are not to decide how much memory is taken.
    let most = file.metadata()?.len() / 4;
    let mut input = Hashed::new(BufReader::with_capacity(1 << 20, file));
    if &input.bytes::<{ MAGIC.len() }>()? != MAGIC {
        return Err(refused("it is of another format"));
    }
    let [dimensions, rows, entries, pairs] = input.numbers(4, most)?[..] else {
        return Err(damaged());
    };
    let fingerprint_then = input.bytes::<HASH>()?;
    if dimensions as usize != vectors.dimensions || rows as usize > vectors.len {
        return Err(refused("it is of other vectors"));
    }
    let is_row = |row: &u32| *row < rows;
    let entries = input.numbers(u64::from(entries), most)?;
    let pairs = input.numbers(u64::from(pairs) * 2, most)?;
    let counts = input.numbers(u64::from(rows), most)?;
    let links = input.numbers(counts.iter().map(|&count| u64::from(count)).sum(), most)?;
    let hash = input.hasher.finalize();
    let mut hash_then = [0; HASH];
    input.inner.read_exact(&mut hash_then)?;
    if hash.as_bytes() != &hash_then
        || ![&entries, &pairs, &links]
            .iter()
            .all(|all| all.iter().all(is_row))
    {
        return Err(damaged());
    }
    if fingerprint(vectors, &entries) != fingerprint_then {
        return Err(refused("it is of other vectors"));
    }
    let mut links = links.into_iter();
    let links = Links::new(counts.iter().map(|&count| {
        links
            .by_ref()
            .take(count as usize)
            .collect::<Vec<u32>>()
            .into_iter()
    }));
    let pairs = pairs.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    Ok(Graph {
        vectors: Arc::clone(vectors),
        entries: Entries::new(vectors, entries),
        links,
        twins: Twins::new(pairs),
    })
}

/// What tells vectors from others: the codes of some rows.
fn fingerprint(vectors: &Vectors, rows: &[u32]) -> [u8; HASH] {
    let mut hasher = blake3::Hasher::new();
    for &row in rows {
        let (block, place) = vectors.place(row);
        hasher.update(bytemuck::cast_slice(block.codes.of(place)));
    }
    *hasher.finalize().as_bytes()
}

/// A file and the hash of what has passed.
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
    fn put(&mut self, number: u32) -> io::Result<()> {
        let bytes = number.to_le_bytes();
        self.hasher.update(&bytes);
        self.inner.write_all(&bytes)
    }
}

impl<F: Read> Hashed<F> {
    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.inner.read_exact(&mut bytes)?;
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    /// The next `count` numbers, of which there can be no more than `most`.
    fn numbers(&mut self, count: u64, most: u64) -> io::Result<Vec<u32>> {
        if count > most {
            return Err(io::Error::other("it is cut off"));
        }
        let mut numbers = vec![0u32; count as usize];
        let bytes = bytemuck::cast_slice_mut::<u32, u8>(&mut numbers);
        self.inner.read_exact(bytes)?;
        self.hasher.update(bytes);
        // Nothing changes where numbers are little-endian anyway.
        numbers
            .iter_mut()
            .for_each(|number| *number = u32::from_le(*number));
        Ok(numbers)
    }
}
