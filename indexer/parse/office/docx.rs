//! Word documents: paragraphs, headings, lists, tables, notes and comments.

use roxmltree::Node;

use super::super::composer::Composer;
use super::super::package::Package;
use super::super::{Parsed, Refusal, xml};
use super::numbering::Numbering;
use super::styles::{self, Styles};
use super::{DEEPEST, Relations, main_part, metadata};

pub(in super::super) fn parse(mut package: Package<'_>) -> Result<Parsed, Refusal> {
    let main = main_part(&mut package, "word/document.xml")?;
    let relations = Relations::of(&mut package, &main)?;
    let Some(text) = package.text(&main)? else {
        return Err(Refusal::error(format!("broken Word document: {main} is missing")));
    };
    let tree = xml::tree(&text, &main)?;
    let mut reader = Reader {
        has_pages: tree
            .descendants()
            .any(|node| xml::is(&node, "lastRenderedPageBreak")),
        ..Reader::default()
    };
    if let Some(path) = relations.first("styles")
        && let Some(text) = package.text(path)?
    {
        reader.styles = Styles::read(xml::tree(&text, path)?.root());
    }
    if let Some(path) = relations.first("numbering")
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
        if let Some(path) = relations.first(kind)
            && let Some(text) = package.text(path)?
        {
            reader.notes(xml::tree(&text, path)?.root(), element, heading);
        }
    }
    let (title, metadata) = metadata(&mut package);
    let mut parsed = reader.composer.finish("docx", "a document without text")?;
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
    /// Whether the document says where its pages ended when it was last laid out.
    has_pages: bool,
    /// Page breaks since the last block.
    breaks: usize,
}

impl Reader {
    /// Paragraphs and tables of a body, a text box or a cell that holds more than text.
    fn blocks(&mut self, parent: Node<'_, '_>, depth: usize) {
        if depth > DEEPEST {
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
        // A page that ends at the beginning of a paragraph ends before it.
        self.breaks += inline.breaks_before;
        self.turn_pages();
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
            let number = match text.is_empty() {
                true => None,
                false => self.numbering.number(&list, item_depth),
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

    fn turn_pages(&mut self) {
        let breaks = std::mem::take(&mut self.breaks);
        if self.has_pages {
            for _ in 0..breaks {
                self.composer.page();
            }
        }
    }

    fn table(&mut self, node: Node<'_, '_>, depth: usize) {
        self.turn_pages();
        let rows: Vec<Node<'_, '_>> = wrapped(node, "tr");
        let cells: Vec<Vec<Node<'_, '_>>> = rows.iter().map(|row| wrapped(*row, "tc")).collect();
        // A table of one cell is a frame around blocks.
        if let [only] = cells.as_slice()
            && let [cell] = only.as_slice()
        {
            return self.blocks(*cell, depth + 1);
        }
        let mut written = Vec::with_capacity(cells.len());
        for row in &cells {
            let mut line = Vec::with_capacity(row.len());
            for cell in row {
                let properties = xml::child(*cell, "tcPr");
                let property = |name: &str| properties.and_then(|properties| xml::child(properties, name));
                let goes_on = property("vMerge").is_some_and(|merge| {
                    xml::attribute(merge, "val").is_none_or(|value| value == "continue")
                });
                line.push(if goes_on { String::new() } else { self.cell(*cell) });
                let span = property("gridSpan")
                    .and_then(|span| xml::attribute(span, "val"))
                    .and_then(|span| span.parse::<usize>().ok());
                line.extend((1..span.unwrap_or(1).min(64)).map(|_| String::new()));
            }
            written.push(line);
        }
        self.composer.table(&written);
    }

    /// All paragraphs of a cell, those of tables within it among them.
    fn cell(&mut self, cell: Node<'_, '_>) -> String {
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
        let mut titled = false;
        for note in root.descendants().filter(|node| xml::is(node, element)) {
            // Separators between text and notes are notes of a type.
            if xml::attribute(note, "type").is_some() {
                continue;
            }
            let text = self.cell(note);
            if text.trim().is_empty() {
                continue;
            }
            if !std::mem::replace(&mut titled, true) {
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

/// The rows of a table or the cells of a row, through whatever wraps them.
fn wrapped<'a, 't>(parent: Node<'a, 't>, name: &str) -> Vec<Node<'a, 't>> {
    let mut found = Vec::new();
    let mut open: Vec<Node<'a, 't>> = parent.children().rev().collect();
    while let Some(node) = open.pop() {
        if xml::is(&node, name) {
            found.push(node);
        } else if matches!(
            node.tag_name().name(),
            "sdt" | "sdtContent" | "ins" | "customXml" | "smartTag"
        ) {
            open.extend(node.children().rev());
        }
    }
    found
}

/// The one of several renderings that is read.
fn choice<'a, 't>(alternatives: Node<'a, 't>) -> Option<Node<'a, 't>> {
    xml::child(alternatives, "Choice").or_else(|| xml::child(alternatives, "Fallback"))
}

/// The text of a paragraph.
#[derive(Default)]
struct Inline<'a, 't> {
    text: String,
    boxes: Vec<Node<'a, 't>>,
    /// Page breaks before its first text …
    breaks_before: usize,
    /// … and after that.
    breaks: usize,
}

impl<'a, 't> Inline<'a, 't> {
    fn read(&mut self, parent: Node<'a, 't>, depth: usize) {
        if depth > DEEPEST {
            return;
        }
        for node in parent.children().filter(Node::is_element) {
            match node.tag_name().name() {
                "t" => self.text.push_str(&xml::text(node)),
                "tab" | "ptab" => self.text.push(' '),
                "br" if xml::attribute(node, "type").is_some_and(|kind| kind != "textWrapping") => {}
                "br" | "cr" => self.text.push('\n'),
                "noBreakHyphen" => self.text.push('-'),
                "lastRenderedPageBreak" => match self.text.trim().is_empty() {
                    true => self.breaks_before += 1,
                    false => self.breaks += 1,
                },
                "txbxContent" => self.boxes.push(node),
                // What was deleted, names of fields and properties are no text of the document.
                "del" | "moveFrom" | "instrText" | "delText" | "pPr" | "rPr" | "p" => {}
                // Parts of formulas that change what the rest means.
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
