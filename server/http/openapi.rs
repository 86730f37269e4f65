//! `GET /openapi.json`, from the types and handlers themselves.

use axum::Json;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "autorag",
        description = "Hybrid retrieval over a folder, with citations that can be checked.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(
        super::search::search,
        super::documents::list,
        super::documents::read,
        super::jobs::list,
        super::jobs::read,
        super::jobs::logs,
        super::jobs::create,
        super::jobs::change,
        super::status::status,
        super::health::live,
        super::health::ready,
        super::metrics::render,
        document,
    )
)]
struct Api;

/// This description.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, description = "This description")))]
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Api::openapi())
}
