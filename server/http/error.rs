//! Every failure in one shape: `{error: {code, message, field?}}`.

use std::any::Any;

use autorag_store::ErrorChain;
use axum::Json;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::instance_handle::InstanceError;
use crate::wire::{ErrorBody, ErrorWire};

/// A failed request.
#[derive(Debug)]
pub(super) struct ApiError {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
    pub field: Option<String>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError {
            status,
            code,
            message: message.into(),
            field: None,
        }
    }

    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> ApiError {
        let field = Some(field.into()).filter(|name| !name.is_empty());
        ApiError {
            field,
            ..ApiError::new(StatusCode::BAD_REQUEST, "invalid_request", message)
        }
    }
}

impl From<InstanceError> for ApiError {
    fn from(error: InstanceError) -> ApiError {
        let status = match error.code() {
            "invalid_request" => StatusCode::BAD_REQUEST,
            "not_found" => StatusCode::NOT_FOUND,
            "no_text" => StatusCode::CONFLICT,
            "opening"
            | "not_indexed_yet"
            | "unavailable"
            | "overloaded"
            | "dense_unavailable"
            | "lexical_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            "timeout" => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!("{}", ErrorChain(&error));
        }
        let field = error.field().map(str::to_owned);
        ApiError {
            field,
            ..ApiError::new(status, error.code(), error.message())
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = ErrorWire {
            code: self.code,
            message: self.message,
            field: self.field,
        };
        let mut response = (self.status, Json(ErrorBody { error })).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}

/// No route has this path.
pub(super) async fn no_such_route(uri: Uri) -> ApiError {
    let message = format!(
        "there is nothing at {}; /openapi.json lists what there is",
        uri.path()
    );
    ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
}

/// The path has no such method.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    let message = format!(
        "{} does not take {method}; /openapi.json lists what it takes",
        uri.path()
    );
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

/// A handler panicked. Its message may quote a document, so it stays out of the answer.
pub(super) fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        InstanceError::Panicked.to_string(),
    )
    .into_response()
}
