//! JSON of the status.

use autorag_embedder::Outage;
use autorag_query::IndexState;
use autorag_store::SourceRoot;
use schemars::JsonSchema;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;

use super::JobWire;
use crate::status::Status;

/// What this process serves, and its progress.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Status)]
pub struct StatusWire {
    /// Version of autorag.
    pub version: &'static str,
    /// The folders that documents come from.
    pub sources: Vec<SourceWire>,
    /// Folder of the index.
    pub data_dir: String,
    /// The embedding model.
    pub model: ModelWire,
    /// Change to another model. Absent if none is in progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reembedding: Option<ReembeddingWire>,
    /// The running or paused job. Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobWire>,
    /// How much is searchable.
    pub index_state: IndexStateWire,
    /// Seconds since this process opened the index.
    pub uptime_s: u64,
}

/// A folder that documents come from.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Source)]
pub struct SourceWire {
    /// First path component of the folder's keys. Null with a single folder.
    pub name: Option<String>,
    /// Path of the folder.
    pub path: String,
}

/// The embedding model.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Model)]
pub struct ModelWire {
    /// Name of the model.
    pub id: String,
    /// Version of the model. Vectors of different versions are not comparable. A hash of the weights, or for a remote model of its
    /// name and settings.
    pub version: String,
    /// Number of dimensions of a vector.
    pub dimensions: usize,
    /// Kernel of the built-in encoder on this CPU. Absent for other engines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Base URL of the embedding provider. Absent for local models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Current outage of the provider. Until it ends, searches use keywords only, and new passages wait for their embeddings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outage: Option<OutageWire>,
}

/// An outage of the embedding provider.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Outage)]
pub struct OutageWire {
    /// When this process noticed the outage, RFC 3339.
    pub since: String,
    /// The latest failure.
    pub reason: String,
}

impl From<Outage> for OutageWire {
    fn from(outage: Outage) -> OutageWire {
        let since = OffsetDateTime::from(outage.since).replace_nanosecond(0);
        OutageWire {
            since: since
                .ok()
                .and_then(|time| time.format(&Rfc3339).ok())
                .unwrap_or_default(),
            reason: outage.reason,
        }
    }
}

/// A change of models in progress. The vectors of the old model serve until all passages are re-embedded.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Reembedding)]
pub struct ReembeddingWire {
    /// Name of the new model.
    pub model: String,
    /// Version of the new model.
    pub version: String,
    /// Passages embedded with the new model.
    pub done: u64,
    /// All passages.
    pub passages: u64,
}

/// How much of the corpus is searchable. While `complete` is false, an empty result may mean "not indexed yet".
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = IndexState)]
pub struct IndexStateWire {
    /// Phase: `opening`, `scanning`, `indexing`, `embedding`, `ready`, `paused`, `incomplete` or `failed`.
    pub phase: &'static str,
    /// True if every file of the last run is searchable by both retrievers.
    pub complete: bool,
    /// Documents with text.
    pub documents: u64,
    /// Passages, all of them searchable by keywords.
    pub passages: u64,
    /// Passages that are embedded.
    pub embedded: u64,
    /// Passages that wait for their embedding.
    pub pending: u64,
    /// Files that could not be read or parsed.
    pub errors: u64,
    /// Files skipped on purpose.
    pub skipped: u64,
    /// Files seen by the current run, or by the last run if none is in progress.
    pub files_seen: u64,
    /// End of the last successful run, RFC 3339.
    pub last_run: Option<String>,
    /// Why the last run failed. Absent if it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl From<Status> for StatusWire {
    fn from(status: Status) -> StatusWire {
        let model = status.model;
        StatusWire {
            version: env!("CARGO_PKG_VERSION"),
            sources: status.sources.iter().map(SourceWire::from).collect(),
            data_dir: status.data_dir.display().to_string(),
            model: ModelWire {
                id: model.identity.id,
                version: model.identity.version,
                dimensions: model.identity.dimensions,
                kernel: model.kernel.map(|kernel| kernel.to_string()),
                provider: model.provider,
                outage: model.outage.map(OutageWire::from),
            },
            reembedding: status.reembedding.map(|(reembedding, passages)| ReembeddingWire {
                model: reembedding.model.id,
                version: reembedding.model.version,
                done: reembedding.done,
                passages,
            }),
            job: status.job.as_ref().map(JobWire::from),
            index_state: status.index_state.into(),
            uptime_s: status.uptime.as_secs(),
        }
    }
}

impl From<&SourceRoot> for SourceWire {
    fn from(source: &SourceRoot) -> SourceWire {
        SourceWire {
            name: source.name.clone(),
            path: source.path.display().to_string(),
        }
    }
}

impl From<IndexState> for IndexStateWire {
    fn from(state: IndexState) -> IndexStateWire {
        IndexStateWire {
            phase: state.phase.as_str(),
            complete: state.complete,
            documents: state.documents,
            passages: state.passages,
            embedded: state.embedded,
            pending: state.pending,
            errors: state.errors,
            skipped: state.skipped,
            files_seen: state.files_seen,
            last_run: state.last_run,
            failure: state.failure,
        }
    }
}
