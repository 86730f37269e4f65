//! `/v1/jobs`: listing, requesting and controlling jobs.

#![expect(
    unused_qualifications,
    reason = "utoipa's macro writes paths that are in scope already"
)]

use autorag_store::{ErrorChain, JobId, UnknownVariant};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::AppState;
use super::error::ApiError;
use super::extract::{Body, Query, page_length};
use crate::error_kind::ErrorKind;
use crate::hint::{Interface, with_hint};
use crate::instance::Instance;
use crate::jobs::{JobAction, JobError};
use crate::wire::{
    ErrorBody, JobActionBody, JobItemWire, JobLogPage, JobPage, JobWire, NewJobBody, NewJobWire,
};

/// Maximum length of a description, in characters.
const MAX_DESCRIPTION: usize = 200;

/// A page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageParams {
    /// Number of entries, 1 to 1000; default 100.
    limit: Option<usize>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

impl PageParams {
    fn parse(&self) -> Result<(usize, Option<u64>), ApiError> {
        let limit = page_length(self.limit)?;
        let cursor = self.cursor.as_deref().map(|cursor| {
            cursor
                .parse()
                .map_err(|_| ApiError::invalid("cursor", "cursor must be next_cursor of the previous page"))
        });
        Ok((limit, cursor.transpose()?))
    }
}

/// List jobs, newest first
///
/// A job is an update of the index that found changes. The last 100 jobs are kept.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    operation_id = "list_jobs",
    tag = "jobs",
    params(PageParams),
    responses(
        (status = 200, description = "A page of jobs", body = JobPage),
        (status = 400, description = "A parameter is invalid; `field` names it", body = ErrorBody),
    )
)]
pub(super) async fn list(
    State(state): State<AppState>,
    Query(params): Query<PageParams>,
) -> Result<Json<JobPage>, ApiError> {
    let (limit, before) = params.parse()?;
    // One more than the page shows whether there is a next page.
    let jobs = run(&state, move |instance| {
        instance.jobs(before.map(JobId), limit + 1)
    })
    .await?;
    Ok(Json(JobPage {
        next_cursor: (jobs.len() > limit).then(|| jobs[limit - 1].id.to_string()),
        jobs: jobs.iter().take(limit).map(JobWire::from).collect(),
    }))
}

/// Get a job
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    operation_id = "read_job",
    tag = "jobs",
    params(("id" = u64, Path, description = "Id of the job")),
    responses(
        (status = 200, description = "The job", body = JobWire),
        (status = 404, description = "No such job, or it was deleted because of its age", body = ErrorBody),
    )
)]
pub(super) async fn read(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<JobWire>, ApiError> {
    let id = parse_id(&id)?;
    let job = run(&state, move |instance| instance.job(id)).await?;
    Ok(Json(JobWire::from(&job)))
}

/// List the log of a job
///
/// The log has one entry for each changed file, in the order of processing. Unchanged files are not listed.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/logs",
    operation_id = "list_job_logs",
    tag = "jobs",
    params(("id" = u64, Path, description = "Id of the job"), PageParams),
    responses(
        (status = 200, description = "A page of the log", body = JobLogPage),
        (status = 400, description = "A parameter is invalid; `field` names it", body = ErrorBody),
        (status = 404, description = "No such job, or it was deleted because of its age", body = ErrorBody),
    )
)]
pub(super) async fn logs(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(params): Query<PageParams>,
) -> Result<Json<JobLogPage>, ApiError> {
    let id = parse_id(&id)?;
    let (limit, after) = params.parse()?;
    let items = run(&state, move |instance| instance.job_items(id, after, limit + 1)).await?;
    Ok(Json(JobLogPage {
        next_cursor: (items.len() > limit).then(|| items[limit - 1].id.to_string()),
        logs: items.iter().take(limit).map(JobItemWire::from).collect(),
    }))
}

/// Request a job
///
/// Starts an update of the index now. If a job is already open, returns that job.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    operation_id = "create_job",
    tag = "jobs",
    request_body = NewJobBody,
    responses(
        (status = 202, description = "The new job, or the job that was already open", body = NewJobWire),
        (status = 400, description = "A field is invalid; `field` names it", body = ErrorBody),
        (status = 409, description = "Indexing is paused, or another process updates the index", body = ErrorBody),
    )
)]
pub(super) async fn create(
    State(state): State<AppState>,
    Body(body): Body<NewJobBody>,
) -> Result<(StatusCode, Json<NewJobWire>), ApiError> {
    let description = body.description.filter(|text| !text.trim().is_empty());
    if description
        .as_ref()
        .is_some_and(|text| text.chars().count() > MAX_DESCRIPTION)
    {
        let message = format!("description is longer than {MAX_DESCRIPTION} characters");
        return Err(ApiError::invalid("description", message));
    }
    let (job, already_open) = run(&state, move |instance| {
        instance.request_job(description.as_deref())
    })
    .await?;
    let job = JobWire::from(&job);
    Ok((StatusCode::ACCEPTED, Json(NewJobWire { job, already_open })))
}

/// Cancel, pause or resume a job
///
/// The action takes effect within a second or so. Get the job again to see its new state.
#[utoipa::path(
    patch,
    path = "/v1/jobs/{id}",
    operation_id = "control_job",
    tag = "jobs",
    params(("id" = u64, Path, description = "Id of the job")),
    request_body = JobActionBody,
    responses(
        (status = 202, description = "The job as it was before the action", body = JobWire),
        (status = 400, description = "A field is invalid; `field` names it", body = ErrorBody),
        (status = 404, description = "No such job, or it was deleted because of its age", body = ErrorBody),
        (status = 409, description = "The job has already ended", body = ErrorBody),
    )
)]
pub(super) async fn change(
    State(state): State<AppState>,
    Path(id): Path<String>,
    Body(body): Body<JobActionBody>,
) -> Result<(StatusCode, Json<JobWire>), ApiError> {
    let id = parse_id(&id)?;
    let action: JobAction = body
        .action
        .parse()
        .map_err(|error: UnknownVariant| ApiError::invalid("action", error.to_string()))?;
    let job = run(&state, move |instance| instance.control_job(id, action)).await?;
    Ok((StatusCode::ACCEPTED, Json(JobWire::from(&job))))
}

async fn run<T: Send + 'static>(
    state: &AppState,
    work: impl FnOnce(&Instance) -> Result<T, JobError> + Send + 'static,
) -> Result<T, ApiError> {
    Ok(state.instance.run(move |instance| Ok(work(instance))).await??)
}

fn parse_id(id: &str) -> Result<JobId, ApiError> {
    id.parse().map_err(|_| {
        let message = format!("there is no job {id:?}; job ids are numbers");
        ApiError::new(ErrorKind::NotFound, message)
    })
}

impl From<JobError> for ApiError {
    fn from(error: JobError) -> ApiError {
        let kind = error.kind();
        if kind == ErrorKind::Internal {
            tracing::error!("{}", ErrorChain(&error));
        }
        ApiError::new(kind, with_hint(&error, Interface::Http))
    }
}
