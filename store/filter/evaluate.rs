//! Whether a document meets a filter.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Condition, Field, Filter, Test};
use crate::DocumentEntry;

impl Filter {
    /// Whether `entry` meets the filter.
    pub fn admits(&self, entry: &DocumentEntry) -> bool {
        holds(&self.condition, entry)
    }

    /// Whether both are the same as they were given.
    pub(crate) fn is_same(&self, other: &Filter) -> bool {
        self.text == other.text
    }
}

fn holds(condition: &Condition, entry: &DocumentEntry) -> bool {
    match condition {
        Condition::All(parts) => parts.iter().all(|part| holds(part, entry)),
        Condition::Any(parts) => parts.iter().any(|part| holds(part, entry)),
        Condition::Not(part) => !holds(part, entry),
        Condition::Field(field, test) => match text_of(field, entry) {
            // Most filters are about these, and a filter looks at every document there is.
            Some(text) => text_meets(text, test),
            None => meets(value_of(field, entry).as_ref(), test),
        },
    }
}

/// The value of a field that is a text as it stands.
fn text_of<'a>(field: &Field, entry: &'a DocumentEntry) -> Option<&'a str> {
    match field {
        Field::Path => Some(entry.key.as_str()),
        Field::Folder => Some(entry.key.folder()),
        Field::Filename => Some(entry.key.file_name()),
        Field::Kind => Some(entry.kind.as_str()),
        Field::Language => entry.language.as_deref(),
        Field::Title => entry.title.as_deref(),
        Field::Extension | Field::Size | Field::Timestamp | Field::Metadata(_) => None,
    }
}

fn text_meets(text: &str, test: &Test) -> bool {
    let is = |wanted: &Value| wanted.as_str() == Some(text);
    let ordered = |wanted: &Value| wanted.as_str().map(|wanted| text.cmp(wanted));
    match test {
        Test::Equal(wanted) => is(wanted),
        Test::NotEqual(wanted) => !is(wanted),
        Test::In(wanted) => wanted.iter().any(is),
        Test::NotIn(wanted) => !wanted.iter().any(is),
        Test::Less(wanted) => ordered(wanted).is_some_and(Ordering::is_lt),
        Test::LessOrEqual(wanted) => ordered(wanted).is_some_and(Ordering::is_le),
        Test::Greater(wanted) => ordered(wanted).is_some_and(Ordering::is_gt),
        Test::GreaterOrEqual(wanted) => ordered(wanted).is_some_and(Ordering::is_ge),
        Test::Prefix(prefix) => text.starts_with(prefix.as_str()),
        Test::Glob(glob) => glob.is_match(text),
        Test::Contains(wanted) => wanted.as_str().is_some_and(|part| text.contains(part)),
    }
}

pub(super) fn value_of(field: &Field, entry: &DocumentEntry) -> Option<Value> {
    match field {
        Field::Path => Some(entry.key.as_str().into()),
        Field::Folder => Some(entry.key.folder().into()),
        Field::Filename => Some(entry.key.file_name().into()),
        Field::Extension => entry
            .key
            .extension()
            .map(|extension| extension.to_lowercase().into()),
        Field::Kind => Some(entry.kind.as_str().into()),
        Field::Language => entry.language.clone().map(Value::from),
        Field::Title => entry.title.clone().map(Value::from),
        Field::Size => Some(entry.stat.size.into()),
        Field::Timestamp => Some(entry.stat.modified_ns.div_euclid(1_000_000).into()),
        Field::Metadata(name) => entry.metadata.get(name).cloned().filter(|value| !value.is_null()),
    }
}

fn meets(value: Option<&Value>, test: &Test) -> bool {
    let is = |wanted: &Value| match (value, wanted) {
        (None, Value::Null) => true,
        (None, _) => false,
        (Some(value), wanted) => elements(value).any(|element| equal(element, wanted)),
    };
    let ordered = |wanted: &Value, right: fn(Ordering) -> bool| {
        value.is_some_and(|value| elements(value).any(|element| compare(element, wanted).is_some_and(right)))
    };
    let text = |right: &dyn Fn(&str) -> bool| {
        value.is_some_and(|value| elements(value).any(|element| element.as_str().is_some_and(right)))
    };
    match test {
        Test::Equal(wanted) => is(wanted),
        Test::NotEqual(wanted) => !is(wanted),
        Test::In(wanted) => wanted.iter().any(is),
        Test::NotIn(wanted) => !wanted.iter().any(is),
        Test::Less(wanted) => ordered(wanted, Ordering::is_lt),
        Test::LessOrEqual(wanted) => ordered(wanted, Ordering::is_le),
        Test::Greater(wanted) => ordered(wanted, Ordering::is_gt),
        Test::GreaterOrEqual(wanted) => ordered(wanted, Ordering::is_ge),
        Test::Prefix(prefix) => text(&|text| text.starts_with(prefix.as_str())),
        Test::Glob(glob) => text(&|text| glob.is_match(text)),
        // In a list, an element; in a text, a part of it.
        Test::Contains(wanted) => match (value, wanted) {
            (Some(Value::String(text)), Value::String(part)) => text.contains(part.as_str()),
            _ => is(wanted),
        },
    }
}

/// The elements of a list, or the one value itself.
fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(values) => values.iter(),
        one => std::slice::from_ref(one).iter(),
    }
}

/// Equality, with numbers compared as numbers: 1 is 1.0.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(_), Value::Number(_)) => compare(one, other) == Some(Ordering::Equal),
        _ => one == other,
    }
}

/// Order within a type. Across types there is none: a text is neither below nor above a number.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => Some(one.cmp(&other)),
            _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
        },
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
    fn texts_are_judged_as_values_are() {
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
                    let expected = meets(value_of(field, &entry()).as_ref(), test);
                    assert_eq!(
                        filter.admits(&entry()),
                        expected,
                        "{field:?} {operator} {operand}"
                    );
                }
            }
        }
    }

    #[test]
    fn built_in_fields() {
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
    fn metadata_and_lists() {
        assert!(admits(json!({"tags": "linux"})));
        assert!(admits(json!({"tags": {"$contains": "setup"}})));
        assert!(!admits(json!({"tags": {"$contains": "set"}})));
        assert!(admits(json!({"version": 2.0, "metadata.draft": false})));
        assert!(
            !admits(json!({"version": {"$gt": "1"}})),
            "a number is not above a text"
        );
        assert!(admits(json!({"title": {"$contains": "inu"}})));
    }

    #[test]
    fn what_is_missing() {
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
    fn logic() {
        assert!(admits(json!({"$or": [{"type": "html"}, {"type": "markdown"}]})));
        assert!(!admits(json!({"$and": [{"type": "html"}, {"type": "markdown"}]})));
        assert!(admits(json!({"$not": {"type": "html"}})));
    }
}
