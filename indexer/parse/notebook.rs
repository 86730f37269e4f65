//! Jupyter notebooks. Each cell is a page; code and its output are code blocks.

use serde_json::Value;

use super::composer::Composer;
use super::{Parsed, Refusal, Structure};

/// Longest text kept of one output, bytes. A progress bar can fill megabytes.
const MAX_OUTPUT: usize = 16 << 10;

/// Reads a notebook from JSON. Returns `None` if the JSON is not a notebook.
pub(super) fn read(text: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text).ok()?;
    let is_notebook = value.get("nbformat").is_some_and(Value::is_number)
        || value.get("cells").is_some_and(Value::is_array) && value.get("metadata").is_some();
    is_notebook.then_some(value)
}

pub(super) fn parse(notebook: &Value) -> Result<Parsed, Refusal> {
    let metadata = &notebook["metadata"];
    let language = metadata["kernelspec"]["language"]
        .as_str()
        .or(metadata["language_info"]["name"].as_str())
        .unwrap_or("python");
    // Format versions before 4 have cells in worksheets.
    let worksheets = notebook["worksheets"].as_array();
    let sheets = worksheets.into_iter().flatten().map(|sheet| &sheet["cells"]);
    let cells = sheets
        .chain([&notebook["cells"]])
        .filter_map(Value::as_array)
        .flatten();
    let mut composer = Composer::default();
    let mut title = None;
    for cell in cells {
        composer.page();
        let source = multiline(&cell["source"])
            .or_else(|| multiline(&cell["input"]))
            .unwrap_or_default();
        match cell["cell_type"].as_str().unwrap_or_default() {
            "markdown" => {
                let inner = Parsed {
                    structure: Structure::Markdown,
                    ..Parsed::plain("markdown", source)
                };
                let first = crate::chunk::headings(&inner.text, 0).into_iter().next();
                title = title.or(first.map(|heading| heading.text));
                composer.embed(0, &inner);
            }
            "heading" => {
                let level = cell["level"].as_u64().unwrap_or(1) as usize;
                composer.heading(level.min(6), &source);
                title.get_or_insert(source);
            }
            "code" => {
                composer.code(language, &source);
                for output in cell["outputs"].as_array().into_iter().flatten() {
                    composer.code("", &output_text(output));
                }
            }
            _ => composer.paragraph(&source),
        }
    }
    let mut parsed = composer.finish("notebook", "notebook")?;
    parsed.title = metadata["title"].as_str().map(str::to_owned).or(title);
    parsed.metadata.insert("kernel_language".into(), language.into());
    let authors: Vec<&str> = metadata["authors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|author| author["name"].as_str())
        .collect();
    if !authors.is_empty() {
        parsed.metadata.insert("author".into(), authors.join(", ").into());
    }
    Ok(parsed)
}

/// The text of an output, without terminal escapes. A long text keeps only its beginning and its end.
fn output_text(output: &Value) -> String {
    let text = multiline(&output["text"])
        .or_else(|| multiline(&output["data"]["text/plain"]))
        .or_else(|| multiline(&output["traceback"]))
        .unwrap_or_default();
    let text = without_escapes(&text);
    if text.len() <= MAX_OUTPUT {
        return text;
    }
    let head = &text[..text.floor_char_boundary(MAX_OUTPUT / 2)];
    let end = &text[text.ceil_char_boundary(text.len() - MAX_OUTPUT / 2)..];
    let left_out = text.len() - head.len() - end.len();
    format!("{head}\n[{left_out} bytes of output left out]\n{end}")
}

/// A multi-line string, which may be a list of lines.
fn multiline(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(lines) => {
            let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
            let has_line_ends = lines.iter().any(|line| line.ends_with('\n'));
            Some(lines.join(if has_line_ends { "" } else { "\n" }))
        }
        _ => None,
    }
}

fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        rest = rest
            .strip_prefix(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(rest);
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_pages() {
        let notebook = json!({"nbformat": 4, "metadata": {"kernelspec": {"language": "julia"}}, "cells": [
            {"cell_type": "markdown", "source": ["# Title\n", "text"]},
            {"cell_type": "code", "source": "1 + 1", "outputs": [{"text": ["\u{1b}[31m2\u{1b}[0m"]}]},
        ]});
        let parsed = parse(&read(&notebook.to_string()).unwrap()).unwrap();
        assert_eq!(
            parsed.text,
            "# Title\ntext\n\n```julia\n1 + 1\n```\n\n```\n2\n```\n"
        );
        assert_eq!((parsed.pages.len(), parsed.title.as_deref()), (2, Some("Title")));
        assert!(read("{\"a\": 1}").is_none());
    }

    #[test]
    fn long_output_says_how_much_is_left_out() {
        let text = output_text(&json!({"text": "x".repeat(100_000)}));
        assert!(
            text.len() < 17_000 && text.contains("83616 bytes of output left out"),
            "{}",
            text.len()
        );
    }
}
