//! JSON, YAML, TOML and XML: data, whose keys and titles are the headings.

use roxmltree::Node;
use serde_json::Value;

use super::composer::{Composer, one_line};
use super::{Heading, Parsed, Refusal, Structure, properties, xml};

/// Lines longer than this, in bytes, are broken up where the format allows.
const LONG_LINE: usize = 1000;
/// Elements that name what they stand in.
const TITLES: &[&str] = &["title", "head", "heading", "invention-title", "article-title"];
/// Deepest nesting of XML that is followed.
const DEEPEST: usize = 200;

/// JSON as it is; what is on one long line is laid out anew.
pub(super) fn json(text: String) -> Parsed {
    let long = text.lines().any(|line| line.len() > LONG_LINE);
    let value = serde_json::from_str::<Value>(&text).ok();
    let title = value.as_ref().and_then(|value| {
        let named = ["title", "name"]
            .iter()
            .find_map(|name| value.get(name)?.as_str());
        named.map(one_line).filter(|title| !title.is_empty())
    });
    let laid_out = value
        .as_ref()
        .filter(|_| long)
        .and_then(|value| serde_json::to_string_pretty(value).ok());
    Parsed {
        title,
        ..Parsed::plain("json", laid_out.unwrap_or(text))
    }
}

/// YAML as it is, its outermost keys the headings.
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

/// TOML as it is, its tables the headings.
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

/// XML as text: titles as headings, elements of mixed content as paragraphs, others as `name: text`. Where it cannot be read, the
/// file's own text.
pub(super) fn xml(text: &str) -> Result<Parsed, Refusal> {
    let bare;
    let tree = match xml::tree(text, "it") {
        Ok(tree) => tree,
        Err(_) => {
            bare = without_declarations(text);
            match xml::tree(&bare, "it") {
                Ok(tree) => tree,
                Err(_) => return Ok(Parsed::plain("xml", text.to_owned())),
            }
        }
    };
    let mut composer = Composer::default();
    element(tree.root_element(), 1, 0, &mut composer);
    if composer.is_empty() {
        return Ok(Parsed::plain("xml", text.to_owned()));
    }
    let mut parsed = composer.finish("xml", "without text")?;
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

/// The document without its type and without entities that only the type declares: their files are not here.
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

fn element(node: Node<'_, '_>, level: usize, depth: usize, composer: &mut Composer) {
    let name = node.tag_name().name();
    let has_text = node
        .children()
        .any(|child| child.is_text() && child.text().is_some_and(|text| !text.trim().is_empty()));
    let is_title = |child: &Node<'_, '_>| TITLES.contains(&child.tag_name().name());
    if has_text || depth > DEEPEST {
        let text = one_line(&xml::text(node));
        match is_prose(node, &text) {
            true => composer.paragraph(&text),
            false => composer.item(0, None, &format!("{name}: {text}")),
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
            element(child, inner, depth + 1, composer);
        } else {
            composer.heading(level, &text);
            inner = level + 1;
        }
    }
}

/// Whether an element is a paragraph, not a field: by its name, or because it has others within its text or is long.
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
    fn long_lines_of_json_are_laid_out() {
        let short = json("{\"name\": \"A\", \"b\": 1}".to_owned());
        assert_eq!(
            (short.text.as_str(), short.title.as_deref()),
            ("{\"name\": \"A\", \"b\": 1}", Some("A"))
        );
        let long = json(format!("{{\"a\":\"{}\",\"b\":[1]}}", "x".repeat(2000)));
        assert!(long.text.lines().count() > 4);
    }

    #[test]
    fn keys_are_headings() {
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
    fn titles_and_fields() {
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
    fn entities_that_unfold_without_end_are_no_tree() {
        let mut text = "<!DOCTYPE r [<!ENTITY a0 \"kiwi kiwi kiwi\">".to_owned();
        for level in 1..12 {
            text += &format!(
                "<!ENTITY a{level} \"{}\">",
                format!("&a{};", level - 1).repeat(10)
            );
        }
        text += "]><r>&a11;</r>";
        // The word is not in it a thousand million times, and whatever is in it is little.
        assert!(xml(&text).unwrap().text.len() < 10_000);
    }
}
