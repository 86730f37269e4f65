//! Parsing filters from JSON.

use globset::GlobBuilder;
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::{Condition, Field, Filter, FilterError, Test};
use crate::UnixMs;

/// Maximum nesting of `$and`, `$or` and `$not`. Without it, a hostile filter could overflow the stack.
const MAX_DEPTH: usize = 32;
const OPERATORS: &str = "$eq, $ne, $in, $nin, $lt, $lte, $gt, $gte, $prefix, $contains, $glob";

impl Filter {
    /// Parses a filter.
    ///
    /// # Errors
    /// [`FilterError`], which names the invalid field or operator.
    pub fn parse(json: &Value) -> Result<Filter, FilterError> {
        Ok(Filter {
            condition: condition(json, 0)?,
            json: json.to_string(),
        })
    }
}

fn condition(json: &Value, depth: usize) -> Result<Condition, FilterError> {
    if depth > MAX_DEPTH {
        return refuse(format!("is nested deeper than {MAX_DEPTH} levels"));
    }
    let Value::Object(fields) = json else {
        return refuse("must be an object, such as {\"folder\": {\"$prefix\": \"guide/\"}}");
    };
    let parsed: Result<Vec<Condition>, FilterError> = fields
        .iter()
        .map(|(name, value)| entry(name, value, depth))
        .collect();
    Ok(Condition::All(parsed?))
}

fn entry(name: &str, value: &Value, depth: usize) -> Result<Condition, FilterError> {
    let list = || -> Result<Vec<Condition>, FilterError> {
        match value {
            Value::Array(parts) if !parts.is_empty() => {
                parts.iter().map(|part| condition(part, depth + 1)).collect()
            }
            _ => refuse(format!(
                "{name} takes a list of filters, such as {{\"{name}\": [{{\"type\": \"html\"}}]}}"
            )),
        }
    };
    match name {
        "$and" => Ok(Condition::All(list()?)),
        "$or" => Ok(Condition::Any(list()?)),
        "$not" => Ok(Condition::Not(Box::new(condition(value, depth + 1)?))),
        name if name.starts_with('$') => refuse(format!(
            "{name} is not an operator here; combine filters with $and, $or or $not"
        )),
        name => field_condition(name, value),
    }
}

fn field_condition(name: &str, value: &Value) -> Result<Condition, FilterError> {
    let field = Field::from_name(name);
    let tests = match value {
        Value::Object(operators) => parse_operators(name, &field, operators)?,
        value => vec![Test::Equal(operand(name, &field, value)?)],
    };
    let conditions = tests
        .into_iter()
        .map(|test| Condition::Field(field.clone(), test))
        .collect();
    Ok(Condition::All(conditions))
}

fn parse_operators(
    name: &str,
    field: &Field,
    operators: &Map<String, Value>,
) -> Result<Vec<Test>, FilterError> {
    if operators.is_empty() {
        return refuse(format!("{name} has no operator; use one of {OPERATORS}"));
    }
    operators
        .iter()
        .map(|(operator, value)| parse_test(name, field, operator, value))
        .collect()
}

fn parse_test(name: &str, field: &Field, operator: &str, value: &Value) -> Result<Test, FilterError> {
    let one = || operand(name, field, value);
    let list = || match value {
        Value::Array(values) => values.iter().map(|value| operand(name, field, value)).collect(),
        _ => refuse(format!(
            "{name}: {operator} takes a list, such as {{\"{operator}\": [\"a\", \"b\"]}}"
        )),
    };
    let ordered = || match one()? {
        value @ (Value::Number(_) | Value::String(_)) => Ok(value),
        _ => refuse(format!("{name}: {operator} takes a number or a string")),
    };
    Ok(match operator {
        "$eq" => Test::Equal(one()?),
        "$ne" => Test::NotEqual(one()?),
        "$in" => Test::In(list()?),
        "$nin" => Test::NotIn(list()?),
        "$lt" => Test::Less(ordered()?),
        "$lte" => Test::LessOrEqual(ordered()?),
        "$gt" => Test::Greater(ordered()?),
        "$gte" => Test::GreaterOrEqual(ordered()?),
        "$prefix" => Test::Prefix(string(name, operator, value)?),
        "$contains" => Test::Contains(one()?),
        "$glob" => {
            let pattern = string(name, operator, value)?;
            let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
            let glob = glob.or_else(|error| refuse(format!("{name}: $glob {pattern:?}: {}", error.kind())));
            Test::Glob(glob?.compile_matcher())
        }
        _ => {
            return refuse(format!(
                "{name}: unknown operator {operator}; use one of {OPERATORS}"
            ));
        }
    })
}

fn string(name: &str, operator: &str, value: &Value) -> Result<String, FilterError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        _ => refuse(format!(
            "{name}: {operator} takes a string, such as {{\"{operator}\": \"guide/\"}}"
        )),
    }
}

/// A value to compare `field` with. Times become milliseconds since 1970.
fn operand(name: &str, field: &Field, value: &Value) -> Result<Value, FilterError> {
    match (field, value) {
        (_, Value::Object(_) | Value::Array(_)) => {
            refuse(format!("{name} takes one value; use $in for several"))
        }
        (Field::Timestamp, Value::String(text)) => match time(text) {
            Some(UnixMs(ms)) => Ok(Value::from(ms)),
            None => refuse(format!(
                "{name}: {text:?} is not a time; write 2026-01-31, 2026-01-31T12:00:00Z or milliseconds since 1970"
            )),
        },
        (Field::Timestamp | Field::Size, Value::Number(_)) => Ok(value.clone()),
        (Field::Timestamp | Field::Size, _) => refuse(format!("{name} takes a number")),
        (Field::Metadata(_), _) => Ok(value.clone()),
        (_, Value::String(_) | Value::Null) => Ok(value.clone()),
        _ => refuse(format!("{name} takes a string, such as \"guide/\"")),
    }
}

/// Parses a date, or a time in RFC 3339.
pub(super) fn time(text: &str) -> Option<UnixMs> {
    let date = || Date::parse(text, format_description!("[year]-[month]-[day]")).ok();
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .ok()
        .or_else(|| Some(date()?.midnight().assume_utc()))?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000)
        .ok()
        .map(UnixMs)
}

impl Field {
    pub(super) fn from_name(name: &str) -> Field {
        match name {
            "path" | "key" => Field::Path,
            "folder" => Field::Folder,
            "filename" => Field::Filename,
            "extension" => Field::Extension,
            "type" => Field::Kind,
            "language" => Field::Language,
            "title" => Field::Title,
            "size" => Field::Size,
            "timestamp" | "modified" => Field::Timestamp,
            name => Field::Metadata(name.strip_prefix("metadata.").unwrap_or(name).to_owned()),
        }
    }
}

fn refuse<T>(message: impl Into<String>) -> Result<T, FilterError> {
    Err(FilterError {
        message: message.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn error_of(filter: Value) -> String {
        Filter::parse(&filter).unwrap_err().message
    }

    #[test]
    fn errors_name_the_field_and_the_operator() {
        assert!(error_of(json!({"size": {"$near": 3}})).contains("$near"));
        assert!(error_of(json!({"size": "large"})).starts_with("size "));
        assert!(error_of(json!({"folder": {"$in": "a/"}})).contains("$in takes a list"));
        assert!(error_of(json!({"timestamp": "yesterday"})).contains("yesterday"));
        assert!(error_of(json!({"path": {"$glob": "a[b"}})).contains("$glob"));
        assert!(error_of(json!({"$xor": []})).contains("$xor"));
        assert!(error_of(json!({"$and": []})).contains("$and"));
        assert!(error_of(json!([1])).contains("object"));
        assert!(error_of(json!({"title": {}})).contains("$eq"));
        assert!(error_of(json!({"path": 3})).contains("string"));
    }

    #[test]
    fn deep_nesting_is_refused() {
        let mut filter = json!({"type": "html"});
        for _ in 0..100 {
            filter = json!({ "$not": filter });
        }
        assert!(error_of(filter).contains("deeper"));
    }

    #[test]
    fn dates_and_rfc_3339_times_are_parsed() {
        assert_eq!(time("1970-01-02"), Some(UnixMs(86_400_000)));
        assert_eq!(time("1970-01-01T00:00:01Z"), Some(UnixMs(1000)));
        assert_eq!(time("1970-01-01T01:00:00+01:00"), Some(UnixMs(0)));
        assert_eq!(time("noon"), None);
    }
}
