//! Input schemas that every client understands.

use schemars::Schema;
use serde_json::Value;

/// Says of each optional field that it may be left out, not that it may be null. Arrays of types, and defaults of null, are what
/// the dialects of some model providers drop or refuse; a null that is sent all the same is still read as left out.
pub fn optional_not_null(schema: &mut Schema) {
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
