//! Paragraph styles of a Word document: headings and lists.

use std::collections::HashMap;

use roxmltree::Node;

use super::super::xml;

/// Longest chain of styles based on one another that is followed.
const MAX_CHAIN: usize = 20;

/// Styles by id.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

#[derive(Default)]
struct Style {
    level: Option<usize>,
    is_title: bool,
    based_on: Option<String>,
    /// Id and depth of the list that the paragraphs belong to.
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
            let level = name
                .strip_prefix("heading ")
                .and_then(|level| level.trim().parse().ok());
            let properties = xml::child(node, "pPr");
            let outline = properties
                .and_then(|properties| xml::child(properties, "outlineLvl"))
                .and_then(outline_level);
            styles.insert(
                id.to_owned(),
                Style {
                    level: level.or(outline),
                    is_title: name == "title",
                    based_on: value("basedOn").map(str::to_owned),
                    list: properties.and_then(list),
                },
            );
        }
        Styles(styles)
    }

    /// The heading level of this style; 1 for a title.
    pub(super) fn heading_level(&self, id: &str) -> Option<usize> {
        self.inherited(id, |style| style.level.or(style.is_title.then_some(1)))
    }

    /// Whether this is the style of the document title.
    pub(super) fn is_title(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|style| style.is_title)
    }

    /// Id and depth of the list that paragraphs of this style belong to.
    pub(super) fn list(&self, id: &str) -> Option<(String, usize)> {
        self.inherited(id, |style| style.list.clone())
    }

    fn inherited<T>(&self, id: &str, value: impl Fn(&Style) -> Option<T>) -> Option<T> {
        let mut id = id;
        for _ in 0..MAX_CHAIN {
            let style = self.0.get(id)?;
            if let Some(value) = value(style) {
                return Some(value);
            }
            id = style.based_on.as_deref()?;
        }
        None
    }
}

/// The heading level of an `outlineLvl` element. Its level 9 is body text.
pub(super) fn outline_level(node: Node<'_, '_>) -> Option<usize> {
    let level: usize = xml::attribute(node, "val")?.parse().ok()?;
    (level < 9).then_some(level + 1)
}

/// Id and depth of the list in a paragraph's properties.
pub(super) fn list(properties: Node<'_, '_>) -> Option<(String, usize)> {
    let numbering = xml::child(properties, "numPr")?;
    let value = |name: &str| xml::child(numbering, name).and_then(|node| xml::attribute(node, "val"));
    let depth = value("ilvl").and_then(|depth| depth.parse().ok()).unwrap_or(0);
    Some((value("numId")?.to_owned(), depth))
}
