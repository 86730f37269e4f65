//! Schemas of tools that every client understands.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool};
use serde_json::Value;

/// Rewrites the schemas of a tool, as they come from its types, into what the dialects of model providers have in common.
pub fn simplify(tool: &mut Tool) {
    let mut input = (*tool.input_schema).clone();
    optional_not_null(&mut input);
    drop_number_formats(&mut input);
    tool.input_schema = Arc::new(input);
    if let Some(output) = &mut tool.output_schema {
        drop_number_formats(Arc::make_mut(output));
    }
}

/// Says of each optional field that it may be left out, not that it may be null, which some clients drop or refuse. A null that
/// is sent all the same is still read as left out.
fn optional_not_null(schema: &mut JsonObject) {
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

/// Takes out `uint32` and the like, which are names of Rust's types and no formats of JSON Schema: validators warn about them.
fn drop_number_formats(schema: &mut JsonObject) {
    let format = schema.get("format").and_then(Value::as_str);
    if format.is_some_and(|name| name.starts_with("uint") || name.starts_with("int") || name == "float") {
        schema.remove("format");
    }
    for value in schema.values_mut() {
        match value {
            Value::Object(inner) => drop_number_formats(inner),
            Value::Array(items) => items
                .iter_mut()
                .filter_map(Value::as_object_mut)
                .for_each(drop_number_formats),
            _ => {}
        }
    }
}
