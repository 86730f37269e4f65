//! Data formats: JSON, YAML, TOML and XML. Keys and titles are the headings.

use roxmltree::Node;
use serde_json::Value;

use super::composer::{Composer, one_line};
use super::{Heading, Parsed, Refusal, Structure, properties, xml};

/// JSON with a line longer than this many bytes is pretty-printed.
const LONG_LINE: usize = 1000;
/// Elements that hold the title of their parent.
const TITLES: &[&str] = &["title", "head", "heading", "invention-title", "article-title"];
/// XML elements nested deeper than this are flattened to text.
const MAX_DEPTH: usize = 200;

/// Parses JSON. The text stays the same unless it has long lines, which are pretty-printed.
pub(super) fn json(text: String) -> Parsed {
    let has_long_lines = text.lines().any(|line| line.len() > LONG_LINE);
    let value = serde_json::from_str::<Value>(&text).ok();
    let title = value.as_ref().and_then(|value| {
        let title = ["title", "name"]
            .iter()
            .find_map(|name| value.get(name)?.as_str());
        title.map(one_line).filter(|title| !title.is_empty())
    });
    let pretty = value
        .as_ref()
        .filter(|_| has_long_lines)
        .and_then(|value| serde_json::to_string_pretty(value).ok());
    Parsed {
        title,
        ..Parsed::plain("json", pretty.unwrap_or(text))
    }
}

/// Parses YAML. Its top-level keys are the headings; the text stays the same.
pub(super) fn yaml(text: String) -> Parsed {
    let mut headings = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let key = line.split_once(':').map_or("", |(key, _)| key);
        let is_key = !key.is_empty()
            && !key.starts_with([' ', '\t', '#', '-', '"', '\'', '{', '[', '%', '?', '|', '>'])
            && !key.contains(' ');
        if is_key {
            headings.push(key_heading(at, key));
        }
        at += line.len();
    }
    with_keys("yaml", text, headings)
}

/// Parses TOML. Its tables are the headings; the text stays the same.
pub(super) fn toml(text: String) -> Parsed {
    let mut headings = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if trimmed.starts_with('[')
            && trimmed.ends_with(']')
            && !trimmed.contains('"')
            && !trimmed.contains(',')
        {
            let name = trimmed.trim_start_matches('[').trim_end_matches(']').trim();
            if !name.is_empty() {
                headings.push(key_heading(at, name));
            }
        }
        at += line.len();
    }
    with_keys("toml", text, headings)
}

fn key_heading(at: usize, key: &str) -> Heading {
    Heading {
        at,
        end: at,
        level: 1,
        text: key.to_owned(),
    }
}

fn with_keys(kind: &'static str, text: String, headings: Vec<Heading>) -> Parsed {
    Parsed {
        structure: Structure::Headings(headings),
        ..Parsed::plain(kind, text)
    }
}

/// Converts XML to text: titles become headings, elements with mixed content become paragraphs, other elements
/// become `name: text`. Malformed XML is kept as plain text.
pub(super) fn xml(text: &str) -> Result<Parsed, Refusal> {
    let bare;
    let tree = match xml::tree(text, "the file") {
        Ok(tree) => tree,
        Err(_) => {
            bare = without_declarations(text);
            match xml::tree(&bare, "the file") {
                Ok(tree) => tree,
                Err(_) => return Ok(Parsed::plain("xml", text.to_owned())),
            }
        }
    };
    let mut composer = Composer::default();
    write_element(tree.root_element(), 1, 0, &mut composer);
    if composer.is_empty() {
        return Ok(Parsed::plain("xml", text.to_owned()));
    }
    let mut parsed = composer.finish("xml", "XML file")?;
    parsed.title = tree
        .descendants()
        .filter(|node| TITLES.contains(&node.tag_name().name()))
        .map(|node| one_line(&xml::text(node)))
        .find(|title| !title.is_empty());
    if let Some(header) = xml::find(tree.root(), "metadata") {
        parsed.metadata = properties::read(header).1;
    }
    Ok(parsed)
}

/// The document without its DOCTYPE and without the entities that the DOCTYPE declares, which may be in external files.
fn without_declarations(text: &str) -> String {
    let body = match text.split_once("<!DOCTYPE") {
        Some((_, rest)) => {
            let end = match (rest.find('['), rest.find('>')) {
                (Some(open), Some(close)) if open < close => rest.find("]>").map(|end| end + 2),
                (_, close) => close.map(|close| close + 1),
            };
            &rest[end.unwrap_or(rest.len())..]
        }
        None => text,
    };
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let name = after.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '#' | '.' | '-' | '_'));
        let (name, tail) = after.split_at(name.unwrap_or(after.len()));
        let is_known = name.starts_with('#') || matches!(name, "amp" | "lt" | "gt" | "quot" | "apos");
        rest = match (is_known, tail.strip_prefix(';')) {
            (false, Some(tail)) => {
                out.push(' ');
                tail
            }
            _ => {
                out.push('&');
                after
            }
        };
    }
    out.push_str(rest);
    out
}

fn write_element(node: Node<'_, '_>, level: usize, depth: usize, composer: &mut Composer) {
    let name = node.tag_name().name();
    let has_text = node
        .children()
        .any(|child| child.is_text() && child.text().is_some_and(|text| !text.trim().is_empty()));
    let is_title = |child: &Node<'_, '_>| TITLES.contains(&child.tag_name().name());
    if has_text || depth > MAX_DEPTH {
        let text = one_line(&xml::text(node));
        if is_prose(node, &text) {
            composer.paragraph(&text);
        } else {
            composer.item(0, None, &format!("{name}: {text}"));
        }
        return;
    }
    let elements = || node.children().filter(Node::is_element);
    if elements().next().is_none() {
        let attributes: Vec<String> = node
            .attributes()
            .map(|attribute| format!("{}={}", attribute.name(), attribute.value()))
            .collect();
        if !attributes.is_empty() {
            composer.item(0, None, &format!("{name}: {}", attributes.join(" ")));
        }
        return;
    }
    if is_table_row(node) {
        let cells: Vec<String> = elements().map(|cell| one_line(&xml::text(cell))).collect();
        composer.paragraph(&cells.join(" | "));
        return;
    }
    let mut inner = level;
    for child in elements() {
        let text = if is_title(&child) {
            one_line(&xml::text(child))
        } else {
            String::new()
        };
        if text.is_empty() {
            write_element(child, inner, depth + 1, composer);
        } else {
            composer.heading(level, &text);
            inner = level + 1;
        }
    }
}

/// Whether an element is a paragraph and not a field: by its name, because it contains elements, or because it is long.
fn is_prose(node: Node<'_, '_>, text: &str) -> bool {
    matches!(
        node.tag_name().name(),
        "p" | "para" | "simpara" | "li" | "seg" | "description"
    ) || node.children().any(|child| child.is_element())
        || text.len() > 120
}

fn is_table_row(node: Node<'_, '_>) -> bool {
    matches!(node.tag_name().name(), "row" | "tr")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_with_long_lines_is_pretty_printed() {
        let short = json("{\"name\": \"A\", \"b\": 1}".to_owned());
        assert_eq!(
            (short.text.as_str(), short.title.as_deref()),
            ("{\"name\": \"A\", \"b\": 1}", Some("A"))
        );
        let long = json(format!("{{\"a\":\"{}\",\"b\":[1]}}", "x".repeat(2000)));
        assert!(long.text.lines().count() > 4);
    }

    #[test]
    fn keys_and_tables_are_headings() {
        let names = |parsed: Parsed| match parsed.structure {
            Structure::Headings(headings) => headings
                .into_iter()
                .map(|heading| heading.text)
                .collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        assert_eq!(names(yaml("# c\na:\n  b: 1\nc: x\n- d: 1\n".into())), ["a", "c"]);
        assert_eq!(names(toml("x = 1\n[a.b]\ny = [1]\n[[c]]\n".into())), ["a.b", "c"]);
    }

    #[test]
    fn xml_titles_are_headings_and_fields_are_items() {
        let text = "<r><title>T</title><sec><title>S</title><p>one <b>two</b></p><row><c>1</c><c>2</c></row></sec><id>7</id><e a='1'/></r>";
        let parsed = xml(text).unwrap();
        assert_eq!(
            parsed.text,
            "# T\n\n## S\n\none two\n\n1 | 2\n\n- id: 7\n- e: a=1\n"
        );
        assert_eq!(parsed.title.as_deref(), Some("T"));
        assert_eq!(xml("<r>&undefined;").unwrap().text, "<r>&undefined;");
        let declared =
            "<!DOCTYPE r SYSTEM 'x' [\n<!ENTITY a SYSTEM 'a'>\n]><r><p>one &a; two &amp; three</p></r>";
        assert_eq!(xml(declared).unwrap().text, "one two & three\n");
    }

    #[test]
    fn exponential_entities_are_not_expanded() {
        let mut text = "<!DOCTYPE r [<!ENTITY a0 \"kiwi kiwi kiwi\">".to_owned();
        for level in 1..12 {
            text += &format!(
                "<!ENTITY a{level} \"{}\">",
                format!("&a{};", level - 1).repeat(10)
            );
        }
        text += "]><r>&a11;</r>";
        // Fully expanded, the text would have 300 billion words.
        assert!(xml(&text).unwrap().text.len() < 10_000);
    }
}
