//! Simplifies the schemas of tools for clients and model providers.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool};
use serde_json::Value;

/// Rewrites the generated schemas of a tool into the subset of JSON Schema that all model providers accept.
pub fn simplify(tool: &mut Tool) {
    let mut input = (*tool.input_schema).clone();
    remove_null(&mut input);
    remove_number_formats(&mut input);
    tool.input_schema = Arc::new(input);
    if let Some(output) = &mut tool.output_schema {
        remove_number_formats(Arc::make_mut(output));
    }
}

/// Removes null from the types of optional fields, because some clients drop or reject such fields. Deserialization still accepts
/// null for an absent field.
fn remove_null(schema: &mut JsonObject) {
    let Some(Value::Object(fields)) = schema.get_mut("properties") else {
        return;
    };
    for field in fields.values_mut() {
        let Value::Object(field) = field else { continue };
        if field.get("default") == Some(&Value::Null) {
            field.remove("default");
        }
        if let Some(Value::Array(types)) = field.get_mut("type") {
            types.retain(|kind| kind != "null");
            if let [only] = types.as_slice() {
                let only = only.clone();
                field.insert("type".to_owned(), only);
            }
        }
        if let Some(Value::Array(values)) = field.get_mut("enum") {
            values.retain(|value| !value.is_null());
        }
    }
}

/// Removes formats such as `uint32`. These are names of Rust types, unknown to JSON Schema, and validators warn about them.
fn remove_number_formats(schema: &mut JsonObject) {
    let format = schema.get("format").and_then(Value::as_str);
    if format.is_some_and(|name| name.starts_with("uint") || name.starts_with("int") || name == "float") {
        schema.remove("format");
    }
    for value in schema.values_mut() {
        match value {
            Value::Object(inner) => remove_number_formats(inner),
            Value::Array(items) => items
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .for_each(remove_number_formats),
            _ => {}
        }
    }
}
