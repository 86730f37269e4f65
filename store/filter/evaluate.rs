//! Evaluating filters on documents.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::{Condition, Field, Filter, Test};
use crate::DocumentEntry;

impl Filter {
    /// Whether `entry` matches the filter.
    pub fn admits(&self, entry: &DocumentEntry) -> bool {
        holds(&self.condition, entry)
    }

    /// Whether both filters were parsed from the same JSON.
    pub(crate) fn is_same(&self, other: &Filter) -> bool {
        self.json == other.json
    }
}

fn holds(condition: &Condition, entry: &DocumentEntry) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(|part| holds(part, entry)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, entry)),
        Condition::Not(part) => !holds(part, entry),
        Condition::Field(field, test) => passes(field_value(field, entry).as_ref(), test),
    }
}

/// Value of a field in a document.
pub(super) enum FieldValue<'a> {
    /// A string, borrowed: a filter is evaluated on every document, and most filters test strings.
    Text(&'a str),
    Json(Cow<'a, Value>),
}

/// A value that is not a list.
#[derive(Clone, Copy)]
enum Scalar<'a> {
    Text(&'a str),
    Json(&'a Value),
}

impl<'a> Scalar<'a> {
    fn new(value: &'a Value) -> Scalar<'a> {
        match value {
            Value::String(text) => Scalar::Text(text),
            other => Scalar::Json(other),
        }
    }
}

impl FieldValue<'_> {
    pub(super) fn into_json(self) -> Value {
        match self {
            FieldValue::Text(text) => text.into(),
            FieldValue::Json(value) => value.into_owned(),
        }
    }

    /// Whether the predicate holds for the value, or for one element of a list.
    fn any(&self, predicate: impl Fn(Scalar<'_>) -> bool) -> bool {
        match self {
            FieldValue::Text(text) => predicate(Scalar::Text(text)),
            FieldValue::Json(value) => match value.as_ref() {
                Value::Array(values) => values.iter().any(|value| predicate(Scalar::new(value))),
                value => predicate(Scalar::new(value)),
            },
        }
    }

    /// The value if it is a single string.
    fn as_str(&self) -> Option<&str> {
        match self {
            FieldValue::Text(text) => Some(text),
            FieldValue::Json(value) => value.as_str(),
        }
    }
}

/// The value of a field. `None` if the document lacks the field.
pub(super) fn field_value<'a>(field: &Field, entry: &'a DocumentEntry) -> Option<FieldValue<'a>> {
    let owned = |value: Value| FieldValue::Json(Cow::Owned(value));
    match field {
        Field::Path => Some(FieldValue::Text(entry.key.as_str())),
        Field::Folder => Some(FieldValue::Text(entry.key.folder())),
        Field::Filename => Some(FieldValue::Text(entry.key.file_name())),
        Field::Extension => entry
            .key
            .extension()
            .map(|extension| owned(extension.to_lowercase().into())),
        Field::Kind => Some(FieldValue::Text(entry.kind.as_str())),
        Field::Language => entry.language.as_deref().map(FieldValue::Text),
        Field::Title => entry.title.as_deref().map(FieldValue::Text),
        Field::Size => Some(owned(entry.stat.size.into())),
        Field::Timestamp => Some(owned(entry.stat.modified_ns.div_euclid(1_000_000).into())),
        Field::Metadata(name) => {
            let value = entry.metadata.get(name).filter(|value| !value.is_null());
            value.map(|value| FieldValue::Json(Cow::Borrowed(value)))
        }
    }
}

fn passes(value: Option<&FieldValue<'_>>, test: &Test) -> bool {
    let equals = |wanted: &Value| match value {
        None => wanted.is_null(),
        Some(value) => value.any(|scalar| equal(scalar, wanted)),
    };
    let is_ordered = |wanted: &Value, accepts: fn(Ordering) -> bool| {
        value.is_some_and(|value| value.any(|scalar| compare(scalar, wanted).is_some_and(accepts)))
    };
    let has_text = |predicate: &dyn Fn(&str) -> bool| {
        value.is_some_and(|value| {
            value.any(|scalar| match scalar {
                Scalar::Text(text) => predicate(text),
                Scalar::Json(_) => false,
            })
        })
    };
    match test {
        Test::Equal(wanted) => equals(wanted),
        Test::NotEqual(wanted) => !equals(wanted),
        Test::In(wanted) => wanted.iter().any(equals),
        Test::NotIn(wanted) => !wanted.iter().any(equals),
        Test::Less(wanted) => is_ordered(wanted, Ordering::is_lt),
        Test::LessOrEqual(wanted) => is_ordered(wanted, Ordering::is_le),
        Test::Greater(wanted) => is_ordered(wanted, Ordering::is_gt),
        Test::GreaterOrEqual(wanted) => is_ordered(wanted, Ordering::is_ge),
        Test::Prefix(prefix) => has_text(&|text| text.starts_with(prefix.as_str())),
        Test::Glob(glob) => has_text(&|text| glob.is_match(text)),
        // A string contains its substrings, a list its elements.
        Test::Contains(wanted) => match (value.and_then(FieldValue::as_str), wanted) {
            (Some(text), Value::String(part)) => text.contains(part.as_str()),
            _ => equals(wanted),
        },
    }
}

/// Equality. Numbers are compared by value, so 1 equals 1.0.
fn equal(scalar: Scalar<'_>, wanted: &Value) -> bool {
    match (scalar, wanted) {
        (Scalar::Json(Value::Number(_)), Value::Number(_)) => {
            compare(scalar, wanted) == Some(Ordering::Equal)
        }
        (Scalar::Text(text), wanted) => wanted.as_str() == Some(text),
        (Scalar::Json(value), wanted) => value == wanted,
    }
}

/// Order of two strings or two numbers. `None` across types: a string is neither below nor above a number.
fn compare(scalar: Scalar<'_>, wanted: &Value) -> Option<Ordering> {
    match (scalar, wanted) {
        (Scalar::Text(text), Value::String(wanted)) => Some(text.cmp(wanted.as_str())),
        (Scalar::Json(Value::Number(number)), Value::Number(wanted)) => {
            match (number.as_i64(), wanted.as_i64()) {
                (Some(number), Some(wanted)) => Some(number.cmp(&wanted)),
                _ => number.as_f64()?.partial_cmp(&wanted.as_f64()?),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ContentHash, DocumentId, FileStat, ItemStatus};
    use serde_json::json;

    fn entry() -> DocumentEntry {
        let Value::Object(metadata) = json!({"tags": ["linux", "setup"], "version": 2, "draft": false})
        else {
            panic!()
        };
        DocumentEntry {
            id: DocumentId(1),
            key: "guide/install/linux.MD".into(),
            stat: FileStat {
                size: 1200,
                modified_ns: 1_700_000_000_000_000_000,
                inode: 1,
            },
            source_hash: ContentHash::of(b""),
            status: ItemStatus::Completed,
            reason: None,
            kind: "markdown".into(),
            language: None,
            title: Some("Linux".into()),
            metadata,
            passages: 1,
        }
    }

    fn admits(filter: Value) -> bool {
        Filter::parse(&filter).unwrap().admits(&entry())
    }

    #[test]
    fn a_borrowed_string_passes_the_same_tests_as_a_json_string() {
        let operands = [
            "",
            "guide/install/",
            "guide",
            "linux.MD",
            "markdown",
            "Linux",
            "z",
        ];
        for field in ["path", "folder", "filename", "type", "language", "title"] {
            for operand in operands {
                for operator in ["$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$prefix", "$contains"] {
                    let filter = Filter::parse(&json!({field: {operator: operand}})).unwrap();
                    let Condition::All(parts) = &filter.condition else {
                        panic!()
                    };
                    let Condition::All(parts) = &parts[0] else {
                        panic!()
                    };
                    let Condition::Field(field, test) = &parts[0] else {
                        panic!()
                    };
                    let entry = entry();
                    let json = field_value(field, &entry).map(FieldValue::into_json);
                    let json = json.map(|json| FieldValue::Json(Cow::Owned(json)));
                    assert_eq!(
                        filter.admits(&entry),
                        passes(json.as_ref(), test),
                        "{field:?} {operator} {operand}"
                    );
                }
            }
        }
    }

    #[test]
    fn built_in_fields_can_be_filtered() {
        assert!(admits(json!({"folder": "guide/install/"})));
        assert!(admits(json!({"folder": {"$gte": "guide/", "$lt": "guide0"}})));
        assert!(!admits(json!({"folder": {"$gte": "src/", "$lt": "src0"}})));
        assert!(admits(
            json!({"folder": {"$prefix": "guide/"}, "filename": "linux.MD"})
        ));
        assert!(admits(
            json!({"extension": "md", "type": {"$in": ["html", "markdown"]}})
        ));
        assert!(admits(json!({"size": {"$gt": 1000, "$lte": 1200}})));
        assert!(admits(
            json!({"timestamp": {"$gte": "2023-11-14", "$lt": "2023-11-15"}})
        ));
        assert!(admits(json!({"path": {"$glob": "guide/**/*.MD"}})));
        assert!(!admits(json!({"path": {"$glob": "guide/*.MD"}})));
        assert!(admits(json!({})));
    }

    #[test]
    fn a_list_passes_if_one_element_does() {
        assert!(admits(json!({"tags": "linux"})));
        assert!(admits(json!({"tags": {"$contains": "setup"}})));
        assert!(!admits(json!({"tags": {"$contains": "set"}})));
        assert!(admits(json!({"version": 2.0, "metadata.draft": false})));
        assert!(
            !admits(json!({"version": {"$gt": "1"}})),
            "a number is not above a string"
        );
        assert!(admits(json!({"title": {"$contains": "inu"}})));
    }

    #[test]
    fn a_missing_field_passes_only_negative_tests_and_null() {
        for filter in [
            json!({"author": "x"}),
            json!({"author": {"$gt": "a"}}),
            json!({"author": {"$in": ["x"]}}),
        ] {
            assert!(!admits(filter));
        }
        assert!(admits(json!({"author": {"$ne": "x"}})));
        assert!(admits(json!({"author": {"$nin": ["x"]}})));
        assert!(admits(json!({"author": null})));
    }

    #[test]
    fn filters_can_be_combined() {
        assert!(admits(json!({"$or": [{"type": "html"}, {"type": "markdown"}]})));
        assert!(!admits(json!({"$and": [{"type": "html"}, {"type": "markdown"}]})));
        assert!(admits(json!({"$not": {"type": "html"}})));
    }
}
