//! Which styles of a Word document are headings.

use std::collections::HashMap;

use roxmltree::Node;

use super::super::xml;

/// Most styles that one may be based on another.
const LONGEST_CHAIN: usize = 20;

/// Styles by their ids.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

#[derive(Default)]
struct Style {
    level: Option<usize>,
    is_title: bool,
    based_on: Option<String>,
    /// Number and depth of the list that its paragraphs are in.
    list: Option<(String, usize)>,
}

impl Styles {
    pub(super) fn read(root: Node<'_, '_>) -> Styles {
        let mut styles = HashMap::new();
        for node in root.descendants().filter(|node| xml::is(node, "style")) {
            let Some(id) = xml::attribute(node, "styleId") else {
                continue;
            };
            let value = |name: &str| xml::child(node, name).and_then(|node| xml::attribute(node, "val"));
            let name = value("name").unwrap_or(id).to_lowercase();
            let named = name
                .strip_prefix("heading ")
                .and_then(|level| level.trim().parse().ok());
            let properties = xml::child(node, "pPr");
            let outline = properties
                .and_then(|properties| xml::child(properties, "outlineLvl"))
                .and_then(outline_level);
            styles.insert(
                id.to_owned(),
                Style {
                    level: named.or(outline),
                    is_title: name == "title",
                    based_on: value("basedOn").map(str::to_owned),
                    list: properties.and_then(list),
                },
            );
        }
        Styles(styles)
    }

    /// The level of the headings that have this style; 1 for a title.
    pub(super) fn heading_level(&self, id: &str) -> Option<usize> {
        self.inherited(id, |style| style.level.or(style.is_title.then_some(1)))
    }

    /// Whether this is the style of the document's title.
    pub(super) fn is_title(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|style| style.is_title)
    }

    /// Number and depth of the list that paragraphs of this style are in.
    pub(super) fn list(&self, id: &str) -> Option<(String, usize)> {
        self.inherited(id, |style| style.list.clone())
    }

    fn inherited<T>(&self, id: &str, value: impl Fn(&Style) -> Option<T>) -> Option<T> {
        let mut id = id;
        for _ in 0..LONGEST_CHAIN {
            let style = self.0.get(id)?;
            if let Some(found) = value(style) {
                return Some(found);
            }
            id = style.based_on.as_deref()?;
        }
        None
    }
}

/// The level of an `outlineLvl`; its 9 is body text.
pub(super) fn outline_level(node: Node<'_, '_>) -> Option<usize> {
    let level: usize = xml::attribute(node, "val")?.parse().ok()?;
    (level < 9).then_some(level + 1)
}

/// Number and depth of the list in a paragraph's properties.
pub(super) fn list(properties: Node<'_, '_>) -> Option<(String, usize)> {
    let numbering = xml::child(properties, "numPr")?;
    let value = |name: &str| xml::child(numbering, name).and_then(|node| xml::attribute(node, "val"));
    let depth = value("ilvl").and_then(|depth| depth.parse().ok()).unwrap_or(0);
    Some((value("numId")?.to_owned(), depth))
}
