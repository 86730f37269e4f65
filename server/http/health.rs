//! `GET /healthz` and `GET /readyz`, for whoever watches the process.

use axum::extract::State;

use super::AppState;
use super::error::ApiError;

/// The process is up.
#[utoipa::path(
    get,
    path = "/healthz",
    operation_id = "check_liveness",
    tag = "status",
    responses((status = 200, description = "The process is up")))]
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// The index is open and answers, if not yet from every file: `index_state` says how far it is.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "check_readiness",
    tag = "status",
    responses(
        (status = 200, description = "Searches are answered"),
        (status = 503, description = "The index is opening, or could not be opened", body = crate::wire::ErrorBody),
    )
)]
pub(super) async fn ready(State(state): State<AppState>) -> Result<&'static str, ApiError> {
    state.instance.current()?;
    Ok("ready\n")
}
