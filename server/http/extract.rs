//! Bodies and query strings, refused with the name of the field that is wrong.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::error_kind::ErrorKind;

/// A JSON body.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, ApiError> {
        // A form or text/plain body can be sent across origins without a preflight; JSON cannot.
        if !is_json(request.headers()) {
            return Err(ApiError::new(
                ErrorKind::UnsupportedMediaType,
                "send JSON, with the header Content-Type: application/json",
            ));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(unreadable)?;
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let body = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let message = error.inner().to_string();
            ApiError::invalid(field_of(&error.path().to_string(), &message), message)
        })?;
        json.end()
            .map_err(|error| ApiError::invalid("", format!("after the JSON value: {error}")))?;
        Ok(Body(body))
    }
}

/// A query string.
pub(super) struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Query<T>, ApiError> {
        let text = parts.uri.query().unwrap_or_default();
        let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text.as_bytes()));
        serde_path_to_error::deserialize(pairs)
            .map(Query)
            .map_err(|error| {
                let message = error.inner().to_string();
                ApiError::invalid(field_of(&error.path().to_string(), &message), message)
            })
    }
}

/// Most of anything on a page.
const MAX_PAGE: usize = 1000;
/// How much is on a page where the caller does not say.
const PAGE: usize = 100;

/// How much is to be on a page.
pub(super) fn page_length(limit: Option<usize>) -> Result<usize, ApiError> {
    let limit = limit.unwrap_or(PAGE);
    if limit == 0 || limit > MAX_PAGE {
        let message = format!("limit is {limit}; it goes from 1 to {MAX_PAGE}");
        return Err(ApiError::invalid("limit", message));
    }
    Ok(limit)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn unreadable(rejection: BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let message = "the body exceeds the limit server.max_body_bytes";
        return ApiError::new(ErrorKind::PayloadTooLarge, message);
    }
    ApiError::invalid("", "the body could not be read to its end")
}

/// The field an error is about: where the reader stood, or the name that the message puts in backquotes when the
/// trouble is a field that does not belong or is not there.
fn field_of(path: &str, message: &str) -> String {
    let quoted = ["unknown field `", "missing field `", "duplicate field `"]
        .iter()
        .find_map(|head| message.strip_prefix(head)?.split_once('`').map(|(name, _)| name));
    match (path, quoted) {
        ("." | "?", Some(name)) => name.to_owned(),
        ("." | "?", None) => String::new(),
        (path, Some(name)) if path != name && !path.ends_with(&format!(".{name}")) => {
            format!("{path}.{name}")
        }
        (path, _) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::field_of;

    #[test]
    fn names_the_field() {
        assert_eq!(
            field_of(".", "unknown field `lmit`, expected one of `limit`"),
            "lmit"
        );
        assert_eq!(
            field_of("lmit", "unknown field `lmit`, expected one of `limit`"),
            "lmit"
        );
        assert_eq!(field_of(".", "missing field `query` at line 1"), "query");
        assert_eq!(field_of("limit", "invalid type: string"), "limit");
        assert_eq!(field_of(".", "EOF while parsing"), "");
    }
}
