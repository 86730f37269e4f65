//! Filters: which documents may answer. Compiled once, and applied before either retriever looks at anything.

mod evaluate;
#[cfg(test)]
mod exact;
mod parse;

use globset::GlobMatcher;
use serde_json::Value;

use crate::DocumentEntry;

/// A filter that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilterError {
    /// What is wrong, with an example of what is right.
    pub message: String,
}

/// A condition on documents.
///
/// In JSON, `{"field": value}` asks for equality and `{"field": {"$op": value}}` for more; several fields, and several
/// operators on one, must all hold. Operators: `$eq $ne $in $nin $lt $lte $gt $gte $prefix $contains $glob`, and
/// `$and $or $not` around whole filters.
///
/// Fields: `path`, `folder` (with a slash at its end, empty at the root), `filename`, `extension`, `type`, `language`,
/// `title`, `size` (bytes), `timestamp` (last modification: milliseconds since 1970, RFC 3339 or a date), and any other name
/// for metadata (`metadata.NAME` where a built-in field has the name). Where a document lacks the field, `$ne` and `$nin`
/// hold and all else does not; where its value is a list, a condition holds if it does for one element.
#[derive(Debug, Clone)]
pub struct Filter {
    condition: Condition,
    /// As it was given, to tell whether two are the same.
    text: String,
}

#[derive(Debug, Clone)]
enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Field(Field, Test),
}

/// Something that documents have a value of, by the names that filters use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentField(Field);

impl DocumentField {
    /// The field called `name`: a built-in one, or one of the metadata.
    pub fn new(name: &str) -> DocumentField {
        DocumentField(Field::named(name))
    }

    /// Its value in `entry`.
    pub fn value(&self, entry: &DocumentEntry) -> Option<Value> {
        evaluate::value_of(&self.0, entry)
    }

    /// Its value as a time, in milliseconds since 1970: a number, RFC 3339 or a date.
    pub fn time_ms(&self, entry: &DocumentEntry) -> Option<i64> {
        match self.value(entry)? {
            Value::String(text) => parse::milliseconds(&text),
            value => value.as_i64(),
        }
    }
}

/// What a condition looks at.
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

/// What it asks of it.
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
