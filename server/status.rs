//! The status of an instance.

use std::path::PathBuf;
use std::time::Duration;

use autorag_embedder::{Kernel, Outage};
use autorag_query::{IndexState, QueryError};
use autorag_store::{Job, ModelIdentity, Reembedding, SourceRoot};

use crate::instance::Instance;

/// What an instance serves, and its progress.
#[derive(Debug)]
pub struct Status {
    /// The folders that documents come from.
    pub sources: Vec<SourceRoot>,
    /// The folder of the index.
    pub data_dir: PathBuf,
    /// The model whose vectors answer.
    pub model: ModelStatus,
    /// A change to another model, with the number of passages to embed.
    pub reembedding: Option<(Reembedding, u64)>,
    /// The running or paused job, unless the index is complete.
    pub job: Option<Job>,
    /// How much is searchable.
    pub index_state: IndexState,
    /// Time since this process opened the index.
    pub uptime: Duration,
}

/// An embedding model and what computes its vectors.
#[derive(Debug)]
pub struct ModelStatus {
    /// The model that the index is made with.
    pub identity: ModelIdentity,
    /// The kernel of the built-in encoder; `None` for other engines.
    pub kernel: Option<Kernel>,
    /// Base URL of the embedding provider; `None` for local models.
    pub provider: Option<String>,
    /// The provider's current outage.
    pub outage: Option<Outage>,
}

impl Instance {
    /// What is indexed, where, with which model, and how far indexing is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn status(&self) -> Result<Status, QueryError> {
        let (store, engine) = (self.store(), self.engine());
        let snapshot = store.snapshot()?;
        let serving = engine.embedder_of(&snapshot);
        // During a change of models, passages may wait for the provider of the next model.
        let embedder = serving.unwrap_or_else(|| engine.embedder());
        let reembedding = store.reembedding()?;
        let (job, index_state) = (store.open_job()?, self.index_state()?);
        Ok(Status {
            sources: store.sources().to_vec(),
            data_dir: store.dir().to_owned(),
            model: ModelStatus {
                identity: snapshot.model().clone(),
                kernel: serving.and_then(|embedder| embedder.kernel()),
                provider: embedder.provider().map(str::to_owned),
                outage: embedder.outage(),
            },
            reembedding: reembedding.map(|reembedding| (reembedding, snapshot.counts().passages)),
            // A job of a complete index has finished its work. Only its end is not recorded yet.
            job: job.filter(|_| !index_state.complete),
            index_state,
            uptime: self.uptime(),
        })
    }
}
