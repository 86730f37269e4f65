//! Word documents (.docx): paragraphs, headings, lists, tables, notes and comments.

use roxmltree::Node;

use super::super::composer::Composer;
use super::super::package::Package;
use super::super::{Parsed, Refusal, xml};
use super::numbering::Numbering;
use super::styles::{self, Styles};
use super::{MAX_DEPTH, Relationships, main_part, metadata};

pub(in super::super) fn parse(mut package: Package<'_>) -> Result<Parsed, Refusal> {
    let main = main_part(&mut package, "word/document.xml")?;
    let relationships = Relationships::of(&mut package, &main)?;
    let Some(text) = package.text(&main)? else {
        return Err(Refusal::malformed("Word document", format!("{main} is missing")));
    };
    let tree = xml::tree(&text, &main)?;
    let mut reader = Reader {
        has_pages: tree
            .descendants()
            .any(|node| xml::is(&node, "lastRenderedPageBreak")),
        ..Reader::default()
    };
    if let Some(path) = relationships.first("styles")
        && let Some(text) = package.text(path)?
    {
        reader.styles = Styles::read(xml::tree(&text, path)?.root());
    }
    if let Some(path) = relationships.first("numbering")
        && let Some(text) = package.text(path)?
    {
        reader.numbering = Numbering::read(xml::tree(&text, path)?.root());
    }
    if reader.has_pages {
        reader.composer.page();
    }
    if let Some(body) = xml::find(tree.root(), "body") {
        reader.blocks(body, 0);
    }
    for (kind, element, heading) in [
        ("footnotes", "footnote", "Footnotes"),
        ("endnotes", "endnote", "Endnotes"),
        ("comments", "comment", "Comments"),
    ] {
        if let Some(path) = relationships.first(kind)
            && let Some(text) = package.text(path)?
        {
            reader.notes(xml::tree(&text, path)?.root(), element, heading);
        }
    }
    let (title, metadata) = metadata(&mut package);
    let mut parsed = reader.composer.finish("docx", "document")?;
    parsed.title = title.or(reader.title);
    parsed.metadata = metadata;
    Ok(parsed)
}

#[derive(Default)]
struct Reader {
    composer: Composer,
    styles: Styles,
    numbering: Numbering,
    title: Option<String>,
    /// Whether the document records the page breaks of its last layout.
    has_pages: bool,
    /// Page breaks since the last block.
    breaks: usize,
}

impl Reader {
    /// Writes the paragraphs and tables of a body, a text box or a cell.
    fn blocks(&mut self, parent: Node<'_, '_>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        for node in parent.children().filter(Node::is_element) {
            match node.tag_name().name() {
                "p" => self.paragraph(node, depth),
                "tbl" => self.table(node, depth),
                "sdt" => {
                    if let Some(content) = xml::child(node, "sdtContent") {
                        self.blocks(content, depth + 1);
                    }
                }
                "ins" | "customXml" | "smartTag" | "moveTo" => self.blocks(node, depth + 1),
                "AlternateContent" => {
                    if let Some(choice) = choice(node) {
                        self.blocks(choice, depth + 1);
                    }
                }
                _ => {}
            }
        }
    }

    fn paragraph(&mut self, node: Node<'_, '_>, depth: usize) {
        let properties = xml::child(node, "pPr");
        let value = |name: &str| {
            properties
                .and_then(|properties| xml::child(properties, name))
                .and_then(|node| xml::attribute(node, "val"))
        };
        let style = value("pStyle");
        let mut inline = Inline::default();
        inline.read(node, 0);
        // A page break before the first text of a paragraph belongs before the paragraph.
        self.breaks += inline.breaks_before;
        self.begin_pages();
        let outline = properties
            .and_then(|properties| xml::child(properties, "outlineLvl"))
            .and_then(styles::outline_level);
        let level = outline.or_else(|| style.and_then(|style| self.styles.heading_level(style)));
        let list = properties
            .and_then(styles::list)
            .or_else(|| style.and_then(|style| self.styles.list(style)))
            .filter(|(list, _)| list != "0");
        let text = inline.text.trim();
        if let Some(level) = level {
            self.composer.heading(level, text);
            if self.title.is_none()
                && !text.is_empty()
                && (level == 1 || style.is_some_and(|style| self.styles.is_title(style)))
            {
                self.title = Some(text.to_owned());
            }
        } else if let Some((list, item_depth)) = list {
            // An empty item is not written and must not use up a number.
            let number = if text.is_empty() {
                None
            } else {
                self.numbering.number(&list, item_depth)
            };
            self.composer.item(item_depth, number, text);
        } else {
            self.composer.paragraph(text);
        }
        for text_box in inline.boxes {
            self.blocks(text_box, depth + 1);
        }
        self.breaks += inline.breaks;
    }

    fn begin_pages(&mut self) {
        let breaks = std::mem::take(&mut self.breaks);
        if self.has_pages {
            for _ in 0..breaks {
                self.composer.page();
            }
        }
    }

    fn table(&mut self, node: Node<'_, '_>, depth: usize) {
        self.begin_pages();
        let rows: Vec<Node<'_, '_>> = unwrapped(node, "tr");
        let cells: Vec<Vec<Node<'_, '_>>> = rows.iter().map(|row| unwrapped(*row, "tc")).collect();
        // A table with a single cell is a frame around blocks.
        if let [only] = cells.as_slice()
            && let [cell] = only.as_slice()
        {
            return self.blocks(*cell, depth + 1);
        }
        let mut lines = Vec::with_capacity(cells.len());
        for row in &cells {
            let mut line = Vec::with_capacity(row.len());
            for cell in row {
                let properties = xml::child(*cell, "tcPr");
                let property = |name: &str| properties.and_then(|properties| xml::child(properties, name));
                let is_continued = property("vMerge").is_some_and(|merge| {
                    xml::attribute(merge, "val").is_none_or(|value| value == "continue")
                });
                line.push(if is_continued {
                    String::new()
                } else {
                    self.cell_text(*cell)
                });
                let span = property("gridSpan")
                    .and_then(|span| xml::attribute(span, "val"))
                    .and_then(|span| span.parse::<usize>().ok());
                line.extend((1..span.unwrap_or(1).min(64)).map(|_| String::new()));
            }
            lines.push(line);
        }
        self.composer.table(&lines);
    }

    /// The text of all paragraphs in a cell, including nested tables.
    fn cell_text(&mut self, cell: Node<'_, '_>) -> String {
        let mut text = String::new();
        for paragraph in cell.descendants().filter(|node| xml::is(node, "p")) {
            let mut inline = Inline::default();
            inline.read(paragraph, 0);
            self.breaks += inline.breaks_before + inline.breaks;
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(inline.text.trim());
        }
        text
    }

    fn notes(&mut self, root: Node<'_, '_>, element: &str, heading: &str) {
        let mut has_heading = false;
        for note in root.descendants().filter(|node| xml::is(node, element)) {
            // A note with a type is a separator line.
            if xml::attribute(note, "type").is_some() {
                continue;
            }
            let text = self.cell_text(note);
            if text.trim().is_empty() {
                continue;
            }
            if !std::mem::replace(&mut has_heading, true) {
                self.composer.heading(1, heading);
            }
            let text = match xml::attribute(note, "author") {
                Some(author) => format!("{author}: {text}"),
                None => text,
            };
            self.composer.item(0, None, &text);
        }
    }
}

/// The rows of a table or the cells of a row, including those inside wrapper elements.
fn unwrapped<'a, 't>(parent: Node<'a, 't>, name: &str) -> Vec<Node<'a, 't>> {
    let mut elements = Vec::new();
    let mut open: Vec<Node<'a, 't>> = parent.children().rev().collect();
    while let Some(node) = open.pop() {
        if xml::is(&node, name) {
            elements.push(node);
        } else if matches!(
            node.tag_name().name(),
            "sdt" | "sdtContent" | "ins" | "customXml" | "smartTag"
        ) {
            open.extend(node.children().rev());
        }
    }
    elements
}

/// Of several alternative renderings, the one to read.
fn choice<'a, 't>(alternatives: Node<'a, 't>) -> Option<Node<'a, 't>> {
    xml::child(alternatives, "Choice").or_else(|| xml::child(alternatives, "Fallback"))
}

/// The text of a paragraph, with its text boxes and page breaks.
#[derive(Default)]
struct Inline<'a, 't> {
    text: String,
    boxes: Vec<Node<'a, 't>>,
    /// Page breaks before the first text.
    breaks_before: usize,
    /// Page breaks after the first text.
    breaks: usize,
}

impl<'a, 't> Inline<'a, 't> {
    fn read(&mut self, parent: Node<'a, 't>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        for node in parent.children().filter(Node::is_element) {
            match node.tag_name().name() {
                "t" => self.text.push_str(&xml::text(node)),
                "tab" | "ptab" => self.text.push(' '),
                "br" if xml::attribute(node, "type").is_some_and(|kind| kind != "textWrapping") => {}
                "br" | "cr" => self.text.push('\n'),
                "noBreakHyphen" => self.text.push('-'),
                "lastRenderedPageBreak" if self.text.trim().is_empty() => self.breaks_before += 1,
                "lastRenderedPageBreak" => self.breaks += 1,
                "txbxContent" => self.boxes.push(node),
                // Deleted text, field instructions and properties are not text of the document.
                "del" | "moveFrom" | "instrText" | "delText" | "pPr" | "rPr" | "p" => {}
                // Fractions and scripts change the meaning of a formula.
                "f" => self.fraction(node, depth),
                "sSup" => self.script(node, "sup", '^', depth),
                "sSub" => self.script(node, "sub", '_', depth),
                "AlternateContent" => {
                    if let Some(choice) = choice(node) {
                        self.read(choice, depth + 1);
                    }
                }
                _ => self.read(node, depth + 1),
            }
        }
    }

    fn fraction(&mut self, node: Node<'a, 't>, depth: usize) {
        for (index, name) in ["num", "den"].into_iter().enumerate() {
            self.text.push_str(if index == 0 { "(" } else { "/(" });
            if let Some(part) = xml::child(node, name) {
                self.read(part, depth + 1);
            }
            self.text.push(')');
        }
    }

    fn script(&mut self, node: Node<'a, 't>, name: &str, mark: char, depth: usize) {
        if let Some(base) = xml::child(node, "e") {
            self.read(base, depth + 1);
        }
        self.text.push(mark);
        if let Some(script) = xml::child(node, name) {
            self.read(script, depth + 1);
        }
    }
}
