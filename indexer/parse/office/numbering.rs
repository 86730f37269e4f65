//! Numbers of the lists in a Word document.

use std::collections::HashMap;

use roxmltree::Node;

use super::super::xml;

/// The numbered lists of a document, and their next numbers.
#[derive(Default)]
pub(super) struct Numbering {
    /// Abstract definition of each list.
    definitions: HashMap<String, String>,
    /// Start number of each numbered level of a definition.
    numbered: HashMap<(String, usize), u64>,
    /// Next number of each list and depth.
    next: HashMap<(String, usize), u64>,
}

impl Numbering {
    pub(super) fn read(root: Node<'_, '_>) -> Numbering {
        let mut numbering = Numbering::default();
        for node in root.descendants().filter(|node| node.is_element()) {
            if xml::is(&node, "num") {
                let definition =
                    xml::child(node, "abstractNumId").and_then(|node| xml::attribute(node, "val"));
                if let (Some(id), Some(definition)) = (xml::attribute(node, "numId"), definition) {
                    numbering.definitions.insert(id.to_owned(), definition.to_owned());
                }
            } else if xml::is(&node, "abstractNum") {
                let Some(id) = xml::attribute(node, "abstractNumId") else {
                    continue;
                };
                for level in node.children().filter(|child| xml::is(child, "lvl")) {
                    let value =
                        |name: &str| xml::child(level, name).and_then(|node| xml::attribute(node, "val"));
                    let format = value("numFmt").unwrap_or("decimal");
                    let depth = xml::attribute(level, "ilvl").and_then(|depth| depth.parse().ok());
                    if let Some(depth) = depth.filter(|_| !matches!(format, "bullet" | "none")) {
                        let start = value("start").and_then(|start| start.parse().ok()).unwrap_or(1);
                        numbering.numbered.insert((id.to_owned(), depth), start);
                    }
                }
            }
        }
        numbering
    }

    /// The number of the next item of a list, or `None` if the list has bullets.
    pub(super) fn number(&mut self, list: &str, depth: usize) -> Option<u64> {
        let definition = self.definitions.get(list)?;
        let start = *self.numbered.get(&(definition.clone(), depth))?;
        // Deeper levels restart.
        self.next
            .retain(|(other, level), _| other != list || *level <= depth);
        let next = self.next.entry((list.to_owned(), depth)).or_insert(start);
        *next = next.saturating_add(1);
        Some(*next - 1)
    }
}
