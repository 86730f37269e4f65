//! OpenDocument texts, presentations and drawings.

use std::collections::HashMap;

use autorag_store::Metadata;
use roxmltree::Node;

use super::composer::{Composer, one_line};
use super::package::Package;
use super::{Parsed, Refusal, properties, xml};

/// Deepest nesting of lists, sections and frames that is followed.
const MAX_DEPTH: usize = 40;
/// Most repetitions of a cell or space that are written.
const MAX_REPEATED: usize = 256;

/// Refuses an encrypted package.
pub(super) fn check_encryption(package: &mut Package<'_>) -> Result<(), Refusal> {
    let manifest = package.text("META-INF/manifest.xml")?.unwrap_or_default();
    if manifest.contains("encryption-data") || manifest.contains("encrypted-key") {
        Err(Refusal::encrypted())
    } else {
        Ok(())
    }
}

/// Parses a text, presentation or drawing of document kind `kind`.
pub(super) fn parse(mut package: Package<'_>, kind: &'static str) -> Result<Parsed, Refusal> {
    check_encryption(&mut package)?;
    let Some(text) = package.text("content.xml")? else {
        return Err(Refusal::malformed("OpenDocument file", "content.xml is missing"));
    };
    let tree = xml::tree(&text, "content.xml")?;
    let Some(body) = xml::find(tree.root(), "body") else {
        return Err(Refusal::malformed("OpenDocument file", "no body"));
    };
    let mut reader = Reader::default();
    reader.read_lists(tree.root());
    if let Some(text) = package.text("styles.xml")? {
        reader.read_lists(xml::tree(&text, "styles.xml")?.root());
    }
    let is_text = kind == "odt";
    if is_text && body.descendants().any(|node| xml::is(&node, "soft-page-break")) {
        reader.has_pages = true;
        reader.composer.page();
    }
    reader.blocks(body, 0);
    reader.write_notes();
    let mut parsed = reader.composer.finish(kind, "document")?;
    let (title, metadata) = metadata(&mut package);
    parsed.title = title.or(reader.title);
    parsed.metadata = metadata;
    Ok(parsed)
}

/// Title and metadata of a package; none if its properties are malformed.
pub(super) fn metadata(package: &mut Package<'_>) -> (Option<String>, Metadata) {
    let Ok(Some(text)) = package.text("meta.xml") else {
        return (None, Metadata::new());
    };
    xml::tree(&text, "meta.xml")
        .map_or_else(|_| (None, Metadata::new()), |tree| properties::read(tree.root()))
}

#[derive(Default)]
struct Reader {
    composer: Composer,
    title: Option<String>,
    /// Start number of each numbered level of a list style. Levels begin at 1.
    numbered: HashMap<(String, usize), u64>,
    notes: Vec<String>,
    has_pages: bool,
}

impl Reader {
    fn read_lists(&mut self, root: Node<'_, '_>) {
        for style in root.descendants().filter(|node| xml::is(node, "list-style")) {
            let Some(name) = xml::attribute(style, "name") else {
                continue;
            };
            for level in style.children() {
                if xml::is(&level, "list-level-style-number")
                    && xml::attribute(level, "num-format").is_none_or(|format| !format.is_empty())
                    && let Some(depth) = xml::attribute(level, "level").and_then(|level| level.parse().ok())
                {
                    let start = xml::attribute(level, "start-value").and_then(|start| start.parse().ok());
                    self.numbered.insert((name.to_owned(), depth), start.unwrap_or(1));
                }
            }
        }
    }

    fn blocks(&mut self, parent: Node<'_, '_>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        for node in parent.children().filter(Node::is_element) {
            match node.tag_name().name() {
                "h" => {
                    let level = xml::attribute(node, "outline-level").and_then(|level| level.parse().ok());
                    let inline = self.inline(node);
                    self.heading(level.unwrap_or(1), &inline.text);
                    self.frames(inline, depth);
                }
                "p" => {
                    let inline = self.inline(node);
                    let is_title = xml::attribute(node, "style-name") == Some("Title");
                    if is_title {
                        self.heading(1, &inline.text);
                    } else {
                        self.composer.paragraph(&inline.text);
                    }
                    self.frames(inline, depth);
                }
                "list" => {
                    let style = xml::attribute(node, "style-name").unwrap_or_default().to_owned();
                    self.list(node, &style, 0, depth);
                }
                "table" => self.table(node),
                "page" => self.slide(node, depth),
                "soft-page-break" => self.begin_page(),
                // Tracked changes hold deleted text.
                "tracked-changes" | "forms" | "settings" | "variable-decls" | "sequence-decls" => {}
                "notes" => self.speaker_notes(node),
                _ => self.blocks(node, depth + 1),
            }
        }
    }

    fn heading(&mut self, level: usize, text: &str) {
        self.composer.heading(level, text);
        if level == 1 && self.title.is_none() && !text.trim().is_empty() {
            self.title = Some(one_line(text));
        }
    }

    fn begin_page(&mut self) {
        if self.has_pages {
            self.composer.page();
        }
    }

    /// Writes the text boxes of a paragraph, and the page breaks inside it.
    fn frames(&mut self, inline: Inline<'_, '_>, depth: usize) {
        for frame in inline.frames {
            self.blocks(frame, depth + 1);
        }
        for _ in 0..inline.breaks {
            self.begin_page();
        }
    }

    fn list(&mut self, list: Node<'_, '_>, style: &str, level: usize, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let mut number = self.numbered.get(&(style.to_owned(), level + 1)).copied();
        for item in list.children().filter(Node::is_element) {
            let mut first = true;
            for node in item.children().filter(Node::is_element) {
                if xml::is(&node, "list") {
                    self.list(node, style, level + 1, depth + 1);
                } else if xml::is(&node, "h") {
                    // Numbered chapter headings are inside lists.
                    let level = xml::attribute(node, "outline-level").and_then(|level| level.parse().ok());
                    let text = self.inline(node).text;
                    self.heading(level.unwrap_or(1), &text);
                } else if xml::is(&node, "p") {
                    let inline = self.inline(node);
                    if std::mem::replace(&mut first, false) {
                        self.composer.item(level, number, &inline.text);
                        number = number.map(|number| number.saturating_add(1));
                    } else {
                        self.composer.paragraph(&inline.text);
                    }
                    self.frames(inline, depth);
                }
            }
        }
    }

    fn table(&mut self, table: Node<'_, '_>) {
        let mut rows = Vec::new();
        let rows_of = table.descendants().filter(|node| xml::is(node, "table-row"));
        for row in rows_of {
            let mut line = Vec::new();
            for cell in row.children().filter(Node::is_element) {
                if !matches!(cell.tag_name().name(), "table-cell" | "covered-table-cell") {
                    continue;
                }
                let mut text = String::new();
                let paragraphs = cell.descendants();
                for node in paragraphs.filter(|node| xml::is(node, "p") || xml::is(node, "h")) {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(self.inline(node).text.trim());
                }
                let times =
                    xml::attribute(cell, "number-columns-repeated").and_then(|times| times.parse().ok());
                for _ in 0..times.unwrap_or(1).min(MAX_REPEATED) {
                    line.push(text.clone());
                }
            }
            while line.last().is_some_and(String::is_empty) {
                line.pop();
            }
            rows.push(line);
        }
        self.composer.table(&rows);
    }

    fn slide(&mut self, page: Node<'_, '_>, depth: usize) {
        self.composer.page();
        let is_title = |node: &Node<'_, '_>| {
            xml::is(node, "frame") && xml::attribute(*node, "class").is_some_and(|class| class == "title")
        };
        let title = page.children().find(is_title);
        if let Some(title) = title {
            let paragraphs: Vec<String> = title
                .descendants()
                .filter(|node| xml::is(node, "p"))
                .map(|node| self.inline(node).text)
                .collect();
            self.heading(1, &paragraphs.join(" "));
        }
        for node in page.children().filter(|node| Some(*node) != title) {
            // Page numbers, dates and footers repeat on every slide.
            let repeats = matches!(
                xml::attribute(node, "class"),
                Some("page-number" | "date-time" | "footer" | "header")
            );
            if repeats {
                continue;
            }
            if xml::is(&node, "notes") {
                self.speaker_notes(node);
            } else {
                self.blocks(node, depth + 1);
            }
        }
    }

    fn speaker_notes(&mut self, node: Node<'_, '_>) {
        let mut text = String::new();
        for paragraph in node.descendants().filter(|node| xml::is(node, "p")) {
            text.push_str(&self.inline(paragraph).text);
            text.push('\n');
        }
        if !text.trim().is_empty() {
            self.composer.paragraph(&format!("Notes: {}", text.trim()));
        }
    }

    fn inline<'a, 't>(&mut self, node: Node<'a, 't>) -> Inline<'a, 't> {
        let mut inline = Inline::default();
        inline.read(node, &mut self.notes, 0);
        inline
    }

    fn write_notes(&mut self) {
        let notes = std::mem::take(&mut self.notes);
        if !notes.is_empty() {
            self.composer.heading(1, "Notes");
        }
        for note in notes {
            self.composer.item(0, None, &note);
        }
    }
}

/// The text of a paragraph, with its frames and page breaks.
#[derive(Default)]
struct Inline<'a, 't> {
    text: String,
    frames: Vec<Node<'a, 't>>,
    breaks: usize,
}

impl<'a, 't> Inline<'a, 't> {
    fn read(&mut self, parent: Node<'a, 't>, notes: &mut Vec<String>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        for node in parent.children() {
            if node.is_text() {
                self.add_text(node.text().unwrap_or_default());
                continue;
            }
            match node.tag_name().name() {
                "s" => {
                    let count = xml::attribute(node, "c").and_then(|count| count.parse().ok());
                    let count: usize = count.unwrap_or(1);
                    self.text.push_str(&" ".repeat(count.min(MAX_REPEATED)));
                }
                "tab" => self.text.push(' '),
                "line-break" => self.text.push('\n'),
                "soft-page-break" => self.breaks += 1,
                "note" => {
                    let mut note = Inline::default();
                    if let Some(body) = xml::child(node, "note-body") {
                        for paragraph in body.descendants().filter(|node| xml::is(node, "p")) {
                            note.read(paragraph, &mut Vec::new(), depth + 1);
                        }
                    }
                    notes.push(note.text);
                }
                "annotation" => {
                    let mut note = Inline::default();
                    for paragraph in node.descendants().filter(|node| xml::is(node, "p")) {
                        note.read(paragraph, &mut Vec::new(), depth + 1);
                    }
                    notes.push(note.text);
                }
                "frame" | "custom-shape" | "text-box" => self.frames.push(node),
                _ => self.read(node, notes, depth + 1),
            }
        }
    }

    /// Adds text. Consecutive white space becomes one space, as in HTML.
    fn add_text(&mut self, text: &str) {
        let gap = |out: &mut String| {
            if !out.is_empty() && !out.ends_with([' ', '\n']) {
                out.push(' ');
            }
        };
        if text.starts_with(char::is_whitespace) {
            gap(&mut self.text);
        }
        for (index, word) in text.split_whitespace().enumerate() {
            if index > 0 {
                gap(&mut self.text);
            }
            self.text.push_str(word);
        }
        if text.ends_with(char::is_whitespace) {
            gap(&mut self.text);
        }
    }
}
