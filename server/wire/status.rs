//! What is indexed and how far it is, on the wire.

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

/// What this process serves.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Status)]
pub struct StatusWire {
    /// Version of autorag.
    pub version: &'static str,
    /// The folders that documents come from.
    pub sources: Vec<SourceWire>,
    /// Where the index lives.
    pub data_dir: String,
    /// The embedding model.
    pub model: ModelWire,
    /// The model that is to take its place, while passages are embedded anew with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reembedding: Option<ReembeddingWire>,
    /// The job that is under way or paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobWire>,
    /// How much of the corpus is searchable.
    pub index_state: IndexStateWire,
    /// Seconds since this process opened the index.
    pub uptime_s: u64,
}

/// A folder that documents come from.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Source)]
pub struct SourceWire {
    /// First component of its keys, where there are several folders.
    pub name: Option<String>,
    /// The folder.
    pub path: String,
}

/// The embedding model.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Model)]
pub struct ModelWire {
    /// Name.
    pub id: String,
    /// Changes where vectors of before cannot be compared with new ones: a hash of the weights, or for a remote model of its name
    /// and settings.
    pub version: String,
    /// Length of a vector.
    pub dimensions: usize,
    /// The kernel that this CPU runs it with, where this program computes the vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<String>,
    /// Address of the process that computes the vectors, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What is wrong with that process, if something is: searches are by words then, and new passages wait for their vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outage: Option<OutageWire>,
}

/// A process that does not give vectors.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Outage)]
pub struct OutageWire {
    /// When this process noticed it first, RFC 3339.
    pub since: String,
    /// What is wrong, as last seen.
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

/// A change of models under way. Until it ends, the other model's vectors answer.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Reembedding)]
pub struct ReembeddingWire {
    /// Name of the model that is to serve.
    pub model: String,
    /// Its version.
    pub version: String,
    /// Passages that have their vector of it.
    pub done: u64,
    /// All passages.
    pub passages: u64,
}

/// How much of the corpus an answer can see. "Nothing found" means little while `complete` is false.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = IndexState)]
pub struct IndexStateWire {
    /// `opening`, `scanning`, `indexing`, `embedding`, `ready`, `paused`, `incomplete` or `failed`.
    pub phase: &'static str,
    /// Whether every file of the last walk is searchable by both retrievers.
    pub complete: bool,
    /// Documents with text.
    pub documents: u64,
    /// Their passages, all searchable by BM25.
    pub passages: u64,
    /// Passages that have a vector.
    pub embedded: u64,
    /// Passages still waiting for one.
    pub pending: u64,
    /// Files that could not be read or parsed.
    pub errors: u64,
    /// Files left out on purpose.
    pub skipped: u64,
    /// Files found by the run under way, or by the last one.
    pub files_seen: u64,
    /// When the last complete run ended, RFC 3339.
    pub last_run: Option<String>,
    /// Why the last run failed.
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
