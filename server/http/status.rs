//! `GET /v1/status`.

use axum::Json;
use axum::extract::State;

use super::AppState;
use super::error::ApiError;
use crate::wire::{ErrorBody, StatusWire};

/// Get the status of the index
///
/// Shows the sources, the model, the current job and the progress.
#[utoipa::path(
    get,
    path = "/v1/status",
    operation_id = "get_status",
    tag = "status",
    responses(
        (status = 200, description = "The status of the index", body = StatusWire),
        (status = 503, description = "The index is being opened", body = ErrorBody),
    )
)]
pub(super) async fn status(State(state): State<AppState>) -> Result<Json<StatusWire>, ApiError> {
    let status = state.instance.run(|instance| instance.status()).await?;
    Ok(Json(StatusWire::from(status)))
}
