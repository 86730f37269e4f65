//! The page at `/`, as files in the binary.

use axum::extract::Path;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use super::error::ApiError;
use crate::error_kind::ErrorKind;

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// What the page loads, by name.
const ASSETS: &[(&str, &str, &str)] = &[
    ("style.css", CSS, include_str!("../page/style.css")),
    ("app.js", SCRIPT, include_str!("../page/app.js")),
    ("api.js", SCRIPT, include_str!("../page/api.js")),
    ("view.js", SCRIPT, include_str!("../page/view.js")),
    ("documents.js", SCRIPT, include_str!("../page/documents.js")),
];

/// The page.
pub(super) async fn index() -> Html<&'static str> {
    Html(include_str!("../page/index.html"))
}

/// One of the files that the page loads.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|(file, ..)| *file == name) {
        // A new binary may bring a new page under the same name.
        Some((_, kind, text)) => (
            [(header::CONTENT_TYPE, *kind), (header::CACHE_CONTROL, "no-cache")],
            *text,
        )
            .into_response(),
        None => {
            let message = format!("the page has no file {name:?}");
            ApiError::new(ErrorKind::NotFound, message).into_response()
        }
    }
}
