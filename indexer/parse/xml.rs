//! Reading XML trees by local names, which is all that tells the elements of Office formats apart.

use roxmltree::{Document, Node, ParsingOptions};

use super::Refusal;

/// Most nodes of a tree.
const MOST_NODES: u32 = 4_000_000;

/// A tree of `text`.
///
/// # Errors
/// [`Refusal`] saying `what` is broken.
pub(super) fn tree<'t>(text: &'t str, what: &str) -> Result<Document<'t>, Refusal> {
    let options = ParsingOptions {
        allow_dtd: true,
        nodes_limit: MOST_NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options)
        .map_err(|error| Refusal::error(format!("broken XML in {what}: {error}")))
}

/// Whether `node` is an element of this name, whatever its namespace.
pub(super) fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

/// The first child of this name.
pub(super) fn child<'a, 't>(node: Node<'a, 't>, name: &str) -> Option<Node<'a, 't>> {
    node.children().find(|child| is(child, name))
}

/// The first element below `node` of this name.
pub(super) fn find<'a, 't>(node: Node<'a, 't>, name: &str) -> Option<Node<'a, 't>> {
    node.descendants().find(|child| is(child, name))
}

/// An attribute by its local name.
pub(super) fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.attributes()
        .find(|attribute| attribute.name() == name)
        .map(|attribute| attribute.value())
}

/// All text below `node`.
pub(super) fn text(node: Node<'_, '_>) -> String {
    node.descendants()
        .filter(Node::is_text)
        .filter_map(|node| node.text())
        .collect()
}
