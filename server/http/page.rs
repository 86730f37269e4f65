//! The web page at `/`. Its files are compiled into the binary.

use axum::extract::Path;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

use super::error::ApiError;
use crate::error_kind::ErrorKind;

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Files that the page loads: name, content type, content.
const ASSETS: &[(&str, &str, &str)] = &[
    ("style.css", CSS, include_str!("../page/style.css")),
    ("app.js", SCRIPT, include_str!("../page/app.js")),
    ("api.js", SCRIPT, include_str!("../page/api.js")),
    ("view.js", SCRIPT, include_str!("../page/view.js")),
    ("documents.js", SCRIPT, include_str!("../page/documents.js")),
];

/// The HTML of the page.
pub(super) async fn index() -> Html<&'static str> {
    Html(include_str!("../page/index.html"))
}

/// A file that the page loads.
pub(super) async fn asset(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|(file, ..)| *file == name) {
        // Browsers must revalidate, because a new version of autorag has other files under the same names.
        Some((_, content_type, text)) => (
            [
                (header::CONTENT_TYPE, *content_type),
                (header::CACHE_CONTROL, "no-cache"),
            ],
            *text,
        )
            .into_response(),
        None => {
            let message = format!("the page has no file {name:?}");
            ApiError::new(ErrorKind::NotFound, message).into_response()
        }
    }
}
