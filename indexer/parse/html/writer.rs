//! Walks a page's tree and writes Markdown.
//!
//! The walk is a loop and not recursive, so a deep tree needs no stack.

use ego_tree::NodeRef;
use ego_tree::iter::Edge;
use scraper::node::Element;
use scraper::{ElementRef, Node};

/// Elements without main content.
const SKIPPED_ELEMENTS: &[&str] = &[
    "script", "style", "noscript", "template", "svg", "math", "nav", "aside", "iframe", "object", "button",
    "select", "input", "textarea", "head",
];
/// Classes of elements without main content, as documentation generators write them.
const SKIPPED_CLASSES: &[&str] = &[
    "headerlink",
    "sphinxsidebar",
    "related",
    "navheader",
    "navfooter",
    "toc",
    "breadcrumbs",
    "sidebar",
    "skip-link",
    "visually-hidden",
    "sr-only",
];

/// Writes the elements of a tree in document order.
#[derive(Default)]
pub(super) struct Writer {
    out: String,
    /// Line breaks to write before the next text.
    pending_breaks: usize,
    /// Whether to write a space before the next word.
    pending_space: bool,
    /// Number of open `pre` elements, in which white space is significant.
    verbatim: usize,
    /// Open lists, with the next number if the list is numbered.
    lists: Vec<Option<u32>>,
    tables: Vec<Table>,
}

/// An open table.
struct Table {
    /// Whether each row is written on a line. A layout table, or one with multi-line content, is written as blocks.
    by_rows: bool,
    /// Whether a row is open. A line break would split it.
    in_row: bool,
    /// Number of finished rows.
    rows: usize,
    /// Number of cells in the current row.
    cells: usize,
}

impl Writer {
    /// Writes an element and its descendants.
    pub(super) fn write(&mut self, content: ElementRef<'_>) {
        // Number of open skipped elements. Nothing is written inside them.
        let mut skipped = 0usize;
        for edge in content.traverse() {
            match edge {
                Edge::Open(node) => match node.value() {
                    Node::Element(element) if skipped > 0 || is_skipped(element) => skipped += 1,
                    Node::Element(element) => self.open(element, node),
                    Node::Text(text) if skipped == 0 => self.text(text),
                    _ => {}
                },
                Edge::Close(node) => match node.value() {
                    Node::Element(_) if skipped > 0 => skipped -= 1,
                    Node::Element(element) => self.close(element),
                    _ => {}
                },
            }
        }
    }

    fn open(&mut self, element: &Element, node: NodeRef<'_, Node>) {
        match element.name() {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.block(2);
                let level = usize::from(element.name().as_bytes()[1] - b'0');
                self.put(&"#".repeat(level));
                self.pending_space = true;
            }
            "pre" => {
                self.block(2);
                self.put("```\n");
                self.verbatim += 1;
            }
            "ul" | "menu" => self.open_list(None),
            "ol" => self.open_list(Some(1)),
            "li" => self.open_item(),
            "table" => {
                self.block(2);
                self.tables.push(Table {
                    by_rows: fits_in_rows(node),
                    in_row: false,
                    rows: 0,
                    cells: 0,
                });
            }
            "tr" => {
                self.block(1);
                if let Some(table) = self.tables.last_mut().filter(|table| table.by_rows) {
                    table.cells = 0;
                    self.put("|");
                    self.set_in_row(true);
                }
            }
            "td" | "th" => self.block(1),
            "br" => self.block(1),
            "hr" => self.block(2),
            name if is_block(name) => self.block(if name == "p" || name == "dl" { 2 } else { 1 }),
            _ => {}
        }
    }

    fn close(&mut self, element: &Element) {
        match element.name() {
            "pre" => {
                self.verbatim = self.verbatim.saturating_sub(1);
                if !self.out.ends_with('\n') {
                    self.out.push('\n');
                }
                self.put("```");
                self.block(2);
            }
            "ul" | "ol" | "menu" => {
                self.lists.pop();
                self.block(if self.lists.is_empty() { 2 } else { 1 });
            }
            "td" | "th" => match self.tables.last_mut() {
                Some(table) if table.in_row => {
                    table.cells += 1;
                    self.pending_space = true;
                    self.put("|");
                }
                _ => self.block(1),
            },
            "tr" => {
                self.set_in_row(false);
                self.block(1);
                if let Some(table) = self.tables.last_mut().filter(|table| table.by_rows) {
                    table.rows += 1;
                    if table.rows == 1 && table.cells > 0 {
                        let rule = format!("|{}", "---|".repeat(table.cells));
                        self.put(&rule);
                        self.block(1);
                    }
                }
            }
            "table" => {
                self.tables.pop();
                self.block(2);
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "p" | "dl" | "blockquote" => self.block(2),
            name if is_block(name) => self.block(1),
            _ => {}
        }
    }

    fn open_list(&mut self, first: Option<u32>) {
        self.block(if self.lists.is_empty() { 2 } else { 1 });
        self.lists.push(first);
    }

    fn open_item(&mut self) {
        self.block(1);
        let depth = self.lists.len().saturating_sub(1).min(8);
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{}.", *number - 1)
            }
            _ => "-".to_owned(),
        };
        if !self.in_row() {
            self.flush();
            self.out.push_str(&"  ".repeat(depth));
        }
        self.put(&mark);
        self.pending_space = true;
    }

    fn in_row(&self) -> bool {
        self.tables.last().is_some_and(|table| table.in_row)
    }

    fn set_in_row(&mut self, in_row: bool) {
        if let Some(table) = self.tables.last_mut() {
            table.in_row = in_row;
        }
    }

    /// Requests `lines` line breaks before the next text. In a table row, requests a space.
    fn block(&mut self, lines: usize) {
        if self.in_row() {
            self.pending_space = true;
            return;
        }
        self.pending_breaks = self.pending_breaks.max(lines);
        self.pending_space = false;
    }

    fn text(&mut self, text: &str) {
        if self.verbatim > 0 {
            self.flush();
            self.out.push_str(text);
            return;
        }
        for (index, word) in text.split(char::is_whitespace).enumerate() {
            self.pending_space |= index > 0;
            if !word.is_empty() {
                self.put(word);
            }
        }
    }

    /// Writes a word, after the pending line breaks or space.
    fn put(&mut self, word: &str) {
        self.flush();
        if std::mem::take(&mut self.pending_space) && !self.out.is_empty() && !self.out.ends_with(['\n', ' '])
        {
            self.out.push(' ');
        }
        self.out.push_str(word);
    }

    fn flush(&mut self) {
        let breaks = std::mem::take(&mut self.pending_breaks);
        if breaks > 0 && !self.out.is_empty() {
            let existing = self.out.bytes().rev().take_while(|byte| *byte == b'\n').count();
            self.out.push_str(&"\n".repeat(breaks.saturating_sub(existing)));
            self.pending_space = false;
        }
    }

    /// The text. It ends with one line break, unless it is empty.
    pub(super) fn finish(mut self) -> String {
        while self.out.ends_with(char::is_whitespace) {
            self.out.pop();
        }
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out
    }
}

/// Whether every row of a table fits on one line. The search stops at the first element that needs more lines, so
/// nested tables are not searched repeatedly.
fn fits_in_rows(table: NodeRef<'_, Node>) -> bool {
    let mut inside = table
        .descendants()
        .skip(1)
        .filter_map(|node| node.value().as_element());
    !inside.any(|element| {
        matches!(
            element.name(),
            "table" | "pre" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6"
        )
    })
}

fn is_skipped(element: &Element) -> bool {
    let role = element
        .attr("role")
        .is_some_and(|role| matches!(role, "navigation" | "search" | "banner" | "contentinfo"));
    role || SKIPPED_ELEMENTS.contains(&element.name())
        || element.attr("hidden").is_some()
        || element.classes().any(|class| SKIPPED_CLASSES.contains(&class))
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "section"
            | "article"
            | "main"
            | "header"
            | "footer"
            | "blockquote"
            | "dl"
            | "dt"
            | "dd"
            | "figure"
            | "figcaption"
            | "address"
            | "details"
            | "summary"
            | "caption"
            | "body"
            | "form"
            | "fieldset"
            | "legend"
    )
}
