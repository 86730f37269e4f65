//! The shape of JSON: the names and types that programs rely on, without the values that change.

use serde_json::{Map, Value};

/// Replaces each value by its type, and each list by the shape of its first element.
pub fn shape_of(value: &Value) -> Value {
    let word = |word: &str| Value::String(word.into());
    match value {
        Value::Null => word("null"),
        Value::Bool(_) => word("boolean"),
        Value::Number(number) if number.is_f64() => word("number"),
        Value::Number(_) => word("integer"),
        Value::String(_) => word("string"),
        Value::Array(items) => Value::Array(items.iter().take(1).map(shape_of).collect()),
        Value::Object(fields) => {
            let shapes: Map<_, _> = fields
                .iter()
                .map(|(name, value)| (name.clone(), shape_of(value)))
                .collect();
            Value::Object(shapes)
        }
    }
}
