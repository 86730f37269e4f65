//! JSON of errors.

use serde::Serialize;
use utoipa::ToSchema;

/// A failed request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorWire,
}

/// An error.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ErrorDetail)]
pub struct ErrorWire {
    /// Stable code for programs, such as `invalid_request`.
    #[schema(example = "invalid_request")]
    pub code: &'static str,
    /// What went wrong and what to do, in words.
    pub message: String,
    /// The invalid field or parameter. Absent if no single field is invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}
