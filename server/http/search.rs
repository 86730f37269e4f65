//! `POST /v1/search`.

use autorag_query::Request;
use axum::Json;
use axum::extract::State;

use super::AppState;
use super::error::ApiError;
use super::extract::Body;
use crate::instance_handle::InstanceError;
use crate::wire::{AnswerWire, ErrorBody, SearchBody};

/// Search for passages that answer a question
#[utoipa::path(
    post,
    path = "/v1/search",
    operation_id = "search",
    tag = "search",
    request_body = SearchBody,
    responses(
        (status = 200, description = "Hits, best first", body = AnswerWire),
        (status = 400, description = "A field is invalid; `field` names it", body = ErrorBody),
        (status = 503, description = "The index is being opened, or too many requests are in progress", body = ErrorBody),
    )
)]
pub(super) async fn search(
    State(state): State<AppState>,
    Body(body): Body<SearchBody>,
) -> Result<Json<AnswerWire>, ApiError> {
    let request = Request::try_from(body).map_err(InstanceError::from)?;
    let answer = state
        .instance
        .run(move |instance| instance.search(&request))
        .await?;
    state.metrics.record_search(&answer);
    Ok(Json(AnswerWire::from(answer)))
}
