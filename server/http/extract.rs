//! Extractors for JSON bodies and query strings. Their rejections name the invalid field.

use std::fmt::Display;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_path_to_error::Error as PathError;

use super::error::ApiError;
use crate::error_kind::ErrorKind;

/// A JSON body.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Body<T>, ApiError> {
        // Pages of other origins can send forms and text/plain without a preflight, but not JSON.
        if !is_json(request.headers()) {
            return Err(ApiError::new(
                ErrorKind::UnsupportedMediaType,
                "send JSON, with the header Content-Type: application/json",
            ));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(unreadable_body)?;
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let body = serde_path_to_error::deserialize(&mut json).map_err(|error| invalid_field(&error))?;
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
            .map_err(|error| invalid_field(&error))
    }
}

/// Maximum length of a page.
const MAX_PAGE: usize = 1000;
/// Default length of a page.
const DEFAULT_PAGE: usize = 100;

/// The length of a page, from the parameter `limit`.
pub(super) fn page_length(limit: Option<usize>) -> Result<usize, ApiError> {
    let limit = limit.unwrap_or(DEFAULT_PAGE);
    if limit == 0 || limit > MAX_PAGE {
        let message = format!("limit must be 1 to {MAX_PAGE}, not {limit}");
        return Err(ApiError::invalid("limit", message));
    }
    Ok(limit)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

fn unreadable_body(rejection: BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let message = "the body exceeds the limit server.max_body_bytes";
        return ApiError::new(ErrorKind::PayloadTooLarge, message);
    }
    ApiError::invalid("", "the body could not be read completely")
}

fn invalid_field<E: Display>(error: &PathError<E>) -> ApiError {
    let message = error.inner().to_string();
    ApiError::invalid(field_path(&error.path().to_string(), &message), message)
}

/// The path of the invalid field, such as `boost_by[0].weight`. Empty if the error is not about a field.
///
/// The path of an error ends at an unknown field or a field with an invalid value. For a missing or duplicate field it ends at
/// the object, so the field's name is appended.
fn field_path(path: &str, message: &str) -> String {
    // `?` stands for a key that could not be read.
    let object = match path {
        "." | "?" => "",
        path => path.strip_suffix(".?").unwrap_or(path),
    };
    match missing_or_duplicate_field(message) {
        None => object.to_owned(),
        Some(name) if object.is_empty() => name.to_owned(),
        Some(name) => format!("{object}.{name}"),
    }
}

/// The name of a missing or duplicate field.
///
/// Taken from serde's message: an error of a deserializer has only text, and the name is nowhere else. The tests below use
/// serde itself, so they fail if it changes its messages.
fn missing_or_duplicate_field(message: &str) -> Option<&str> {
    let after = message
        .strip_prefix("missing field `")
        .or_else(|| message.strip_prefix("duplicate field `"))?;
    after.split_once('`').map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::wire::SearchBody;

    fn path_in_json(json: &str) -> String {
        let mut json = serde_json::Deserializer::from_str(json);
        let error = serde_path_to_error::deserialize::<_, SearchBody>(&mut json).unwrap_err();
        field_path(&error.path().to_string(), &error.inner().to_string())
    }

    #[test]
    fn an_error_in_json_names_the_field() {
        assert_eq!(path_in_json("{}"), "query");
        assert_eq!(path_in_json(r#"{"query": 7}"#), "query");
        assert_eq!(path_in_json(r#"{"query": "x", "query": "y"}"#), "query");
        assert_eq!(path_in_json(r#"{"query": "x", "lmit": 3}"#), "lmit");
        assert_eq!(path_in_json(r#"{"query": "x", "limit": -1}"#), "limit");
        let boost = |fields: &str| path_in_json(&format!(r#"{{"query": "x", "boost_by": [{{{fields}}}]}}"#));
        assert_eq!(boost(r#""field": "size""#), "boost_by[0].direction");
        assert_eq!(boost(r#""field": "size", "wieght": 1"#), "boost_by[0].wieght");
        assert_eq!(path_in_json("{"), "");
        assert_eq!(path_in_json("7"), "");
    }

    #[test]
    fn an_error_in_a_query_string_names_the_parameter() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "only the errors are tested")]
        struct Params {
            limit: usize,
        }
        let path = |text: &str| {
            let pairs = serde_urlencoded::Deserializer::new(form_urlencoded::parse(text.as_bytes()));
            let error = serde_path_to_error::deserialize::<_, Params>(pairs).unwrap_err();
            field_path(&error.path().to_string(), &error.inner().to_string())
        };
        assert_eq!(path(""), "limit");
        assert_eq!(path("lmit=3"), "lmit");
        assert_eq!(path("limit=x"), "limit");
        assert_eq!(path("limit=1&limit=2"), "limit");
    }
}
