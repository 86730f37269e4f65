//! Jobs on the wire.

use autorag_store::{Job, JobCause, JobItem, JobState, UnixMs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::document::rfc3339;

/// An update of the index that found something to do.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = Job)]
pub struct JobWire {
    /// Its number; later jobs have greater ones.
    pub id: u64,
    /// `user` where someone asked for it, `schedule` where the program began it by itself.
    pub source: &'static str,
    /// `command`, `start`, `change`, `schedule` or `request`.
    pub cause: &'static str,
    /// What whoever asked for it calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `running`, `paused`, `completed`, `failed`, `cancelled` or `interrupted`.
    pub state: &'static str,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// When it was last seen at work, RFC 3339.
    pub last_seen_at: String,
    /// When it ended, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Why it ended, where there is more to say than that it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<String>,
    /// What it has done.
    pub counts: JobCountsWire,
    /// How far it is, until it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<JobProgressWire>,
    /// Seconds until the end of its stage at the rate so far, where there is a rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u64>,
}

/// What a job has done. A file is in one of the first six.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = JobCounts)]
pub struct JobCountsWire {
    /// Files that are new and searchable.
    pub added: u64,
    /// Files that are searchable in a new form.
    pub changed: u64,
    /// Documents whose file is gone.
    pub removed: u64,
    /// Files that could not be read or parsed.
    pub failed: u64,
    /// Files left out on purpose.
    pub skipped: u64,
    /// Files as they were.
    pub unchanged: u64,
    /// Passages of the files added and changed.
    pub passages: u64,
    /// Passages that got a vector.
    pub embedded: u64,
}

/// How far a job is.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = JobProgress)]
pub struct JobProgressWire {
    /// `scanning`, `indexing` or `embedding`; empty where it is at none of them.
    pub stage: &'static str,
    /// Files that are new or have changed.
    pub files_to_index: u64,
    /// Of those, files that have been dealt with.
    pub files_done: u64,
    /// Passages that had no vector when embedding began.
    pub to_embed: u64,
    /// Of those, passages that have one now.
    pub embedded: u64,
}

/// Jobs, newest first.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<JobWire>,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next_cursor: Option<String>,
}

/// What became of a file in a job.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
#[schema(as = JobLogEntry)]
pub struct JobItemWire {
    /// Its number; later lines have greater ones.
    pub id: u64,
    /// When it was written, RFC 3339.
    pub created_at: String,
    /// Key of the document.
    pub key: String,
    /// `added`, `changed`, `removed`, `failed` or `skipped`.
    pub action: &'static str,
    /// Why it failed or was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many passages it has now.
    pub passages: u64,
    /// Time spent on reading and parsing it.
    pub milliseconds: u64,
}

/// A job's log, in the order it was written.
#[derive(Debug, Clone, Serialize, ToSchema, JsonSchema)]
pub struct JobLogPage {
    /// Its lines.
    pub logs: Vec<JobItemWire>,
    /// Pass as `cursor` for the next page; absent on the last.
    pub next_cursor: Option<String>,
}

/// What to look through the folders for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJobBody {
    /// What to call it in the list of jobs, up to 200 characters.
    pub description: Option<String>,
}

/// The job that was asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = RequestedJob)]
pub struct NewJobWire {
    /// The job; where one was open already, that one.
    pub job: JobWire,
    /// Whether it was open before it was asked for.
    pub already_open: bool,
}

/// What to ask of a job.
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
                stage: progress.stage,
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
