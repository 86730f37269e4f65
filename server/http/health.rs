//! `GET /healthz` and `GET /readyz`, for process supervisors.

use axum::extract::State;

use super::AppState;
use super::error::ApiError;

/// Check that the process is running
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "check_liveness",
    tag = "status",
    responses((status = 200, description = "The process is running")))]
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Check that the index is open
///
/// An open index may still be incomplete. See `index_state` of the status.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "check_readiness",
    tag = "status",
    responses(
        (status = 200, description = "The index is open"),
        (status = 503, description = "The index is being opened, or could not be opened", body = crate::wire::ErrorBody),
    )
)]
pub(super) async fn ready(State(state): State<AppState>) -> Result<&'static str, ApiError> {
    state.instance.current()?;
    Ok("ready\n")
}
