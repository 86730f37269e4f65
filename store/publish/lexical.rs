//! The lexical index along the history of the catalog: kept up, followed, and made anew where it is found damaged while the store is
//! open.

use std::sync::Arc;

use tantivy::index::SegmentId;

use super::{Publisher, changes};
use crate::catalog::{self, SEQ};
use crate::lexical::LexicalIndex;
use crate::{ErrorChain, Seq, StoreError};

impl Publisher {
    /// How far the lexical index is that the writer keeps; 0 while there is none. One that is damaged holds up nothing: documents are
    /// followed to `seq` then.
    pub(super) fn follow_lexical(&mut self, seq: Seq) -> Result<Seq, StoreError> {
        let path = self.dir.join(crate::store::LEXICAL);
        if let Some(damaged) = &self.damaged {
            // Made anew, it has none of them.
            let is_as_it_was = match &self.lexical {
                Some(lexical) => lexical.has_any_segment(damaged).unwrap_or(false),
                None => false,
            };
            if is_as_it_was {
                return Ok(seq);
            }
            (self.lexical, self.damaged, self.followed) = (None, None, None);
        }
        // Not there yet, or just being made: there is nothing to find then.
        if self.lexical.is_none() && path.join("meta.json").exists() {
            match LexicalIndex::open_existing(&path) {
                Ok(lexical) => self.lexical = Some(lexical),
                Err(error) => {
                    self.set_aside(Vec::new(), error)?;
                    return Ok(seq);
                }
            }
        }
        self.lexical.as_ref().map_or(Ok(0), LexicalIndex::applied_seq)
    }

    /// Sees the last commit of the lexical index.
    pub(super) fn view_lexical(&mut self) -> Result<(), StoreError> {
        let Some(lexical) = self.lexical.as_ref().filter(|_| self.damaged.is_none()) else {
            return Ok(());
        };
        match lexical.view() {
            Ok(view) => self.view = Some(view),
            Err(error) => {
                let segments = lexical.segment_ids()?;
                self.set_aside(segments, error)?;
            }
        }
        Ok(())
    }

    /// Goes on without the lexical index, where the error says that it is damaged.
    fn set_aside(&mut self, segments: Vec<SegmentId>, error: StoreError) -> Result<(), StoreError> {
        if !error.is_damage() {
            return Err(error);
        }
        tracing::warn!("words cannot be searched: {}", ErrorChain(&error));
        self.lexical_is_damaged(segments);
        Ok(())
    }

    /// Has queries see no lexical index until it is made anew, or another one is found.
    pub(crate) fn lexical_is_damaged(&mut self, segments: Vec<SegmentId>) {
        self.view = None;
        self.damaged = Some(segments);
    }

    /// Brings the lexical index and the documents up to the catalog. An index that is found damaged is made anew.
    pub(crate) fn refresh_lexical(&mut self) -> Result<(), StoreError> {
        if self.damaged.is_some() {
            return self.rebuild_lexical();
        }
        match self.advance_lexical() {
            Err(error) if self.is_lexical_damaged(&error) => {
                tracing::warn!("the lexical index is made anew: {}", ErrorChain(&error));
                self.rebuild_lexical()
            }
            advanced => advanced,
        }
    }

    /// Gives back what only writing needs. Merges that are still going on are waited for.
    pub(crate) fn rest(&mut self) -> Result<(), StoreError> {
        match self.lexical.as_ref().map_or(Ok(()), LexicalIndex::close_writer) {
            Err(error) if self.is_lexical_damaged(&error) => {
                tracing::warn!("the lexical index is made anew: {}", ErrorChain(&error));
                self.rebuild_lexical()
            }
            rested => rested,
        }
    }

    /// Whether an error of the writer comes of damaged files. Its message alone does not tell: a thread of tantivy's that could not
    /// write, on a full disk say, leaves others with errors that name no cause.
    fn is_lexical_damaged(&self, error: &StoreError) -> bool {
        let files = || self.lexical.as_ref().map(LexicalIndex::damaged_files);
        error.is_lexical_damage()
            && match files() {
                Some(Ok(damaged)) => !damaged.is_empty(),
                Some(Err(error)) => error.is_damage(),
                None => false,
            }
    }

    /// Whether segments that were found damaged are still those that words are searched in.
    pub(crate) fn has_damaged(&self, damaged: &[SegmentId]) -> bool {
        let has_any = |lexical: &LexicalIndex| lexical.has_any_segment(damaged).unwrap_or(true);
        self.damaged.is_some() || self.lexical.as_ref().is_none_or(has_any)
    }

    /// An error where the lexical index is not what was written.
    pub(crate) fn verify_lexical(&self) -> Result<(), StoreError> {
        let lexical = self.lexical.as_ref().filter(|_| self.damaged.is_none());
        lexical.map_or(Ok(()), LexicalIndex::quick_check)
    }

    /// Makes the lexical index anew from the catalog, over the one that is there: its files are not read, and whoever follows sees
    /// it until the new one is whole.
    pub(crate) fn rebuild_lexical(&mut self) -> Result<(), StoreError> {
        self.lexical_is_damaged(Vec::new());
        // Its writer holds a lock.
        self.lexical = None;
        self.lexical = Some(LexicalIndex::open_for_rebuild(
            &self.dir.join(crate::store::LEXICAL),
        )?);
        let seq = self.catalog.read(|connection| catalog::seq_at(connection, SEQ))?;
        self.write_changes(0, seq)?;
        self.damaged = None;
        self.view_written(seq)
    }

    fn advance_lexical(&mut self) -> Result<(), StoreError> {
        let Some(lexical) = &self.lexical else {
            return Ok(());
        };
        let seq = self.catalog.read(|connection| catalog::seq_at(connection, SEQ))?;
        let mut applied = lexical.applied_seq()?;
        if applied > seq {
            // An index ahead of the truth belongs to a catalog that was put back or lost.
            tracing::warn!(dir = %self.dir.display(), "the lexical index is rebuilt: it is ahead of the catalog");
            self.lexical = None;
            let path = self.dir.join(crate::store::LEXICAL);
            fs_err::remove_dir_all(&path)?;
            self.lexical = Some(LexicalIndex::open(&path)?);
            applied = 0;
        }
        if applied < seq {
            self.write_changes(applied, seq)?;
        }
        match self.view.is_none() || applied < seq {
            true => self.view_written(seq),
            false => self.move_documents(seq),
        }
    }

    /// Commits what came and went between two points of the history; from 0 on, in the place of all there is.
    fn write_changes(&self, from: Seq, to: Seq) -> Result<(), StoreError> {
        let Some(lexical) = &self.lexical else {
            return Ok(());
        };
        let (retired, added) = self.catalog.read(|connection| changes(connection, from, to))?;
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
        self.catalog.doubt(&damaged)
    }

    fn view_written(&mut self, seq: Seq) -> Result<(), StoreError> {
        if let Some(lexical) = &self.lexical {
            self.view = Some(lexical.view()?);
        }
        self.move_documents(seq)
    }

    pub(super) fn move_documents(&mut self, seq: Seq) -> Result<(), StoreError> {
        let from = self.documents.seq;
        if from < seq {
            let (retired, changed) = self.catalog.read(|connection| {
                let (retired, mut changed) = changes(connection, from, seq)?;
                changed.extend(catalog::touched(connection, from, seq)?);
                Ok((retired, changed))
            })?;
            self.documents = Arc::new(self.documents.after(seq, &retired, changed));
        }
        Ok(())
    }
}
