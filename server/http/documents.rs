//! `GET /v1/documents` and `GET /v1/documents/{key}`

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

/// Which documents to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Only documents whose key begins with this.
    prefix: Option<String>,
    /// Only documents that became `completed`, `error` or `skipped`.
    status: Option<String>,
    /// How many, 1 to 1000; 100 where not said.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Lists documents in the order of their keys, those that could not be read among them.
#[utoipa::path(
    get,
    path = "/v1/documents",
    operation_id = "list_documents",
    tag = "documents",
    params(ListParams),
    responses(
        (status = 200, description = "A page of documents", body = DocumentPage),
        (status = 400, description = "A parameter is wrong; `field` names it", body = ErrorBody),
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
    // One more than the page holds tells whether another page follows.
    let query = DocumentQuery {
        prefix: params.prefix,
        status: status.transpose()?,
        after_key: params.cursor.map(DocumentKey::from),
        limit: limit + 1,
    };
    let found = state
        .instance
        .run(move |instance| instance.documents(&query))
        .await?;
    let next_cursor = (found.len() > limit).then(|| found[limit - 1].key.to_string());
    let documents = found
        .iter()
        .take(limit)
        .map(|entry| DocumentWire::from(entry.as_ref()))
        .collect();
    Ok(Json(DocumentPage {
        documents,
        next_cursor,
    }))
}

/// Which lines to read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadParams {
    /// First line, from 1.
    start_line: Option<u32>,
    /// Last line, itself included.
    end_line: Option<u32>,
}

/// Reads a document's text, or a range of its lines.
#[utoipa::path(
    get,
    path = "/v1/documents/{key}",
    operation_id = "read_document",
    tag = "documents",
    params(("key" = String, Path, description = "The document's key; slashes stay as they are"), ReadParams),
    responses(
        (status = 200, description = "The text as extracted", body = ReadWire),
        (status = 404, description = "No document has this key", body = ErrorBody),
        (status = 503, description = "No document has this key so far, and files are still being read", body = ErrorBody),
        (status = 409, description = "The file gave no text; the message says why", body = ErrorBody),
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
    let read = state
        .instance
        .run(move |instance| -> Result<_, QueryError> { instance.read(&key, range) })
        .await?;
    Ok(Json(ReadWire::from(read)))
}
