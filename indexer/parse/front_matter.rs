//! Front matter of Markdown files: YAML between `---` lines or TOML between `+++` lines.

use autorag_store::Metadata;
use serde_json::Value;

/// Longest front matter, bytes.
const MAX_LENGTH: usize = 64 << 10;

/// The front matter of `text`, and the byte offset after it. `None` if there is no valid YAML or TOML.
pub(super) fn split(text: &str) -> Option<(Metadata, usize)> {
    let mut lines = text.split_inclusive('\n');
    let fence = lines
        .next()
        .map(str::trim_end)
        .filter(|line| matches!(*line, "---" | "+++"))?;
    let start = text.find('\n')? + 1;
    let mut end = start;
    for line in lines {
        let after = end + line.len();
        if line.trim_end() == fence || (fence == "---" && line.trim_end() == "...") {
            return Some((read(fence, &text[start..end])?, after));
        }
        end = after;
        if end - start > MAX_LENGTH {
            return None;
        }
    }
    None
}

fn read(fence: &str, text: &str) -> Option<Metadata> {
    if text.trim().is_empty() {
        return Some(Metadata::new());
    }
    let value = match fence {
        "+++" => serde_json::to_value(text.parse::<toml::Table>().ok()?)
            .ok()
            .map(unwrap_dates)?,
        _ => serde_norway::from_str::<Value>(text).ok()?,
    };
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

/// Unwraps TOML dates, which serde represents as an object with one private key. Filters compare the text of the date.
fn unwrap_dates(value: Value) -> Value {
    match value {
        Value::Object(mut fields) => match fields.remove("$__toml_private_datetime") {
            Some(time) => time,
            None => Value::Object(
                fields
                    .into_iter()
                    .map(|(name, value)| (name, unwrap_dates(value)))
                    .collect(),
            ),
        },
        Value::Array(values) => Value::Array(values.into_iter().map(unwrap_dates).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata(text: &str) -> Option<(Value, &str)> {
        split(text).map(|(metadata, rest)| (Value::Object(metadata), &text[rest..]))
    }

    #[test]
    fn yaml_and_toml_front_matter_is_split_off() {
        let yaml = "---\ntitle: A \"b\"\ntags: [x, y]\ndate: 2026-01-31\ndraft: false\n---\n# Text\n";
        let expected = json!({"title": "A \"b\"", "tags": ["x", "y"], "date": "2026-01-31", "draft": false});
        assert_eq!(metadata(yaml), Some((expected, "# Text\n")));
        let toml = "+++\r\ntitle = \"A\"\r\ndate = 2026-01-31\r\n+++\r\nText";
        assert_eq!(
            metadata(toml),
            Some((json!({"title": "A", "date": "2026-01-31"}), "Text"))
        );
        assert_eq!(metadata("---\n---\nText"), Some((json!({}), "Text")));
    }

    #[test]
    fn invalid_front_matter_stays_in_the_text() {
        assert_eq!(metadata("---\nno end"), None);
        assert_eq!(metadata("---\njust a line\n---\nText"), None);
        assert_eq!(metadata("# Title\n---\na: b\n---\n"), None);
        assert_eq!(metadata(""), None);
    }
}
