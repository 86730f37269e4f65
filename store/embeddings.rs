//! Giving passages their vectors: of the model that serves, and of the one that is to take its place.

use crate::catalog::{self, Codes};
use crate::publish::Publisher;
use crate::vectors::quantize;
use crate::{ContentHash, PassageId, PendingPassage, Reembedding, Store, StoreError};

impl Store {
    /// Live passages that wait for a vector, newest first; those before the number `before`, where it is given.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn pending_embeddings(
        &self,
        before: Option<PassageId>,
        limit: usize,
    ) -> Result<Vec<PendingPassage>, StoreError> {
        self.intact(|connection| catalog::pending(connection, before, limit))
    }

    /// Keeps embeddings by the hash of the text they are of, for every passage that has it. How many passages got theirs.
    ///
    /// # Errors
    /// [`StoreError::Dimensions`] where a vector is not the model's; otherwise when the catalog cannot be written.
    pub fn put_embeddings(&self, embeddings: &[(ContentHash, Vec<f32>)]) -> Result<usize, StoreError> {
        let expected = self.published.current().model().dimensions;
        let coded = coded(embeddings, expected)?;
        self.catalog().write(|transaction| {
            let marked = catalog::put_embeddings(transaction, &coded)?;
            if let Some(job) = self.current_job() {
                catalog::count_embedded(transaction, job, marked)?;
            }
            Ok(marked)
        })
    }

    /// Brings the vectors up to the catalog and publishes the state.
    ///
    /// # Errors
    /// When the file of vectors cannot be written.
    pub fn refresh_vectors(&self) -> Result<(), StoreError> {
        self.publish(Publisher::refresh_vectors)
    }

    /// The model that is to take the place of the one whose vectors are searched, and how far it is.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn reembedding(&self) -> Result<Option<Reembedding>, StoreError> {
        self.catalog().read(|connection| {
            let Some(model) = catalog::next(connection)? else {
                return Ok(None);
            };
            let done = catalog::ready_for_next(connection)?;
            Ok(Some(Reembedding { model, done }))
        })
    }

    /// Live passages that wait for an embedding of the next model, as [`Store::pending_embeddings`] has it.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn pending_for_next_model(
        &self,
        before: Option<PassageId>,
        limit: usize,
    ) -> Result<Vec<PendingPassage>, StoreError> {
        self.intact(|connection| catalog::pending_next(connection, before, limit))
    }

    /// What `read` finds when all of it is as it was written. Documents that are not are left to the next run, with all they have.
    fn intact(
        &self,
        read: impl Fn(&rusqlite::Connection) -> rusqlite::Result<catalog::Pending>,
    ) -> Result<Vec<PendingPassage>, StoreError> {
        loop {
            let (pending, damaged) = self.catalog().read(&read)?;
            if damaged.is_empty() {
                return Ok(pending);
            }
            self.catalog().doubt(&damaged)?;
        }
    }

    /// Keeps embeddings of the next model, `dimensions` long.
    ///
    /// # Errors
    /// [`StoreError::Dimensions`] where a vector is not the model's; otherwise when the catalog cannot be written.
    pub fn put_next_model_embeddings(
        &self,
        embeddings: &[(ContentHash, Vec<f32>)],
        dimensions: usize,
    ) -> Result<(), StoreError> {
        let coded = coded(embeddings, dimensions)?;
        self.catalog().write(|transaction| {
            catalog::put_next(transaction, &coded)?;
            if let Some(job) = self.current_job() {
                catalog::count_embedded(transaction, job, coded.len())?;
            }
            Ok(())
        })
    }

    /// Puts the next model in the place of the one whose vectors are searched: in one transaction, and in one publication. What was
    /// embedded with the other is kept until vectors are compacted, so that going back is free.
    ///
    /// # Errors
    /// When something cannot be written; the other model serves on then, or at the latest from the next opening this one does.
    pub fn promote(&self) -> Result<(), StoreError> {
        self.publish(Publisher::promote)
    }
}

/// Embeddings as they are kept.
fn coded(
    embeddings: &[(ContentHash, Vec<f32>)],
    expected: usize,
) -> Result<Vec<(ContentHash, Codes)>, StoreError> {
    let mut coded = Vec::with_capacity(embeddings.len());
    for (hash, vector) in embeddings {
        if vector.len() != expected {
            let found = vector.len();
            return Err(StoreError::Dimensions { found, expected });
        }
        let (scale, codes) = quantize(vector);
        let codes = codes.iter().map(|&code| code as u8).collect();
        coded.push((*hash, Codes { scale, codes }));
    }
    Ok(coded)
}
