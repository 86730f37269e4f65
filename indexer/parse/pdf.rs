//! PDF: the text of each page in reading order, with the headings, lists and tables that its layout shows.

use std::ops::ControlFlow;

use autorag_store::Metadata;
use unpdf::model::ListStyle;
use unpdf::{
    Block, Error, InlineContent, Page, PageStreamOptions, Paragraph, ParseEvent, ParseOptions, PdfParser,
    Table,
};

use super::composer::{Composer, one_line};
use super::line_ends::{LineEnds, spelled};
use super::{Parsed, Refusal, Structure};

/// Most pages that are read. Page trees can say anything.
const MOST_PAGES: u32 = 20_000;
/// Deepest list.
const DEEPEST_LIST: u8 = 8;

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Refusal> {
    let parser = PdfParser::from_bytes_with_options(bytes, ParseOptions::new().lenient()).map_err(refusal)?;
    let options = PageStreamOptions {
        // Files are parsed side by side already.
        parallel: false,
        ..PageStreamOptions::default()
    };
    let mut reading = Reading::default();
    // Page by page: a manual of a thousand pages takes hundreds of megabytes when all of them are held.
    parser
        .for_each_page(options, |event| reading.take(event))
        .map_err(refusal)?;
    reading.finish()
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Encrypted | Error::InvalidPassword => Refusal::error("encrypted with a password"),
        error => Refusal::error(format!("broken PDF: {}", one_line(&error.to_string()))),
    }
}

/// What has been read of a document.
#[derive(Default)]
struct Reading {
    composer: Composer,
    line_ends: LineEnds,
    said: unpdf::model::Metadata,
    /// Number of the last page that was read.
    last: u32,
    read: u32,
    without_text: u32,
    unreadable: u32,
    images: u64,
}

impl Reading {
    /// Takes in what comes next; `Break` where there are too many pages.
    fn take(&mut self, event: ParseEvent) -> ControlFlow<()> {
        match event {
            ParseEvent::DocumentStart { metadata, .. } => {
                self.said = metadata;
                if self.said.page_count > MOST_PAGES {
                    return ControlFlow::Break(());
                }
            }
            ParseEvent::PageParsed(page) => self.page(&page),
            ParseEvent::PageFailed { .. } => self.unreadable += 1,
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn page(&mut self, page: &Page) {
        // A page that could not be read is left out, and the next one keeps its number.
        for _ in self.last..page.number {
            self.composer.page();
        }
        self.last = page.number;
        self.read += 1;
        self.images += u64::from(page.image_op_count);
        self.unreadable += u32::from(page.undecodable_content_streams > 0);
        self.without_text += u32::from(!write_page(page, &mut self.line_ends, &mut self.composer));
    }

    fn finish(self) -> Result<Parsed, Refusal> {
        if self.said.page_count > MOST_PAGES {
            return Err(Refusal::error(format!(
                "it has more than {MOST_PAGES} pages; split it"
            )));
        }
        let empty = match (self.images, self.read) {
            (_, 0) => return Err(Refusal::error("broken PDF: none of its pages can be read")),
            (0, _) => "no text layer, and no images either",
            _ => "no text layer (a scan?)",
        };
        let mut parsed = self.composer.finish("pdf", empty)?;
        let first_heading = match &parsed.structure {
            Structure::Headings(headings) => headings.first().map(|heading| heading.text.clone()),
            _ => None,
        };
        let (title, mut metadata) = information(&self.said);
        metadata.insert("pages".into(), self.said.page_count.into());
        for (name, pages) in [
            ("pages_without_text", self.without_text),
            ("pages_unreadable", self.unreadable),
        ] {
            if pages > 0 {
                metadata.insert(name.into(), pages.into());
            }
        }
        parsed.title = title.or(first_heading);
        parsed.metadata = metadata;
        Ok(parsed)
    }
}

/// Writes a page; whether it had text.
fn write_page(page: &Page, line_ends: &mut LineEnds, composer: &mut Composer) -> bool {
    let mut wrote = false;
    for block in &page.elements {
        match block {
            Block::Paragraph(paragraph) => {
                let text = line_ends.mend(&text_of(paragraph));
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
    spelled(text)
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
fn information(said: &unpdf::model::Metadata) -> (Option<String>, Metadata) {
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
            .filter(|value| !value.is_empty() && !is_placeholder(value));
        if let Some(value) = value {
            metadata.insert(name.into(), value.into());
        }
    }
    let title = said.title.as_deref().map(one_line);
    let title = title.filter(|title| !title.is_empty() && !is_made_up(title));
    (title, metadata)
}

/// What programs write where no one gave an author, subject or title, in brackets or without.
fn is_placeholder(value: &str) -> bool {
    let bare = value.trim_start_matches('(').trim_end_matches(')');
    ["anonymous", "unspecified", "untitled"]
        .iter()
        .any(|word| bare.eq_ignore_ascii_case(word))
}

/// Titles that programs put in when no one gave one: names of files, mostly.
fn is_made_up(title: &str) -> bool {
    const ENDINGS: &[&str] = &[
        ".doc", ".docx", ".dvi", ".pdf", ".tex", ".indd", ".qxd", ".ppt", ".pptx", ".xls", ".xlsx", ".odt",
        ".html", ".htm",
    ];
    let lower = title.to_lowercase();
    is_placeholder(title)
        || lower == "powerpoint presentation"
        || lower.starts_with("microsoft word - ")
        || ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_that_no_one_gave() {
        assert!(is_made_up("Report.DOCX") && is_made_up("Untitled") && is_made_up("Microsoft Word - a"));
        assert!(is_made_up("(anonymous)") && is_made_up("PowerPoint Presentation"));
        assert!(!is_made_up("Report") && !is_made_up("Anonymous letters"));
    }
}
