//! `GET /v1/documents` and `GET /v1/documents/{key}`.

#![expect(
    unused_qualifications,
    reason = "utoipa's macro writes paths that are in scope already"
)]

use autorag_query::{LineRange, QueryError};
use autorag_store::{DocumentKey, DocumentQuery, ItemStatus};
use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::AppState;
use super::error::ApiError;
use super::extract::{Query, page_length};
use crate::wire::{DocumentPage, DocumentWire, ErrorBody, ReadWire};

/// Filters of a document list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Only documents whose key starts with this prefix.
    prefix: Option<String>,
    /// Only documents with this status: `completed`, `error` or `skipped`.
    status: Option<String>,
    /// Number of documents, 1 to 1000; default 100.
    limit: Option<usize>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

/// List documents, ordered by key
///
/// The list includes files that could not be read or were skipped.
#[utoipa::path(
    get,
    path = "/v1/documents",
    operation_id = "list_documents",
    tag = "documents",
    params(ListParams),
    responses(
        (status = 200, description = "A page of documents", body = DocumentPage),
        (status = 400, description = "A parameter is invalid; `field` names it", body = ErrorBody),
    )
)]
pub(super) async fn list(
    State(state): State<AppState>,
    Query(params): Query<ListParams>,
) -> Result<Json<DocumentPage>, ApiError> {
    let limit = page_length(params.limit)?;
    let status = params.status.map(|word| {
        word.parse::<ItemStatus>()
            .map_err(|error| ApiError::invalid("status", error.to_string()))
    });
    // One more than the page shows whether there is a next page.
    let query = DocumentQuery {
        prefix: params.prefix,
        status: status.transpose()?,
        after_key: params.cursor.map(DocumentKey::from),
        limit: limit + 1,
    };
    let documents = state
        .instance
        .run(move |instance| instance.documents(&query))
        .await?;
    let next_cursor = (documents.len() > limit).then(|| documents[limit - 1].key.to_string());
    let documents = documents
        .iter()
        .take(limit)
        .map(|entry| DocumentWire::from(entry.as_ref()))
        .collect();
    Ok(Json(DocumentPage {
        documents,
        next_cursor,
    }))
}

/// A range of lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadParams {
    /// First line, from 1.
    start_line: Option<u32>,
    /// Last line, inclusive.
    end_line: Option<u32>,
}

/// Read a document, or a range of its lines
#[utoipa::path(
    get,
    path = "/v1/documents/{key}",
    operation_id = "read_document",
    tag = "documents",
    params(("key" = String, Path, description = "Key of the document; do not escape its slashes"), ReadParams),
    responses(
        (status = 200, description = "The extracted text", body = ReadWire),
        (status = 404, description = "No document has this key", body = ErrorBody),
        (status = 503, description = "No document has this key yet; indexing is in progress", body = ErrorBody),
        (status = 409, description = "The document has no text; the message gives the reason", body = ErrorBody),
    )
)]
pub(super) async fn read(
    State(state): State<AppState>,
    Path(key): Path<String>,
    Query(params): Query<ReadParams>,
) -> Result<Json<ReadWire>, ApiError> {
    let range = LineRange {
        start: params.start_line,
        end: params.end_line,
    };
    let document = state
        .instance
        .run(move |instance| -> Result<_, QueryError> { instance.read(&key, range) })
        .await?;
    Ok(Json(ReadWire::from(document)))
}
