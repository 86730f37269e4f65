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

/// Longest description, in characters.
const LONGEST: usize = 200;

/// Which part of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageParams {
    /// How many, 1 to 1000; 100 where not said.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl PageParams {
    fn parse(&self) -> Result<(usize, Option<u64>), ApiError> {
        let limit = page_length(self.limit)?;
        let cursor = self.cursor.as_deref().map(|cursor| {
            cursor
                .parse()
                .map_err(|_| ApiError::invalid("cursor", "cursor is none that this list gave"))
        });
        Ok((limit, cursor.transpose()?))
    }
}

/// Lists jobs, newest first: updates of the index that found something to do. The last 100 are kept.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    operation_id = "list_jobs",
    tag = "jobs",
    params(PageParams),
    responses(
        (status = 200, description = "A page of jobs", body = JobPage),
        (status = 400, description = "A parameter is wrong; `field` names it", body = ErrorBody),
    )
)]
pub(super) async fn list(
    State(state): State<AppState>,
    Query(params): Query<PageParams>,
) -> Result<Json<JobPage>, ApiError> {
    let (limit, before) = params.parse()?;
    // One more than the page holds tells whether another page follows.
    let jobs = run(&state, move |instance| {
        instance.jobs(before.map(JobId), limit + 1)
    })
    .await?;
    Ok(Json(JobPage {
        next_cursor: (jobs.len() > limit).then(|| jobs[limit - 1].id.to_string()),
        jobs: jobs.iter().take(limit).map(JobWire::from).collect(),
    }))
}

/// Says how far a job is, or how it ended.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    operation_id = "read_job",
    tag = "jobs",
    params(("id" = u64, Path, description = "The job's number")),
    responses(
        (status = 200, description = "The job", body = JobWire),
        (status = 404, description = "There is no such job, or it was forgotten", body = ErrorBody),
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

/// Lists what became of each file in a job, in the order it was done. Files that are as they were are not in it.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/logs",
    operation_id = "list_job_logs",
    tag = "jobs",
    params(("id" = u64, Path, description = "The job's number"), PageParams),
    responses(
        (status = 200, description = "A page of the job's log", body = JobLogPage),
        (status = 400, description = "A parameter is wrong; `field` names it", body = ErrorBody),
        (status = 404, description = "There is no such job, or it was forgotten", body = ErrorBody),
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

/// Has the folders looked through now, without waiting for a change or the next regular walk.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    operation_id = "create_job",
    tag = "jobs",
    request_body = NewJobBody,
    responses(
        (status = 202, description = "The job, or the one that was open already", body = NewJobWire),
        (status = 400, description = "A field is wrong; `field` names it", body = ErrorBody),
        (status = 409, description = "Indexing is paused, or another process's business", body = ErrorBody),
    )
)]
pub(super) async fn create(
    State(state): State<AppState>,
    Body(body): Body<NewJobBody>,
) -> Result<(StatusCode, Json<NewJobWire>), ApiError> {
    let description = body.description.filter(|text| !text.trim().is_empty());
    if description
        .as_ref()
        .is_some_and(|text| text.chars().count() > LONGEST)
    {
        let message = format!("description has more than {LONGEST} characters");
        return Err(ApiError::invalid("description", message));
    }
    let (job, already_open) = run(&state, move |instance| {
        instance.request_job(description.as_deref())
    })
    .await?;
    let job = JobWire::from(&job);
    Ok((StatusCode::ACCEPTED, Json(NewJobWire { job, already_open })))
}

/// Ends a job, has indexing rest, or has it go on. It is noticed within a second or so; ask for the job to see.
#[utoipa::path(
    patch,
    path = "/v1/jobs/{id}",
    operation_id = "control_job",
    tag = "jobs",
    params(("id" = u64, Path, description = "The job's number")),
    request_body = JobActionBody,
    responses(
        (status = 202, description = "The job as it was when this was asked", body = JobWire),
        (status = 400, description = "A field is wrong; `field` names it", body = ErrorBody),
        (status = 404, description = "There is no such job, or it was forgotten", body = ErrorBody),
        (status = 409, description = "It has ended", body = ErrorBody),
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
