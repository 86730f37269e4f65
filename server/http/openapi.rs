//! `GET /openapi.json`, generated from the types and handlers.

use axum::Json;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "autorag",
        description = "Hybrid search over folders of documents, with citations that can be verified.",
        license(name = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "search", description = "Find passages"),
        (name = "documents", description = "List and read documents"),
        (name = "jobs", description = "List, request and control indexing jobs"),
        (name = "status", description = "Health, progress and metrics of the server"),
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

/// Describe this API
///
/// Returns this OpenAPI document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "get_openapi",
    tag = "status",
    responses((status = 200, description = "The OpenAPI document"))
)]
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Api::openapi())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn operation_ids_are_unique_and_tags_are_declared() {
        let api = serde_json::to_value(Api::openapi()).unwrap();
        let names = |list: &Value| -> HashSet<String> {
            let tags = list.as_array().unwrap().iter();
            tags.map(|tag| tag["name"].as_str().unwrap().to_owned()).collect()
        };
        let tags = names(&api["tags"]);
        let mut ids = HashSet::new();
        let paths = api["paths"].as_object().unwrap().values();
        for operation in paths.flat_map(|path| path.as_object().unwrap().values()) {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} is not unique");
            let tag = operation["tags"][0].as_str().unwrap();
            assert!(tags.contains(tag), "{id} has the tag {tag}");
        }
    }

    #[test]
    fn schemas_have_names_for_clients() {
        let api = serde_json::to_value(Api::openapi()).unwrap();
        for name in api["components"]["schemas"].as_object().unwrap().keys() {
            assert!(!name.ends_with("Wire"), "{name}");
        }
    }
}
