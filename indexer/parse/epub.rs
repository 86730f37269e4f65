//! EPUB books: the chapters in reading order. Each chapter is an HTML page.

use std::collections::{HashMap, HashSet};

use super::composer::Composer;
use super::package::{Package, resolve};
use super::{Parsed, ReasonCode, Refusal, decode, html, properties, xml};

pub(super) fn parse(mut package: Package<'_>) -> Result<Parsed, Refusal> {
    let container = package.text("META-INF/container.xml")?;
    let declared = match &container {
        Some(text) => xml::find(xml::tree(text, "META-INF/container.xml")?.root(), "rootfile")
            .and_then(|node| xml::attribute(node, "full-path"))
            .map(str::to_owned),
        None => None,
    };
    let names = package.names();
    let opf = declared.or_else(|| names.into_iter().find(|name| name.ends_with(".opf")));
    let Some(opf) = opf else {
        return Err(Refusal::malformed("EPUB", "no package document"));
    };
    let Some(text) = package.text(&opf)? else {
        return Err(Refusal::malformed("EPUB", format!("{opf} is missing")));
    };
    let tree = xml::tree(&text, &opf)?;
    let encrypted = package.text("META-INF/encryption.xml")?.unwrap_or_default();
    let mut items: HashMap<&str, (String, bool)> = HashMap::new();
    for node in tree.descendants().filter(|node| xml::is(node, "item")) {
        if let (Some(id), Some(href)) = (xml::attribute(node, "id"), xml::attribute(node, "href")) {
            let is_contents = xml::attribute(node, "properties")
                .is_some_and(|list| list.split_whitespace().any(|p| p == "nav"));
            let href = percent_decoded(href.split('#').next().unwrap_or(href));
            items.insert(id, (resolve(&opf, &href), is_contents));
        }
    }
    let mut composer = Composer::default();
    let mut seen = HashSet::new();
    let mut missing = Vec::new();
    let mut is_protected = false;
    for reference in tree.descendants().filter(|node| xml::is(node, "itemref")) {
        let item = xml::attribute(reference, "idref").and_then(|id| items.get(id));
        let Some((path, is_contents)) = item else { continue };
        if !seen.insert(path.clone()) {
            continue;
        }
        // The table of contents only repeats headings.
        if *is_contents {
            continue;
        }
        if encrypted.contains(path.as_str()) {
            is_protected = true;
            continue;
        }
        match package.read(path)? {
            Some(bytes) => {
                if let Ok(text) = decode::decode(&bytes)
                    && let Ok(chapter) = html::parse(&text)
                {
                    composer.embed(0, &chapter);
                }
            }
            None => missing.push(path.clone()),
        }
    }
    if composer.is_empty() {
        return Err(match missing.first() {
            _ if is_protected => Refusal::new(
                ReasonCode::Encrypted,
                "encrypted by its seller (DRM); use a copy without protection",
            ),
            Some(path) => Refusal::malformed("EPUB", format!("{path} is missing")),
            None => Refusal::no_text("book"),
        });
    }
    let (title, metadata) =
        xml::find(tree.root(), "metadata").map_or_else(Default::default, properties::read);
    let mut parsed = composer.finish("epub", "book")?;
    parsed.title = title;
    parsed.metadata = metadata;
    Ok(parsed)
}

/// Decodes percent escapes, such as `%20`, in a path.
fn percent_decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex
            .filter(|_| byte == b'%')
            .and_then(|hex| u8::from_str_radix(hex, 16).ok())
        {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_escapes_in_paths_are_decoded() {
        assert_eq!(percent_decoded("a%20b/%C3%BC%zz%"), "a b/ü%zz%");
    }
}
