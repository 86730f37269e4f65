//! The shape of every error over HTTP.

use serde::Serialize;
use utoipa::ToSchema;

/// A failed request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorWire,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ErrorDetail)]
pub struct ErrorWire {
    /// A stable word for programs, such as `invalid_request`.
    #[schema(example = "invalid_request")]
    pub code: &'static str,
    /// A sentence for people, with what to do.
    pub message: String,
    /// The field of the request that is to blame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}
