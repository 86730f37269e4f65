//! PowerPoint presentations (.pptx). Each slide is a page: its title is the heading, and its notes follow.

use roxmltree::Node;

use super::super::composer::{Composer, one_line};
use super::super::package::Package;
use super::super::{Parsed, Refusal, xml};
use super::{MAX_DEPTH, Relationships, main_part, metadata};

pub(in super::super) fn parse(mut package: Package<'_>) -> Result<Parsed, Refusal> {
    let main = main_part(&mut package, "ppt/presentation.xml")?;
    let relationships = Relationships::of(&mut package, &main)?;
    let Some(text) = package.text(&main)? else {
        return Err(Refusal::malformed("presentation", format!("{main} is missing")));
    };
    let tree = xml::tree(&text, &main)?;
    let slides: Vec<String> = tree
        .descendants()
        .filter(|node| xml::is(node, "sldId"))
        // `id` without a prefix is a number. The relationship is the last one, `r:id`.
        .filter_map(|node| {
            let ids = node.attributes().filter(|attribute| attribute.name() == "id");
            ids.filter_map(|id| relationships.by_id.get(id.value()))
                .next_back()
        })
        .cloned()
        .collect();
    let mut composer = Composer::default();
    let mut first_title = None;
    for path in slides {
        composer.page();
        let Some(text) = package.text(&path)? else {
            continue;
        };
        let tree = xml::tree(&text, &path)?;
        let related = Relationships::of(&mut package, &path)?;
        let mut slide = Slide::default();
        slide.read(tree.root(), &related, 0);
        let title = slide.title.clone();
        if let Some(title) = &title {
            composer.heading(1, title);
            first_title.get_or_insert_with(|| title.clone());
        }
        for block in &slide.blocks {
            block.write(&mut composer);
        }
        for path in &slide.drawings {
            if let Some(text) = package.text(path)? {
                write_drawing(xml::tree(&text, path)?.root(), &mut composer);
            }
        }
        for path in related.of_type("notesSlide") {
            if let Some(text) = package.text(path)? {
                write_notes(xml::tree(&text, path)?.root(), &mut composer);
            }
        }
    }
    let (title, metadata) = metadata(&mut package);
    let mut parsed = composer.finish("pptx", "presentation")?;
    // PowerPoint fills in this title by default.
    let placeholder = |title: &String| title.eq_ignore_ascii_case("PowerPoint Presentation");
    parsed.title = title.filter(|title| !placeholder(title)).or(first_title);
    parsed.metadata = metadata;
    Ok(parsed)
}

/// The content of a slide.
#[derive(Default)]
struct Slide {
    title: Option<String>,
    blocks: Vec<Block>,
    /// Paths of the parts with charts and diagrams.
    drawings: Vec<String>,
}

enum Block {
    Paragraph(String),
    Item(usize, String),
    Table(Vec<Vec<String>>),
}

impl Block {
    fn write(&self, composer: &mut Composer) {
        match self {
            Block::Paragraph(text) => composer.paragraph(text),
            Block::Item(depth, text) => composer.item(*depth, None, text),
            Block::Table(rows) => composer.table(rows),
        }
    }
}

impl Slide {
    fn read(&mut self, parent: Node<'_, '_>, related: &Relationships, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        for node in parent.children().filter(Node::is_element) {
            match node.tag_name().name() {
                "sp" => self.shape(node),
                "tbl" => self.blocks.push(Block::Table(table(node))),
                "chart" | "relIds" => {
                    let ids = node.attributes().filter(|id| matches!(id.name(), "id" | "dm"));
                    self.drawings
                        .extend(ids.filter_map(|id| related.by_id.get(id.value()).cloned()));
                }
                "AlternateContent" => {
                    let choice = xml::child(node, "Choice").or_else(|| xml::child(node, "Fallback"));
                    if let Some(choice) = choice {
                        self.read(choice, related, depth + 1);
                    }
                }
                _ => self.read(node, related, depth + 1),
            }
        }
    }

    fn shape(&mut self, shape: Node<'_, '_>) {
        let placeholder = xml::find(shape, "ph");
        let kind = placeholder.map(|node| xml::attribute(node, "type").unwrap_or("body"));
        // Slide numbers, dates and footers repeat on every slide.
        if matches!(kind, Some("sldNum" | "dt" | "ftr" | "hdr")) {
            return;
        }
        let Some(body) = xml::child(shape, "txBody") else {
            return;
        };
        if matches!(kind, Some("title" | "ctrTitle")) {
            let title = one_line(&paragraphs(body).map(text_of).collect::<Vec<_>>().join(" "));
            if self.title.is_none() && !title.is_empty() {
                self.title = Some(title);
                return;
            }
        }
        let is_list = matches!(kind, Some("body" | "obj")) && paragraphs(body).count() > 1;
        for paragraph in paragraphs(body) {
            let text = text_of(paragraph);
            let properties = xml::child(paragraph, "pPr");
            let depth = properties
                .and_then(|properties| xml::attribute(properties, "lvl"))
                .and_then(|depth| depth.parse().ok())
                .unwrap_or(0);
            let bullet = properties.is_some_and(|properties| {
                properties
                    .children()
                    .any(|child| xml::is(&child, "buChar") || xml::is(&child, "buAutoNum"))
            });
            self.blocks.push(if is_list || bullet || depth > 0 {
                Block::Item(depth, text)
            } else {
                Block::Paragraph(text)
            });
        }
    }
}

fn paragraphs<'a, 't>(body: Node<'a, 't>) -> impl Iterator<Item = Node<'a, 't>> {
    body.children().filter(|child| xml::is(child, "p"))
}

fn text_of(paragraph: Node<'_, '_>) -> String {
    let mut text = String::new();
    for node in paragraph.descendants() {
        if xml::is(&node, "t") {
            text.push_str(&xml::text(node));
        } else if xml::is(&node, "br") || xml::is(&node, "tab") {
            text.push(' ');
        }
    }
    // A vertical tab is a line break in a title.
    text.replace('\u{b}', " ")
}

fn table(node: Node<'_, '_>) -> Vec<Vec<String>> {
    let rows = node.descendants().filter(|node| xml::is(node, "tr"));
    rows.map(|row| {
        let cells = row.children().filter(|node| xml::is(node, "tc"));
        cells
            .map(|cell| {
                let paragraphs = cell.descendants().filter(|node| xml::is(node, "p"));
                paragraphs.map(text_of).collect::<Vec<_>>().join(" ")
            })
            .collect()
    })
    .collect()
}

/// Writes the title, names and values of a chart, or the texts of a diagram.
fn write_drawing(root: Node<'_, '_>, composer: &mut Composer) {
    if let Some(title) = xml::find(root, "title") {
        composer.paragraph(&text_of(title));
    }
    let series: Vec<Node<'_, '_>> = root.descendants().filter(|node| xml::is(node, "ser")).collect();
    let values = |node: Node<'_, '_>, name: &str| -> Vec<String> {
        let of = xml::child(node, name);
        let points = of.into_iter().flat_map(|of| of.descendants());
        points
            .filter(|node| xml::is(node, "v"))
            .map(|node| xml::text(node))
            .collect()
    };
    if let Some(first) = series.first() {
        let mut names = vec![String::new()];
        names.extend(series.iter().map(|series| values(*series, "tx").join(" ")));
        let mut rows = vec![names];
        let columns: Vec<Vec<String>> = series.iter().map(|series| values(*series, "val")).collect();
        for (index, category) in values(*first, "cat").into_iter().enumerate() {
            let mut row = vec![category];
            let cell = |column: &Vec<String>| column.get(index).cloned().unwrap_or_default();
            row.extend(columns.iter().map(cell));
            rows.push(row);
        }
        composer.table(&rows);
    } else if xml::find(root, "ptLst").is_some() {
        for point in root.descendants().filter(|node| xml::is(node, "p")) {
            composer.item(0, None, &text_of(point));
        }
    }
}

fn write_notes(root: Node<'_, '_>, composer: &mut Composer) {
    for shape in root.descendants().filter(|node| xml::is(node, "sp")) {
        let kind = xml::find(shape, "ph").and_then(|node| xml::attribute(node, "type"));
        if kind != Some("body") {
            continue;
        }
        let Some(body) = xml::child(shape, "txBody") else {
            continue;
        };
        let text = paragraphs(body).map(text_of).collect::<Vec<_>>().join("\n");
        if !text.trim().is_empty() {
            composer.paragraph(&format!("Notes: {}", text.trim()));
        }
    }
}
