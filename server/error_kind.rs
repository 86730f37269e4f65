//! Kinds of failed requests, with their stable code and their HTTP status.

use axum::http::StatusCode;

/// Why a request failed, for programs. Every kind has a [code](ErrorKind::code) and a [status](ErrorKind::status).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A field or parameter is invalid.
    InvalidRequest,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// The body exceeds `server.max_body_bytes`.
    PayloadTooLarge,
    /// The `Host` header is not a loopback name.
    ForbiddenHost,
    /// The request comes from a page of another origin.
    ForbiddenOrigin,
    /// No such document, job, route or asset.
    NotFound,
    /// The route exists, but does not accept the method.
    MethodNotAllowed,
    /// No such document so far; indexing is still in progress.
    NotIndexedYet,
    /// The document exists but has no text.
    NoText,
    /// The index is being opened.
    Opening,
    /// The index could not be opened.
    Unavailable,
    /// Too many requests are in progress.
    Overloaded,
    /// The request exceeded `server.timeout_ms`.
    Timeout,
    /// A semantic search, but the query cannot be embedded or compared.
    DenseUnavailable,
    /// A keyword search, but the lexical index is corrupt.
    LexicalUnavailable,
    /// The job has already ended.
    JobEnded,
    /// Indexing is paused.
    Paused,
    /// Another process updates the index.
    NotTheWriter,
    /// A bug, or a failure of the disk or the system.
    Internal,
}

impl ErrorKind {
    /// The code on the wire. Programs match on it, so it never changes.
    pub fn code(self) -> &'static str {
        match self {
            ErrorKind::InvalidRequest => "invalid_request",
            ErrorKind::UnsupportedMediaType => "unsupported_media_type",
            ErrorKind::PayloadTooLarge => "payload_too_large",
            ErrorKind::ForbiddenHost => "forbidden_host",
            ErrorKind::ForbiddenOrigin => "forbidden_origin",
            ErrorKind::NotFound => "not_found",
            ErrorKind::MethodNotAllowed => "method_not_allowed",
            ErrorKind::NotIndexedYet => "not_indexed_yet",
            ErrorKind::NoText => "no_text",
            ErrorKind::Opening => "opening",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Overloaded => "overloaded",
            ErrorKind::Timeout => "timeout",
            ErrorKind::DenseUnavailable => "dense_unavailable",
            ErrorKind::LexicalUnavailable => "lexical_unavailable",
            ErrorKind::JobEnded => "job_ended",
            ErrorKind::Paused => "paused",
            ErrorKind::NotTheWriter => "not_the_writer",
            ErrorKind::Internal => "internal",
        }
    }

    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        match self {
            ErrorKind::InvalidRequest => StatusCode::BAD_REQUEST,
            ErrorKind::ForbiddenHost | ErrorKind::ForbiddenOrigin => StatusCode::FORBIDDEN,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ErrorKind::NoText | ErrorKind::JobEnded | ErrorKind::Paused | ErrorKind::NotTheWriter => {
                StatusCode::CONFLICT
            }
            ErrorKind::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            ErrorKind::NotIndexedYet
            | ErrorKind::Opening
            | ErrorKind::Unavailable
            | ErrorKind::Overloaded
            | ErrorKind::DenseUnavailable
            | ErrorKind::LexicalUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}
