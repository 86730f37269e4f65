//! Bringing the indexes up to the catalog, and joining the three into the state that queries see.

mod lexical;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rusqlite::{Connection, Transaction};
use tantivy::index::SegmentId;

use crate::catalog::{self, Catalog, PRUNED, SEQ, VectorRow};
use crate::documents::Documents;
use crate::lexical::{LexicalIndex, LexicalView};
use crate::vectors::{self, BackgroundGraph, FRAME_VECTORS, QuantizedVector, VectorFile, Vectors};
use crate::{DocumentId, ModelIdentity, Seq, Snapshot, StoreError, VectorIndex};

/// Which file of vectors counts; a new number is a file made anew.
pub(crate) const GENERATION: &str = "vectors_generation";
/// The file of vectors is made anew when fewer than this share of its vectors are live …
const LIVE_SHARE: f64 = 0.7;
/// … and it has at least so many.
const WORTH_COMPACTING: usize = 10_000;

/// The state that queries see, swapped whole.
pub(crate) struct Published(RwLock<Arc<Snapshot>>);

impl Published {
    pub(crate) fn new(snapshot: Snapshot) -> Published {
        Published(RwLock::new(Arc::new(snapshot)))
    }

    pub(crate) fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn replace(&self, snapshot: Snapshot) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    /// Takes the lexical index out of the state, if one of these segments is still in it.
    pub(crate) fn take_out_lexical(&self, damaged: &[SegmentId]) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let has_them =
            |view: &LexicalView| view.segment_ids().iter().any(|segment| damaged.contains(segment));
        if current.lexical.as_ref().is_some_and(has_them) {
            *current = Arc::new(current.without_lexical());
        }
    }
}

/// Holds the two indexes and the documents, and moves them along the catalog's history.
pub(crate) struct Publisher {
    dir: PathBuf,
    catalog: Arc<Catalog>,
    lexical: Option<LexicalIndex>,
    view: Option<LexicalView>,
    /// The segments of a lexical index that was found damaged and is not made anew yet.
    damaged: Option<Vec<SegmentId>>,
    documents: Arc<Documents>,
    vectors: Arc<Vectors>,
    /// Up to where the vectors are in the history, in which file, and where that ends.
    vectors_seq: Seq,
    generation: u64,
    vectors_end: u64,
    file: Option<VectorFile>,
    /// Where the history stood when a follower last looked.
    followed: Option<Seq>,
    accelerator: Arc<BackgroundGraph>,
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
            damaged: None,
            documents: Arc::default(),
            vectors: vectors::empty(model.dimensions),
            vectors_seq: 0,
            generation: 0,
            vectors_end: 0,
            file: None,
            followed: None,
            accelerator: Arc::new(BackgroundGraph::new(VectorIndex::Flat)),
            model: Arc::new(model),
        }
    }

    /// The state as it is now.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let searchable = &self.documents.searchable;
        let embedded = self
            .vectors
            .documents()
            .filter(|&document| searchable.contains(document))
            .count() as u64;
        Ok(Snapshot {
            catalog: Arc::clone(&self.catalog),
            documents: Arc::clone(&self.documents),
            lexical: self.view.clone(),
            lexical_damaged: self.damaged.is_some(),
            vectors: Arc::clone(&self.vectors),
            accelerator: Arc::clone(&self.accelerator),
            model: Arc::clone(&self.model),
            embedded,
        })
    }

    /// A writer's start: reads both indexes and has them catch up with the catalog.
    pub(crate) fn recover(&mut self) -> Result<(), StoreError> {
        let (generation, seq) = self.catalog.read(|connection| {
            let generation = catalog::seq_at(connection, GENERATION)?;
            Ok((generation, catalog::seq_at(connection, SEQ)?))
        })?;
        self.generation = generation;
        let whole = self.read_vectors()?;
        if self.vectors_seq > seq {
            // Vectors ahead of the truth belong to a catalog that was put back: its next passages would get their numbers.
            tracing::warn!(dir = %self.dir.display(), "the vectors are rebuilt: they are ahead of the catalog");
        }
        if !whole || self.vectors_seq > seq {
            self.rebuild_vectors()?;
        }
        self.refresh_lexical()?;
        self.refresh_vectors()?;
        self.remove_old_files();
        Ok(())
    }

    /// A reader's look at whether the writer has moved on. Whether it has.
    pub(crate) fn follow(&mut self) -> Result<bool, StoreError> {
        let (seq, generation, pruned) = self.catalog.read(|connection| {
            let at = |key| catalog::seq_at(connection, key);
            Ok((at(SEQ)?, at(GENERATION)?, at(PRUNED)?))
        })?;
        let lexical_seq = self.follow_lexical(seq)?;
        let vectors_done = self.vectors_seq >= seq && self.generation == generation;
        if self.followed == Some(seq) && self.documents.seq >= lexical_seq && vectors_done {
            return Ok(false);
        }
        if generation != self.generation {
            self.generation = generation;
            self.follow_model()?;
            self.forget_vectors();
        }
        self.read_vectors()?;
        self.view_lexical()?;
        if pruned > self.documents.seq {
            // What went in between is no longer written down.
            self.documents = Arc::default();
        }
        self.move_documents(lexical_seq)?;
        self.followed = Some(seq);
        Ok(true)
    }

    /// Brings the vectors up to the catalog.
    pub(crate) fn refresh_vectors(&mut self) -> Result<(), StoreError> {
        let seq = self.catalog.read(|connection| catalog::seq_at(connection, SEQ))?;
        if self.vectors_seq >= seq {
            return Ok(());
        }
        let mut fresh = Vec::new();
        let unsound = self
            .catalog
            .read(|connection| catalog::vectors(connection, self.vectors_seq, seq, |row| fresh.push(row)))?;
        if !unsound.is_empty() {
            // Other passages of the same text have been given that embedding before, and are to wait for its next one too.
            self.rebuild_vectors()?;
            self.remove_old_files();
            return Ok(());
        }
        if !fresh.is_empty() {
            let fresh: Vec<QuantizedVector<'_>> = fresh.iter().map(coded).collect();
            let places = self.file()?.append(seq, &fresh)?;
            let vectors = Arc::make_mut(&mut self.vectors);
            for (vector, at) in fresh.iter().zip(places) {
                vectors.push(vector, at);
            }
        }
        self.vectors_seq = seq;
        Ok(())
    }

    /// Deletes what was retired, now that both indexes are past it, and makes the file of vectors anew where much of it is dead.
    pub(crate) fn prune(&mut self) -> Result<(), StoreError> {
        let reached = self.documents.seq.min(self.vectors_seq);
        if self
            .catalog
            .read(|connection| catalog::retired(connection, 0, reached))?
            .is_empty()
        {
            return Ok(());
        }
        self.catalog
            .write(|transaction| catalog::prune(transaction, reached))?;
        let searchable = &self.documents.searchable;
        let live = self
            .vectors
            .documents()
            .filter(|&document| searchable.contains(document))
            .count();
        if self.vectors.len >= WORTH_COMPACTING && (live as f64) < LIVE_SHARE * self.vectors.len as f64 {
            self.catalog
                .write(|transaction| catalog::forget_others(transaction))?;
            self.rebuild_vectors()?;
            self.remove_old_files();
        }
        Ok(())
    }

    /// Sets how vectors are searched.
    pub(crate) fn use_vector_index(&mut self, index: VectorIndex) {
        self.accelerator = Arc::new(BackgroundGraph::new(index));
        self.accelerate();
    }

    /// Has the graph of the vectors made where they are worth one and it has fallen behind.
    pub(crate) fn accelerate(&self) {
        self.accelerator
            .refresh(&self.dir, self.generation, &self.vectors);
    }

    /// Puts the next model in the place of the one that serves.
    pub(crate) fn promote(&mut self) -> Result<(), StoreError> {
        self.begin_generation(|transaction| catalog::promote(transaction).map(drop))?;
        self.follow_model()?;
        self.forget_vectors();
        self.rebuild_vectors()?;
        self.refresh_lexical()?;
        self.remove_old_files();
        self.accelerate();
        Ok(())
    }

    /// The vectors may be another model's from here on.
    fn follow_model(&mut self) -> Result<(), StoreError> {
        if let Some(model) = self.catalog.read(catalog::serving)? {
            self.model = Arc::new(model);
        }
        Ok(())
    }

    /// Makes the file of vectors anew from the catalog: written whole, then made the one that counts. Passages whose embeddings are
    /// damaged are not in it, and wait for new ones.
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
            let part: Vec<QuantizedVector<'_>> = rows.iter().map(coded).collect();
            let places = match last {
                true => file.append(seq.max(1), &part)?,
                false => file.append_part(&part)?,
            };
            for (vector, at) in part.iter().zip(places) {
                all.push(vector, at);
            }
            Ok(())
        };
        let unsound = self.catalog.read(|connection| {
            catalog::vectors(connection, 0, seq, |row| {
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
        if !unsound.is_empty() {
            let (count, dir) = (unsound.len(), self.dir.display());
            tracing::warn!(
                "{count} embeddings in the catalog of {dir} are damaged; their passages are embedded again"
            );
        }
        self.begin_generation(|transaction| catalog::forget_embeddings(transaction, &unsound))?;
        self.vectors_seq = seq;
        (self.vectors, self.file) = (Arc::new(all), Some(file));
        Ok(())
    }

    /// Changes the catalog in a way that the file of vectors cannot follow, and has the next file count from the same commit on.
    fn begin_generation(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), StoreError> {
        self.generation = self.catalog.write(|transaction| {
            change(transaction)?;
            new_generation(transaction)
        })?;
        Ok(())
    }

    fn forget_vectors(&mut self) {
        self.vectors = vectors::empty(self.model.dimensions);
        (self.vectors_seq, self.vectors_end, self.file) = (0, 0, None);
    }

    /// Reads on in the file of vectors. False where it is missing or is none.
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
        let mut reached = self.vectors_seq;
        let end = vectors::read_frames(&path, self.model.dimensions, self.vectors_end, |frame| {
            frame.vectors().for_each(|(vector, at)| vectors.push(&vector, at));
            reached = frame.seq.unwrap_or(reached);
        })?;
        let Some(end) = end else { return Ok(false) };
        (self.vectors_seq, self.vectors_end) = (reached, end);
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

    /// Files of earlier generations, and of one that was being made when the process died.
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
            let removed = match entry.path().is_dir() {
                true => fs_err::remove_dir_all(entry.path()),
                false => fs_err::remove_file(entry.path()),
            };
            if let Err(error) = removed {
                tracing::warn!("an old file stays: {error}");
            }
        }
    }
}

/// Documents that went and came between two points of the history.
fn changes(
    connection: &Connection,
    after: Seq,
    seq: Seq,
) -> rusqlite::Result<(Vec<DocumentId>, Vec<crate::DocumentEntry>)> {
    Ok((
        catalog::retired(connection, after, seq)?,
        catalog::entries(connection, after, seq)?,
    ))
}

/// Has the file of vectors made anew at the next opening, if there is none of the new number, which is given back.
pub(crate) fn new_generation(connection: &Connection) -> rusqlite::Result<u64> {
    let generation = catalog::seq_at(connection, GENERATION)? + 1;
    catalog::set_meta(connection, GENERATION, &generation.to_string())?;
    Ok(generation)
}

fn coded(row: &VectorRow) -> QuantizedVector<'_> {
    QuantizedVector {
        passage: row.passage,
        document: row.document,
        scale: row.scale,
        codes: bytemuck::cast_slice(&row.codes),
    }
}
