//! Keeping the lexical index in step with the catalog: a writer applies changes or rebuilds the index, a follower reads it.

use std::sync::Arc;

use tantivy::index::SegmentId;

use super::{Publisher, read_changes};
use crate::catalog::{self, SEQ};
use crate::lexical::LexicalIndex;
use crate::{ErrorChain, Seq, StoreError};

impl Publisher {
    /// Opens the writer's lexical index if necessary. Returns the sequence number that the index has applied, or 0 without an index.
    /// For a damaged index the result is `seq`, because the index must not hold back the documents.
    pub(super) fn follow_lexical(&mut self, seq: Seq) -> Result<Seq, StoreError> {
        let path = self.dir.join(crate::store::LEXICAL);
        if let Some(damaged) = &self.damaged_segments {
            // A rebuilt index has none of the damaged segments.
            let is_still_damaged = match &self.lexical {
                Some(lexical) => lexical.has_any_segment(damaged).unwrap_or(false),
                None => false,
            };
            if is_still_damaged {
                return Ok(seq);
            }
            (self.lexical, self.damaged_segments, self.followed_seq) = (None, None, None);
        }
        // Without this file the index does not exist yet, or the writer is creating it.
        if self.lexical.is_none() && path.join("meta.json").exists() {
            match LexicalIndex::open_existing(&path) {
                Ok(lexical) => self.lexical = Some(lexical),
                Err(error) => {
                    self.suspend_if_damaged(Vec::new(), error)?;
                    return Ok(seq);
                }
            }
        }
        self.lexical.as_ref().map_or(Ok(0), LexicalIndex::applied_seq)
    }

    /// Takes a view of the last commit of the lexical index.
    pub(super) fn refresh_view(&mut self) -> Result<(), StoreError> {
        let Some(lexical) = self.lexical.as_ref().filter(|_| self.damaged_segments.is_none()) else {
            return Ok(());
        };
        match lexical.view() {
            Ok(view) => self.view = Some(view),
            Err(error) => {
                let segments = lexical.segment_ids()?;
                self.suspend_if_damaged(segments, error)?;
            }
        }
        Ok(())
    }

    /// Suspends the lexical index if `error` means that it is damaged. Returns any other error.
    fn suspend_if_damaged(&mut self, segments: Vec<SegmentId>, error: StoreError) -> Result<(), StoreError> {
        if !error.is_damage() {
            return Err(error);
        }
        tracing::warn!("keyword search is unavailable: {}", ErrorChain(&error));
        self.suspend_lexical(segments);
        Ok(())
    }

    /// Publishes snapshots without a lexical index until it is rebuilt. `segments` are the segments of the damaged index.
    pub(crate) fn suspend_lexical(&mut self, segments: Vec<SegmentId>) {
        self.view = None;
        self.damaged_segments = Some(segments);
    }

    /// Applies the catalog's changes to the lexical index and the documents. A damaged index is rebuilt.
    pub(crate) fn refresh_lexical(&mut self) -> Result<(), StoreError> {
        if self.damaged_segments.is_some() {
            return self.rebuild_lexical();
        }
        let advanced = self.advance_lexical();
        self.rebuild_if_damaged(advanced)
    }

    /// Waits for pending merges, then frees the memory that only writing needs.
    pub(crate) fn close_lexical_writer(&mut self) -> Result<(), StoreError> {
        let closed = self.lexical.as_ref().map_or(Ok(()), LexicalIndex::close_writer);
        self.rebuild_if_damaged(closed)
    }

    fn rebuild_if_damaged(&mut self, outcome: Result<(), StoreError>) -> Result<(), StoreError> {
        match outcome {
            Err(error) if self.is_caused_by_damage(&error) => {
                tracing::warn!("rebuilding the lexical index: {}", ErrorChain(&error));
                self.rebuild_lexical()
            }
            outcome => outcome,
        }
    }

    /// Whether damaged files caused an error of the index writer.
    ///
    /// The error alone is not enough. After one of tantivy's threads has failed, for example on a full disk, other calls return
    /// errors without a cause.
    fn is_caused_by_damage(&self, error: &StoreError) -> bool {
        let files = || self.lexical.as_ref().map(LexicalIndex::damaged_files);
        error.is_lexical_damage()
            && match files() {
                Some(Ok(damaged)) => !damaged.is_empty(),
                Some(Err(error)) => error.is_damage(),
                None => false,
            }
    }

    /// Whether the index still contains segments that were found damaged.
    pub(crate) fn has_damaged(&self, damaged: &[SegmentId]) -> bool {
        let has_any = |lexical: &LexicalIndex| lexical.has_any_segment(damaged).unwrap_or(true);
        self.damaged_segments.is_some() || self.lexical.as_ref().is_none_or(has_any)
    }

    /// Verifies the checksums of the lexical index, unless it is large or known to be damaged.
    pub(crate) fn check_lexical(&self) -> Result<(), StoreError> {
        let lexical = self.lexical.as_ref().filter(|_| self.damaged_segments.is_none());
        lexical.map_or(Ok(()), LexicalIndex::quick_check)
    }

    /// Rebuilds the lexical index from the catalog as one change of the existing index, without reading the old files. Followers
    /// see the old index until the commit.
    pub(crate) fn rebuild_lexical(&mut self) -> Result<(), StoreError> {
        self.suspend_lexical(Vec::new());
        // Close the index before opening it again, because its writer holds a lock.
        self.lexical = None;
        let path = self.dir.join(crate::store::LEXICAL);
        self.lexical = Some(LexicalIndex::open_for_rebuild(&path)?);
        let seq = self.catalog.read(|connection| catalog::seq_at(connection, SEQ))?;
        self.apply_to_lexical(0, seq)?;
        self.damaged_segments = None;
        self.view_commit(seq)
    }

    fn advance_lexical(&mut self) -> Result<(), StoreError> {
        let Some(lexical) = &self.lexical else {
            return Ok(());
        };
        let seq = self.catalog.read(|connection| catalog::seq_at(connection, SEQ))?;
        let mut applied = lexical.applied_seq()?;
        if applied > seq {
            // The index was built from another catalog: this one was restored from a backup, or replaced.
            tracing::warn!(dir = %self.dir.display(), "rebuilding the lexical index: it is ahead of the catalog");
            self.lexical = None;
            let path = self.dir.join(crate::store::LEXICAL);
            fs_err::remove_dir_all(&path)?;
            self.lexical = Some(LexicalIndex::open(&path)?);
            applied = 0;
        }
        if applied < seq {
            self.apply_to_lexical(applied, seq)?;
        }
        if self.view.is_none() || applied < seq {
            self.view_commit(seq)
        } else {
            self.advance_documents(seq)
        }
    }

    /// Commits the changes after `from`, up to and including `to`. With `from` 0, they replace the whole index.
    fn apply_to_lexical(&self, from: Seq, to: Seq) -> Result<(), StoreError> {
        let Some(lexical) = &self.lexical else {
            return Ok(());
        };
        let (retired, added) = self
            .catalog
            .read(|connection| read_changes(connection, from, to))?;
        if retired.is_empty() && added.is_empty() && from > 0 {
            return Ok(());
        }
        let mut change = lexical.change()?;
        if from == 0 {
            change.remove_all()?;
        }
        for document in retired {
            change.remove(document)?;
        }
        let mut damaged = Vec::new();
        for entry in added.iter().filter(|entry| entry.passages > 0) {
            let (rows, are_intact) = self
                .catalog
                .read(|connection| catalog::lexical_rows(connection, entry.id))?;
            if !are_intact {
                damaged.push(entry.id);
            }
            change.add(entry, &rows)?;
        }
        change.commit(to)?;
        self.catalog.mark_for_rereading(&damaged)
    }

    fn view_commit(&mut self, seq: Seq) -> Result<(), StoreError> {
        if let Some(lexical) = &self.lexical {
            self.view = Some(lexical.view()?);
        }
        self.advance_documents(seq)
    }

    /// Applies the catalog's changes up to `seq` to the documents in memory.
    pub(super) fn advance_documents(&mut self, seq: Seq) -> Result<(), StoreError> {
        let from = self.documents.seq;
        if from < seq {
            let (retired, changed) = self.catalog.read(|connection| {
                let (retired, mut changed) = read_changes(connection, from, seq)?;
                changed.extend(catalog::touched_documents(connection, from, seq)?);
                Ok((retired, changed))
            })?;
            self.documents = Arc::new(self.documents.advance(seq, &retired, changed));
        }
        Ok(())
    }
}
