//! Reads XML trees by local names. In Office formats, local names suffice to identify elements.

use roxmltree::{Document, Node, ParsingOptions};

use super::Refusal;

/// Most nodes of a tree.
const MAX_NODES: u32 = 4_000_000;

/// Parses `text`, the content of `file`.
///
/// # Errors
/// [`Refusal`] that names `file` if the XML is malformed.
pub(super) fn tree<'t>(text: &'t str, file: &str) -> Result<Document<'t>, Refusal> {
    let options = ParsingOptions {
        allow_dtd: true,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options)
        .map_err(|error| Refusal::malformed(&format!("XML in {file}"), error))
}

/// Whether `node` is an element with this local name, in any namespace.
pub(super) fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

/// The first child element with this name.
pub(super) fn child<'a, 't>(node: Node<'a, 't>, name: &str) -> Option<Node<'a, 't>> {
    node.children().find(|child| is(child, name))
}

/// The first descendant element with this name.
pub(super) fn find<'a, 't>(node: Node<'a, 't>, name: &str) -> Option<Node<'a, 't>> {
    node.descendants().find(|child| is(child, name))
}

/// The value of an attribute, by local name.
pub(super) fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.attributes()
        .find(|attribute| attribute.name() == name)
        .map(|attribute| attribute.value())
}

/// The concatenated text of all descendants.
pub(super) fn text(node: Node<'_, '_>) -> String {
    node.descendants()
        .filter(Node::is_text)
        .filter_map(|node| node.text())
        .collect()
}
