//! Keeping both indexes in step with the catalog, and publishing snapshots.

mod sync_lexical;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, Transaction};
use tantivy::index::SegmentId;

use crate::catalog::{self, Catalog, PRUNED_SEQ, SEQ, VectorRow};
use crate::documents::Documents;
use crate::lexical::{LexicalIndex, LexicalView};
use crate::vectors::{self, BackgroundGraph, FRAME_VECTORS, QuantizedVector, VectorFile, Vectors};
use crate::{DocumentEntry, DocumentId, ModelIdentity, Seq, Snapshot, StoreError, VectorIndex};

/// Key of `meta`: number of the current vector file. Each rebuilt file has a new number.
pub(crate) const GENERATION: &str = "vectors_generation";
/// The vector file is rebuilt if less than this share of its vectors is live …
const MIN_LIVE_SHARE: f64 = 0.7;
/// … and it has at least this many vectors.
const MIN_VECTORS_TO_COMPACT: usize = 10_000;

/// The snapshot that queries get, replaced as a whole.
pub(crate) struct CurrentSnapshot(RwLock<Arc<Snapshot>>);

impl CurrentSnapshot {
    pub(crate) fn new(snapshot: Snapshot) -> CurrentSnapshot {
        CurrentSnapshot(RwLock::new(Arc::new(snapshot)))
    }

    pub(crate) fn get(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn replace(&self, snapshot: Snapshot) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    /// Removes the lexical index from the snapshot if it still contains one of these segments.
    pub(crate) fn remove_lexical(&self, damaged: &[SegmentId]) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_damaged =
            |view: &LexicalView| view.segment_ids().iter().any(|segment| damaged.contains(segment));
        if current.lexical.as_ref().is_some_and(is_damaged) {
            *current = Arc::new(current.without_lexical());
        }
    }
}

/// The two indexes and the documents in memory, each with the sequence number it has applied.
pub(crate) struct Publisher {
    dir: PathBuf,
    catalog: Arc<Catalog>,
    lexical: Option<LexicalIndex>,
    view: Option<LexicalView>,
    /// Segments of a damaged lexical index. `None` while the index is not known to be damaged.
    damaged_segments: Option<Vec<SegmentId>>,
    documents: Arc<Documents>,
    vectors: Arc<Vectors>,
    /// Sequence number that the vectors have applied.
    vectors_seq: Seq,
    /// Number of the current vector file; 0 if there is none yet.
    generation: u64,
    /// Byte offset read so far in the vector file; 0 if the file was not opened yet.
    vectors_end: u64,
    file: Option<VectorFile>,
    /// Sequence number at the last time a follower caught up.
    followed_seq: Option<Seq>,
    graph: Arc<BackgroundGraph>,
    model: Arc<ModelIdentity>,
}

impl Publisher {
    pub(crate) fn new(
        dir: &Path,
        catalog: Arc<Catalog>,
        lexical: Option<LexicalIndex>,
        model: ModelIdentity,
    ) -> Publisher {
        Publisher {
            dir: dir.to_owned(),
            catalog,
            lexical,
            view: None,
            damaged_segments: None,
            documents: Arc::default(),
            vectors: vectors::empty(model.dimensions),
            vectors_seq: 0,
            generation: 0,
            vectors_end: 0,
            file: None,
            followed_seq: None,
            graph: Arc::new(BackgroundGraph::new(VectorIndex::Flat)),
            model: Arc::new(model),
        }
    }

    /// A snapshot of the current state.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            catalog: Arc::clone(&self.catalog),
            documents: Arc::clone(&self.documents),
            lexical: self.view.clone(),
            lexical_damaged: self.damaged_segments.is_some(),
            vectors: Arc::clone(&self.vectors),
            graph: Arc::clone(&self.graph),
            model: Arc::clone(&self.model),
            embedded: self.live_vectors() as u64,
        }
    }

    /// Number of vectors that belong to live documents.
    fn live_vectors(&self) -> usize {
        let searchable = &self.documents.searchable;
        let live = self
            .vectors
            .documents()
            .filter(|&document| searchable.contains(document));
        live.count()
    }

    /// Reads both indexes when a writer opens the store, and applies the catalog changes that they lack.
    pub(crate) fn recover(&mut self) -> Result<(), StoreError> {
        let (generation, seq) = self.catalog.read(|connection| {
            let generation = catalog::seq_at(connection, GENERATION)?;
            Ok((generation, catalog::seq_at(connection, SEQ)?))
        })?;
        self.generation = generation;
        let is_readable = self.read_vectors()?;
        if self.vectors_seq > seq {
            // The catalog was restored from a backup. Its next passages will get numbers that these vectors already use.
            tracing::warn!(dir = %self.dir.display(), "rebuilding the vectors: they are ahead of the catalog");
        }
        if !is_readable || self.vectors_seq > seq {
            self.rebuild_vectors()?;
        }
        self.refresh_lexical()?;
        self.refresh_vectors()?;
        self.remove_old_files();
        Ok(())
    }

    /// Catches up with the writer, in a follower. Returns whether anything changed.
    pub(crate) fn follow(&mut self) -> Result<bool, StoreError> {
        let (seq, generation, pruned) = self.catalog.read(|connection| {
            let at = |key| catalog::seq_at(connection, key);
            Ok((at(SEQ)?, at(GENERATION)?, at(PRUNED_SEQ)?))
        })?;
        let lexical_seq = self.follow_lexical(seq)?;
        let are_vectors_current = self.vectors_seq >= seq && self.generation == generation;
        if self.followed_seq == Some(seq) && self.documents.seq >= lexical_seq && are_vectors_current {
            return Ok(false);
        }
        if generation != self.generation {
            self.generation = generation;
            self.reload_model()?;
            self.reset_vectors();
        }
        self.read_vectors()?;
        self.refresh_view()?;
        if pruned > self.documents.seq {
            // Rows retired since the last update are already deleted, so the list of changes would lack them.
            self.documents = Arc::default();
        }
        self.advance_documents(lexical_seq)?;
        self.followed_seq = Some(seq);
        Ok(true)
    }

    /// Applies the catalog's changes to the vectors.
    pub(crate) fn refresh_vectors(&mut self) -> Result<(), StoreError> {
        let seq = self.catalog.read(|connection| catalog::seq_at(connection, SEQ))?;
        if self.vectors_seq >= seq {
            return Ok(());
        }
        let mut fresh = Vec::new();
        let damaged = self.catalog.read(|connection| {
            catalog::vector_rows(connection, self.vectors_seq, seq, |row| fresh.push(row))
        })?;
        if !damaged.is_empty() {
            // Earlier passages with the same text share the damaged embedding. All of them must be re-embedded.
            self.rebuild_vectors()?;
            self.remove_old_files();
            return Ok(());
        }
        if !fresh.is_empty() {
            let fresh: Vec<QuantizedVector<'_>> = fresh.iter().map(quantized).collect();
            let offsets = self.file()?.append(seq, &fresh)?;
            let vectors = Arc::make_mut(&mut self.vectors);
            for (vector, at) in fresh.iter().zip(offsets) {
                vectors.push(vector, at);
            }
        }
        self.vectors_seq = seq;
        Ok(())
    }

    /// Deletes retired rows that both indexes have applied, and compacts the vector file if many of its vectors are dead.
    pub(crate) fn prune(&mut self) -> Result<(), StoreError> {
        // An index that is behind still has to read the retired rows.
        let applied = self.documents.seq.min(self.vectors_seq);
        if self
            .catalog
            .read(|connection| catalog::retired_documents(connection, 0, applied))?
            .is_empty()
        {
            return Ok(());
        }
        self.catalog
            .write(|transaction| catalog::prune(transaction, applied))?;
        let all = self.vectors.len;
        if all >= MIN_VECTORS_TO_COMPACT && (self.live_vectors() as f64) < MIN_LIVE_SHARE * all as f64 {
            self.catalog
                .write(|transaction| catalog::delete_unused_models(transaction))?;
            self.rebuild_vectors()?;
            self.remove_old_files();
        }
        Ok(())
    }

    /// Sets how vectors are searched.
    pub(crate) fn use_vector_index(&mut self, index: VectorIndex) {
        self.graph = Arc::new(BackgroundGraph::new(index));
        self.refresh_graph();
    }

    /// Starts building a graph in the background if the vectors should have one and the current one is missing or stale.
    pub(crate) fn refresh_graph(&self) {
        self.graph.refresh(&self.dir, self.generation, &self.vectors);
    }

    /// Makes the next model the serving one.
    pub(crate) fn promote(&mut self) -> Result<(), StoreError> {
        self.begin_generation(|transaction| catalog::promote(transaction).map(drop))?;
        self.reload_model()?;
        self.reset_vectors();
        self.rebuild_vectors()?;
        self.refresh_lexical()?;
        self.remove_old_files();
        self.refresh_graph();
        Ok(())
    }

    /// Reads the serving model. A new vector file may belong to another model.
    fn reload_model(&mut self) -> Result<(), StoreError> {
        if let Some(model) = self.catalog.read(catalog::serving_model)? {
            self.model = Arc::new(model);
        }
        Ok(())
    }

    /// Rebuilds the vector file from the catalog as a new generation, then switches to it. Damaged embeddings are deleted, and their
    /// passages are re-embedded.
    fn rebuild_vectors(&mut self) -> Result<(), StoreError> {
        let (generation, seq) = self.catalog.read(|connection| {
            let at = |key| catalog::seq_at(connection, key);
            Ok((at(GENERATION)? + 1, at(SEQ)?))
        })?;
        let mut file = VectorFile::create(&vectors::path_of(&self.dir, generation), self.model.dimensions)?;
        let mut all = Vectors::new(self.model.dimensions, Some(file.reader()?));
        let mut rows = Vec::new();
        let mut written = Ok(());
        let mut write = |rows: &[VectorRow], last: bool| -> Result<(), StoreError> {
            let part: Vec<QuantizedVector<'_>> = rows.iter().map(quantized).collect();
            let offsets = if last {
                file.append(seq.max(1), &part)?
            } else {
                file.append_part(&part)?
            };
            for (vector, at) in part.iter().zip(offsets) {
                all.push(vector, at);
            }
            Ok(())
        };
        let damaged = self.catalog.read(|connection| {
            catalog::vector_rows(connection, 0, seq, |row| {
                rows.push(row);
                if rows.len() == FRAME_VECTORS {
                    if written.is_ok() {
                        written = write(&rows, false);
                    }
                    rows.clear();
                }
            })
        })?;
        written.and_then(|()| write(&rows, true))?;
        if !damaged.is_empty() {
            let (count, dir) = (damaged.len(), self.dir.display());
            tracing::warn!(
                "{count} embeddings in the catalog of {dir} are damaged; their passages are re-embedded"
            );
        }
        self.begin_generation(|transaction| catalog::delete_embeddings(transaction, &damaged))?;
        self.vectors_seq = seq;
        (self.vectors, self.file) = (Arc::new(all), Some(file));
        Ok(())
    }

    /// Makes a change that cannot be appended to the vector file, and starts a new generation in the same transaction.
    fn begin_generation(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        self.generation = self.catalog.write(|transaction| {
            change(transaction)?;
            increment_generation(transaction)
        })?;
        Ok(())
    }

    fn reset_vectors(&mut self) {
        self.vectors = vectors::empty(self.model.dimensions);
        (self.vectors_seq, self.vectors_end, self.file) = (0, 0, None);
    }

    /// Reads the vector file from where the last call ended. Returns false if there is no valid file.
    fn read_vectors(&mut self) -> Result<bool, StoreError> {
        let path = vectors::path_of(&self.dir, self.generation);
        if self.generation == 0 || !path.is_file() {
            return Ok(false);
        }
        if self.vectors_end == 0 {
            let file = Arc::new(fs_err::File::open(&path)?.into_parts().0);
            self.vectors = Arc::new(Vectors::new(self.model.dimensions, Some(file)));
        }
        let vectors = Arc::make_mut(&mut self.vectors);
        let mut applied = self.vectors_seq;
        let end = vectors::read_frames(&path, self.model.dimensions, self.vectors_end, |frame| {
            frame.vectors().for_each(|(vector, at)| vectors.push(&vector, at));
            applied = frame.seq.unwrap_or(applied);
        })?;
        let Some(end) = end else { return Ok(false) };
        (self.vectors_seq, self.vectors_end) = (applied, end);
        Ok(true)
    }

    fn file(&mut self) -> Result<&mut VectorFile, StoreError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let path = vectors::path_of(&self.dir, self.generation);
                VectorFile::open(&path, self.model.dimensions, self.vectors_end)?
            }
        };
        Ok(self.file.insert(file))
    }

    /// Removes files of earlier generations, and the unfinished file of a process that died.
    fn remove_old_files(&self) {
        let current = vectors::path_of(&self.dir, self.generation);
        let graph = vectors::graph_path_of(&self.dir, self.generation);
        let Some(entries) = current.parent().and_then(|folder| fs_err::read_dir(folder).ok()) else {
            return;
        };
        let old = entries
            .flatten()
            .filter(|entry| entry.path() != current && entry.path() != graph);
        for entry in old {
            let removed = if entry.path().is_dir() {
                fs_err::remove_dir_all(entry.path())
            } else {
                fs_err::remove_file(entry.path())
            };
            if let Err(error) = removed {
                tracing::warn!("cannot remove an old vector file: {error}");
            }
        }
    }
}

/// Documents retired and documents added after `after`, up to and including `seq`.
fn read_changes(
    connection: &Connection,
    after: Seq,
    seq: Seq,
) -> rusqlite::Result<(Vec<DocumentId>, Vec<DocumentEntry>)> {
    Ok((
        catalog::retired_documents(connection, after, seq)?,
        catalog::added_documents(connection, after, seq)?,
    ))
}

/// Increments the generation and returns it. The vector file is rebuilt at the next opening unless a file of that generation exists.
pub(crate) fn increment_generation(connection: &Connection) -> rusqlite::Result<u64> {
    let generation = catalog::seq_at(connection, GENERATION)? + 1;
    catalog::set_meta(connection, GENERATION, &generation.to_string())?;
    Ok(generation)
}

fn quantized(row: &VectorRow) -> QuantizedVector<'_> {
    QuantizedVector {
        passage: row.passage,
        document: row.document,
        scale: row.scale,
        codes: bytemuck::cast_slice(&row.codes),
    }
}
