//! Embedding passages: with the serving model, and with the next model that will replace it.

use crate::catalog::{self, QuantizedEmbedding};
use crate::publish::Publisher;
use crate::vectors::quantize;
use crate::{ContentHash, PassageId, PendingPassage, Reembedding, Store, StoreError};

impl Store {
    /// At most `limit` live passages without a vector and with numbers below `before`, newest first.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn pending_embeddings(
        &self,
        before: Option<PassageId>,
        limit: usize,
    ) -> Result<Vec<PendingPassage>, StoreError> {
        self.read_pending(|connection| catalog::pending(connection, before, limit))
    }

    /// Stores embeddings by the hash of the model's input. Every passage with that hash gets the embedding. Returns the number of
    /// passages.
    ///
    /// # Errors
    /// [`StoreError::Dimensions`] if a vector has the wrong length. Any other error means that the catalog cannot be written.
    pub fn put_embeddings(&self, embeddings: &[(ContentHash, Vec<f32>)]) -> Result<usize, StoreError> {
        let expected = self.current.get().model().dimensions;
        let quantized = quantize_all(embeddings, expected)?;
        self.catalog().write(|transaction| {
            let passages = catalog::put_embeddings(transaction, &quantized)?;
            if let Some(job) = self.current_job() {
                catalog::add_embedded(transaction, job, passages)?;
            }
            Ok(passages)
        })
    }

    /// Applies the catalog's changes to the vectors and publishes a snapshot.
    ///
    /// # Errors
    /// When the vector file cannot be written.
    pub fn refresh_vectors(&self) -> Result<(), StoreError> {
        self.publish(Publisher::refresh_vectors)
    }

    /// Progress of re-embedding. `None` if there is no next model.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn reembedding(&self) -> Result<Option<Reembedding>, StoreError> {
        self.catalog().read(|connection| {
            let Some(model) = catalog::next_model(connection)? else {
                return Ok(None);
            };
            let done = catalog::count_embedded_by_next(connection)?;
            Ok(Some(Reembedding { model, done }))
        })
    }

    /// [`Store::pending_embeddings`] for the next model.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub fn pending_for_next_model(
        &self,
        before: Option<PassageId>,
        limit: usize,
    ) -> Result<Vec<PendingPassage>, StoreError> {
        self.read_pending(|connection| catalog::pending_next(connection, before, limit))
    }

    /// Repeats `read` until its rows are intact. It marks documents with corrupt rows for re-reading, which `read` then leaves
    /// out.
    fn read_pending(
        &self,
        read: impl Fn(&rusqlite::Connection) -> rusqlite::Result<catalog::Pending>,
    ) -> Result<Vec<PendingPassage>, StoreError> {
        loop {
            let (pending, damaged) = self.catalog().read(&read)?;
            if damaged.is_empty() {
                return Ok(pending);
            }
            self.catalog().mark_for_rereading(&damaged)?;
        }
    }

    /// Stores embeddings of the next model. Its vectors have the length `dimensions`.
    ///
    /// # Errors
    /// [`StoreError::Dimensions`] if a vector has the wrong length. Any other error means that the catalog cannot be written.
    pub fn put_next_model_embeddings(
        &self,
        embeddings: &[(ContentHash, Vec<f32>)],
        dimensions: usize,
    ) -> Result<(), StoreError> {
        let quantized = quantize_all(embeddings, dimensions)?;
        self.catalog().write(|transaction| {
            catalog::put_next_embeddings(transaction, &quantized)?;
            if let Some(job) = self.current_job() {
                catalog::add_embedded(transaction, job, quantized.len())?;
            }
            Ok(())
        })
    }

    /// Makes the next model the serving one, in one transaction and one snapshot. The old embeddings stay until the vectors are
    /// compacted, so switching back is free.
    ///
    /// # Errors
    /// When the store cannot be written. The old model then keeps serving until the store is opened again. After that, the new model
    /// may serve.
    pub fn promote(&self) -> Result<(), StoreError> {
        self.publish(Publisher::promote)
    }
}

fn quantize_all(
    embeddings: &[(ContentHash, Vec<f32>)],
    expected: usize,
) -> Result<Vec<(ContentHash, QuantizedEmbedding)>, StoreError> {
    let mut quantized = Vec::with_capacity(embeddings.len());
    for (hash, vector) in embeddings {
        if vector.len() != expected {
            let found = vector.len();
            return Err(StoreError::Dimensions { found, expected });
        }
        let (scale, codes) = quantize(vector);
        let codes = codes.iter().map(|&code| code as u8).collect();
        quantized.push((*hash, QuantizedEmbedding { scale, codes }));
    }
    Ok(quantized)
}
