//! The shape of JSON: the names and types that programs rely on, without the values that change.

use serde_json::{Map, Value};

/// Replaces each value by its type, and each list by one shape that covers all of its elements.
pub fn shape_of(value: &Value) -> Value {
    let word = |word: &str| Value::String(word.into());
    match value {
        Value::Null => word("null"),
        Value::Bool(_) => word("boolean"),
        Value::Number(number) if number.is_f64() => word("number"),
        Value::Number(_) => word("integer"),
        Value::String(_) => word("string"),
        Value::Array(items) => {
            let merged = items
                .iter()
                .map(shape_of)
                .reduce(|one, other| merge(&one, &other));
            Value::Array(merged.into_iter().collect())
        }
        Value::Object(fields) => {
            let shapes: Map<_, _> = fields
                .iter()
                .map(|(name, value)| (name.clone(), shape_of(value)))
                .collect();
            Value::Object(shapes)
        }
    }
}

/// The shape that covers two shapes. Different types become `one | other`; a field that only one has becomes optional, `name?`.
fn merge(one: &Value, other: &Value) -> Value {
    match (one, other) {
        (Value::Object(left), Value::Object(right)) => {
            let bare = |name: &String| name.trim_end_matches('?').to_owned();
            let find = |map: &Map<String, Value>, name: &str| {
                let optional = format!("{name}?");
                map.get(name).or_else(|| map.get(&optional)).cloned()
            };
            let names = left.keys().chain(right.keys());
            let merged = names.map(|name| {
                let plain = bare(name);
                let is_required = left.contains_key(&plain) && right.contains_key(&plain);
                let shape = match (find(left, &plain), find(right, &plain)) {
                    (Some(one), Some(other)) => merge(&one, &other),
                    (one, other) => one.or(other).unwrap_or_default(),
                };
                (if is_required { plain } else { format!("{plain}?") }, shape)
            });
            Value::Object(merged.collect())
        }
        (Value::Array(left), Value::Array(right)) => {
            let merged = left
                .iter()
                .chain(right)
                .cloned()
                .reduce(|one, other| merge(&one, &other));
            Value::Array(merged.into_iter().collect())
        }
        _ if one == other => one.clone(),
        _ => {
            let text = |shape: &Value| shape.as_str().map_or_else(|| shape.to_string(), str::to_owned);
            let (left, right) = (text(one), text(other));
            let mut types: Vec<&str> = left.split(" | ").chain(right.split(" | ")).collect();
            types.sort_unstable();
            types.dedup();
            Value::String(types.join(" | "))
        }
    }
}

#[test]
fn every_element_of_a_list_counts() {
    let value = serde_json::json!([{"a": 1, "b": null}, {"a": "x", "b": 0.5, "c": []}, {"a": 2, "b": null}]);
    let expected = serde_json::json!([{"a": "integer | string", "b": "null | number", "c?": []}]);
    assert_eq!(shape_of(&value), expected);
}
