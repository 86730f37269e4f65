//! PDF: the text of each page in reading order, with the headings, lists and tables that its layout shows.

use autorag_store::Metadata;
use unpdf::model::ListStyle;
use unpdf::{Block, Document, Error, InlineContent, Page, Paragraph, ParseOptions, Table};

use super::composer::{Composer, one_line};
use super::{Parsed, Refusal, Structure};

/// Most pages that are read. Page trees can say anything.
const MOST_PAGES: u32 = 20_000;
/// Deepest list.
const DEEPEST_LIST: u8 = 8;

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Refusal> {
    let options = ParseOptions {
        // Files are parsed side by side already.
        parallel: false,
        ..ParseOptions::new().lenient()
    };
    let document = unpdf::parse_bytes_with_options(bytes, options).map_err(|error| match error {
        Error::Encrypted | Error::InvalidPassword => Refusal::error("encrypted with a password"),
        error => Refusal::error(format!("broken PDF: {}", one_line(&error.to_string()))),
    })?;
    let mut composer = Composer::default();
    let mut last = 0;
    let mut without_text = 0u64;
    for page in &document.pages {
        if page.number > MOST_PAGES {
            return Err(Refusal::error(format!(
                "it has more than {MOST_PAGES} pages; split it"
            )));
        }
        // A page that could not be read is left out, and the next one keeps its number.
        for _ in last..page.number {
            composer.page();
        }
        last = page.number;
        without_text += u64::from(!write_page(page, &mut composer));
    }
    let images: u64 = document
        .pages
        .iter()
        .map(|page| u64::from(page.image_op_count))
        .sum();
    let empty = match (images, document.pages.len()) {
        (_, 0) => return Err(Refusal::error("broken PDF: none of its pages can be read")),
        (0, _) => "no text layer, and no images either",
        _ => "no text layer (a scan?)",
    };
    let mut parsed = composer.finish("pdf", empty)?;
    let first_heading = match &parsed.structure {
        Structure::Headings(headings) => headings.first().map(|heading| heading.text.clone()),
        _ => None,
    };
    let (title, mut metadata) = information(&document);
    metadata.insert("pages".into(), document.metadata.page_count.into());
    if without_text > 0 {
        metadata.insert("pages_without_text".into(), without_text.into());
    }
    parsed.title = title.or(first_heading);
    parsed.metadata = metadata;
    Ok(parsed)
}

/// Writes a page; whether it had text.
fn write_page(page: &Page, composer: &mut Composer) -> bool {
    let mut wrote = false;
    for block in &page.elements {
        match block {
            Block::Paragraph(paragraph) => {
                let text = text_of(paragraph);
                wrote |= !text.trim().is_empty();
                write_paragraph(paragraph, &text, composer);
            }
            Block::Table(table) => {
                wrote |= !table.is_empty();
                composer.table(&rows(table));
            }
            Block::Code { content } => {
                wrote |= !content.trim().is_empty();
                composer.code("", content);
            }
            Block::Raw { content } => {
                wrote |= !content.trim().is_empty();
                composer.paragraph(content);
            }
            _ => {}
        }
    }
    wrote
}

fn write_paragraph(paragraph: &Paragraph, text: &str, composer: &mut Composer) {
    if let Some(level) = paragraph.heading_level() {
        composer.heading(usize::from(level), text);
    } else if let Some(list) = &paragraph.style.list_info {
        let number = match &list.style {
            ListStyle::Ordered { .. } => Some(u64::from(list.item_number.unwrap_or(1))),
            ListStyle::Unordered { .. } => None,
        };
        composer.item(usize::from(list.level.min(DEEPEST_LIST)), number, text);
    } else {
        composer.paragraph(text);
    }
}

/// The text of a paragraph, without the marker that a list item has.
fn text_of(paragraph: &Paragraph) -> String {
    let mut text = String::new();
    for part in &paragraph.content {
        match part {
            InlineContent::Text(run) => text.push_str(&run.text),
            InlineContent::Link { text: label, .. } => text.push_str(label),
            InlineContent::LineBreak => text.push('\n'),
            InlineContent::Image { .. } => {}
        }
    }
    // Marks of direction and soft hyphens stand between letters without being any.
    let is_invisible = |c: char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.retain(|c| !is_invisible(c));
    text
}

/// The cells of a table at their columns.
fn rows(table: &Table) -> Vec<Vec<String>> {
    let width = table.column_count();
    let places = table.cell_columns();
    let mut rows = Vec::with_capacity(table.rows.len());
    for (row, columns) in table.rows.iter().zip(places) {
        let mut line = vec![String::new(); width];
        for (cell, column) in row.cells.iter().zip(columns) {
            let text: Vec<String> = cell.content.iter().map(text_of).collect();
            if let Some(place) = line.get_mut(column) {
                *place = one_line(&text.join(" "));
            }
        }
        rows.push(line);
    }
    rows
}

/// Title and metadata that the file says it has.
fn information(document: &Document) -> (Option<String>, Metadata) {
    let said = &document.metadata;
    let mut metadata = Metadata::new();
    let dates = [&said.created, &said.modified].map(|date| date.as_ref().map(|date| date.to_rfc3339()));
    let [created, modified] = dates;
    for (name, value) in [
        ("author", said.author.clone()),
        ("subject", said.subject.clone()),
        ("keywords", said.keywords.clone()),
        ("created", created),
        ("modified", modified),
    ] {
        let value = value
            .map(|value| one_line(&value))
            .filter(|value| !value.is_empty());
        if let Some(value) = value {
            metadata.insert(name.into(), value.into());
        }
    }
    let title = said.title.as_deref().map(one_line);
    let title = title.filter(|title| !title.is_empty() && !is_made_up(title));
    (title, metadata)
}

/// Titles that programs put in when no one gave one: names of files.
fn is_made_up(title: &str) -> bool {
    const ENDINGS: &[&str] = &[
        ".doc", ".docx", ".dvi", ".pdf", ".tex", ".indd", ".qxd", ".ppt", ".pptx", ".xls", ".xlsx", ".odt",
        ".html", ".htm",
    ];
    let lower = title.to_lowercase();
    lower == "untitled"
        || lower.starts_with("microsoft word - ")
        || ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_that_no_one_gave() {
        assert!(is_made_up("Report.DOCX") && is_made_up("Untitled") && is_made_up("Microsoft Word - a"));
        assert!(!is_made_up("Report"));
    }
}
