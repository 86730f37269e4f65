//! Error responses. All have the shape `{error: {code, message, field?}}`.

use std::any::Any;

use autorag_store::ErrorChain;
use axum::Json;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::error_kind::ErrorKind;
use crate::hint::Interface;
use crate::instance_handle::InstanceError;
use crate::wire::{ErrorBody, ErrorWire};

/// A failed request.
#[derive(Debug)]
pub(super) struct ApiError {
    kind: ErrorKind,
    message: String,
    /// Name of the invalid field, if there is one.
    field: Option<String>,
}

impl ApiError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> ApiError {
        ApiError {
            kind,
            message: message.into(),
            field: None,
        }
    }

    /// An invalid request. `field` is empty if no single field is invalid.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> ApiError {
        let field = Some(field.into()).filter(|name| !name.is_empty());
        ApiError {
            field,
            ..ApiError::new(ErrorKind::InvalidRequest, message)
        }
    }
}

impl From<InstanceError> for ApiError {
    fn from(error: InstanceError) -> ApiError {
        let kind = error.kind();
        if kind == ErrorKind::Internal {
            tracing::error!("{}", ErrorChain(&error));
        }
        let field = error.field().map(str::to_owned);
        ApiError {
            field,
            ..ApiError::new(kind, error.message(Interface::Http))
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        let error = ErrorWire {
            code: self.kind.code(),
            message: self.message,
            field: self.field,
        };
        let mut response = (status, Json(ErrorBody { error })).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}

/// Fallback for paths without a route.
pub(super) async fn no_such_route(uri: Uri) -> ApiError {
    let message = format!("no route {}; see /openapi.json for all routes", uri.path());
    ApiError::new(ErrorKind::NotFound, message)
}

/// Fallback for methods that a route does not accept.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    let message = format!(
        "{} does not accept {method}; see /openapi.json for its methods",
        uri.path()
    );
    ApiError::new(ErrorKind::MethodNotAllowed, message)
}

/// The response after a panic in a handler. The panic's message may quote a document, so it is not sent.
pub(super) fn panicked(_panic: Box<dyn Any + Send>) -> Response {
    ApiError::from(InstanceError::Panicked).into_response()
}
