//! Filters: conditions that select documents. A filter is parsed once, and applied before either retriever runs.

mod evaluate;
#[cfg(test)]
mod oracle_tests;
mod parse;

use globset::GlobMatcher;
use serde_json::Value;

use crate::{DocumentEntry, UnixMs};

/// An invalid filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// What is wrong, with an example of a valid filter.
    pub message: String,
}

/// A condition on documents.
///
/// In JSON, `{"field": value}` tests for equality, and `{"field": {"$op": value}}` applies an operator: `$eq`, `$ne`, `$in`,
/// `$nin`, `$lt`, `$lte`, `$gt`, `$gte`, `$prefix`, `$contains` or `$glob`. Several fields, and several operators on one field, must
/// all hold. `$and`, `$or` and `$not` combine whole filters.
///
/// Fields are `path`, `folder` (with a slash at its end, empty at the root), `filename`, `extension`, `type`, `language`, `title`,
/// `size` (bytes) and `timestamp` (last modification: milliseconds since 1970, RFC 3339 or a date). Any other name is a metadata
/// field. `metadata.NAME` is a metadata field even if a built-in field has the same name.
///
/// If a document lacks the field, only `$ne`, `$nin` and a test for null hold. A test of a list holds if it holds for one element.
///
/// ```
/// use autorag_store::Filter;
///
/// let filter = serde_json::json!({"folder": {"$prefix": "guide/"}, "size": {"$lt": 10000}});
/// assert!(Filter::parse(&filter).is_ok());
/// let error = Filter::parse(&serde_json::json!({"size": {"$near": 10000}})).unwrap_err();
/// assert!(error.message.contains("$near"));
/// ```
#[derive(Debug, Clone)]
pub struct Filter {
    condition: Condition,
    /// The JSON that the filter was parsed from. It identifies the filter in caches.
    json: String,
}

#[derive(Debug, Clone)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Field(Field, Test),
}

/// A field of a document. Fields have the same names as in filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentField(Field);

impl DocumentField {
    /// The built-in or metadata field `name`.
    pub fn new(name: &str) -> DocumentField {
        DocumentField(Field::from_name(name))
    }

    /// The value of the field in `entry`.
    pub fn value(&self, entry: &DocumentEntry) -> Option<Value> {
        evaluate::field_value(&self.0, entry).map(evaluate::FieldValue::into_json)
    }

    /// The value of the field as a time: a number of milliseconds since 1970, RFC 3339 or a date.
    pub fn time(&self, entry: &DocumentEntry) -> Option<UnixMs> {
        match self.value(entry)? {
            Value::String(text) => parse::time(&text),
            value => value.as_i64().map(UnixMs),
        }
    }
}

/// A tested field.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Path,
    Folder,
    Filename,
    Extension,
    Kind,
    Language,
    Title,
    Size,
    Timestamp,
    Metadata(String),
}

/// A test of a field's value.
#[derive(Debug, Clone)]
enum Test {
    Equal(Value),
    NotEqual(Value),
    In(Vec<Value>),
    NotIn(Vec<Value>),
    Less(Value),
    LessOrEqual(Value),
    Greater(Value),
    GreaterOrEqual(Value),
    Prefix(String),
    Contains(Value),
    Glob(GlobMatcher),
}
