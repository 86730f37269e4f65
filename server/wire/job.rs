//! JSON of jobs.

use autorag_store::{Job, JobCause, JobItem, JobStage, JobState, UnixMs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::document::rfc3339;

/// An update of the index that found changes.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Job)]
pub struct JobWire {
    /// Id of the job. Later jobs have higher ids.
    pub id: u64,
    /// `user` if a user requested the job, `schedule` if autorag started it.
    pub source: &'static str,
    /// Why the job exists: `command`, `start`, `change`, `schedule` or `request`.
    pub cause: &'static str,
    /// Description given with the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// State: `running`, `paused`, `completed`, `failed`, `cancelled` or `interrupted`.
    pub state: &'static str,
    /// Start time, RFC 3339.
    pub started_at: String,
    /// Time of the last progress report, RFC 3339.
    pub last_seen_at: String,
    /// End time, RFC 3339. Absent until the job ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Why the job ended. Absent if it completed normally.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<String>,
    /// Results so far.
    pub counts: JobCountsWire,
    /// Progress. Absent after the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<JobProgressWire>,
    /// Estimated seconds until the end of the stage. Absent until a rate is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u64>,
}

/// Results of a job. Each file counts in one of the first six fields.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = JobCounts)]
pub struct JobCountsWire {
    /// New files, now searchable.
    pub added: u64,
    /// Changed files, now searchable.
    pub changed: u64,
    /// Documents whose file was deleted.
    pub removed: u64,
    /// Files that could not be read or parsed.
    pub failed: u64,
    /// Files skipped on purpose.
    pub skipped: u64,
    /// Unchanged files.
    pub unchanged: u64,
    /// Passages of the added and changed files.
    pub passages: u64,
    /// Passages embedded.
    pub embedded: u64,
}

/// Progress of a job.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = JobProgress)]
pub struct JobProgressWire {
    /// Stage: `scanning`, `indexing` or `embedding`; empty between stages.
    pub stage: &'static str,
    /// New and changed files.
    pub files_to_index: u64,
    /// Files among them that are processed.
    pub files_done: u64,
    /// Passages without an embedding when the stage `embedding` started.
    pub to_embed: u64,
    /// Passages among them that are embedded.
    pub embedded: u64,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<JobWire>,
    /// Pass as `cursor` to get the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// An entry in the log of a job: the result for one file.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = JobLogEntry)]
pub struct JobItemWire {
    /// Id of the entry. Later entries have higher ids.
    pub id: u64,
    /// Time of the entry, RFC 3339.
    pub created_at: String,
    /// Key of the document.
    pub key: String,
    /// Result: `added`, `changed`, `removed`, `failed` or `skipped`.
    pub action: &'static str,
    /// Why the file failed or was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Number of passages of the document.
    pub passages: u64,
    /// Time to read and parse the file, in milliseconds.
    pub milliseconds: u64,
}

/// A page of the log of a job, oldest entry first.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
pub struct JobLogPage {
    /// Entries of the log.
    pub logs: Vec<JobItemWire>,
    /// Pass as `cursor` to get the next page. Null on the last page.
    pub next_cursor: Option<String>,
}

/// A request for a job.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJobBody {
    /// Description to show in the list of jobs, up to 200 characters.
    pub description: Option<String>,
}

/// The requested job.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RequestedJob)]
pub struct NewJobWire {
    /// The new job, or the job that was already open.
    pub job: JobWire,
    /// True if the job was open before the request.
    pub already_open: bool,
}

/// An action on a job.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobActionBody {
    /// `cancel`, `pause` or `resume`.
    pub action: String,
}

impl From<&Job> for JobWire {
    fn from(job: &Job) -> JobWire {
        let (counts, progress) = (job.counts, job.progress);
        JobWire {
            id: job.id.0,
            source: match job.cause {
                JobCause::Command | JobCause::Request => "user",
                JobCause::Start | JobCause::Change | JobCause::Schedule => "schedule",
            },
            cause: job.cause.as_str(),
            description: job.description.clone(),
            state: job.state.as_str(),
            started_at: time_of(job.started_at),
            last_seen_at: time_of(job.last_seen_at),
            ended_at: job.ended_at.map(time_of),
            end_reason: job.end_reason.clone(),
            counts: JobCountsWire {
                added: counts.added,
                changed: counts.changed,
                removed: counts.removed,
                failed: counts.failed,
                skipped: counts.skipped,
                unchanged: counts.unchanged,
                passages: counts.passages,
                embedded: counts.embedded,
            },
            progress: job.state.is_open().then_some(JobProgressWire {
                stage: progress.stage.map_or("", JobStage::as_str),
                files_to_index: progress.files_to_index,
                files_done: progress.files_done,
                to_embed: progress.to_embed,
                embedded: progress.embedded,
            }),
            eta_seconds: progress.eta_seconds.filter(|_| job.state == JobState::Running),
        }
    }
}

impl From<&JobItem> for JobItemWire {
    fn from(line: &JobItem) -> JobItemWire {
        JobItemWire {
            id: line.id,
            created_at: time_of(line.at),
            key: line.item.key.to_string(),
            action: line.item.action.as_str(),
            reason: line.item.reason.clone(),
            passages: line.item.passages,
            milliseconds: line.item.milliseconds,
        }
    }
}

fn time_of(UnixMs(ms): UnixMs) -> String {
    rfc3339(ms.saturating_mul(1_000_000))
}
