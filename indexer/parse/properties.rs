//! Document properties of Office, OpenDocument and EPUB files, which all use Dublin Core.

use autorag_store::Metadata;
use roxmltree::Node;

use super::composer::one_line;
use super::xml;

/// Elements to keep, and their metadata names. If several elements have the same name, the first one wins.
const KEPT: &[(&str, &str)] = &[
    ("creator", "author"),
    ("initial-creator", "author"),
    ("created", "created"),
    ("creation-date", "created"),
    ("modified", "modified"),
    ("date", "date"),
    ("language", "lang"),
    ("subject", "subject"),
    ("keywords", "keywords"),
    ("keyword", "keywords"),
    ("description", "description"),
    ("publisher", "publisher"),
    ("identifier", "identifier"),
];

/// Reads title and metadata below `node`.
pub(super) fn read(node: Node<'_, '_>) -> (Option<String>, Metadata) {
    let (mut title, mut metadata) = (None, Metadata::new());
    for element in node.descendants().filter(Node::is_element) {
        let text = one_line(&xml::text(element));
        if text.is_empty() || element.children().any(|child| child.is_element()) {
            continue;
        }
        let name = element.tag_name().name();
        if name == "title" {
            title.get_or_insert(text);
        } else if let Some((_, kept)) = KEPT.iter().find(|(known, _)| *known == name)
            && !metadata.contains_key(*kept)
        {
            metadata.insert((*kept).into(), text.into());
        }
    }
    (title, metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dublin_core_elements_become_metadata() {
        let text = "<p xmlns:dc='d'><dc:title> A  b</dc:title><dc:creator>C</dc:creator><x><modified>2026</modified></x>\
                    <dc:language/></p>";
        let tree = xml::tree(text, "test").unwrap();
        let (title, metadata) = read(tree.root());
        assert_eq!(title.as_deref(), Some("A b"));
        assert_eq!(metadata.len(), 2);
        assert_eq!(
            (&metadata["author"], &metadata["modified"]),
            (&"C".into(), &"2026".into())
        );
    }
}
