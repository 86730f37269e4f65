//! PDF: the text of each page in reading order, with headings, lists and tables derived from the layout.

use std::ops::ControlFlow;

use autorag_store::Metadata;
use unpdf::model::ListStyle;
use unpdf::{
    Block, Error, InlineContent, Page, PageStreamOptions, Paragraph, ParseEvent, ParseOptions, PdfParser,
    Table,
};

use super::composer::{Composer, one_line};
use super::line_ends::{LineEnds, expand_ligatures};
use super::{Parsed, ReasonCode, Refusal, Structure};

/// Most pages of a document. The page count is untrusted input.
const MAX_PAGES: u32 = 20_000;
/// Deepest nesting of lists that is kept.
const MAX_LIST_DEPTH: u8 = 8;

pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Refusal> {
    let parser = PdfParser::from_bytes_with_options(bytes, ParseOptions::new().lenient()).map_err(refusal)?;
    let options = PageStreamOptions {
        // The indexer already parses files in parallel.
        parallel: false,
        ..PageStreamOptions::default()
    };
    let mut reader = Reader::default();
    // Page by page: keeping all pages of a 1000-page manual takes hundreds of megabytes.
    parser
        .for_each_page(options, |event| reader.handle(event))
        .map_err(refusal)?;
    reader.finish()
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Encrypted | Error::InvalidPassword => Refusal::encrypted(),
        error => Refusal::malformed("PDF", one_line(&error.to_string())),
    }
}

/// Reads a document page by page.
#[derive(Default)]
struct Reader {
    composer: Composer,
    line_ends: LineEnds,
    information: unpdf::model::Metadata,
    /// Number of the last page read.
    last_page: u32,
    pages_read: u32,
    pages_without_text: u32,
    pages_unreadable: u32,
    images: u64,
}

impl Reader {
    /// Handles the next event. Stops if there are too many pages.
    fn handle(&mut self, event: ParseEvent) -> ControlFlow<()> {
        match event {
            ParseEvent::DocumentStart { metadata, .. } => {
                self.information = metadata;
                if self.information.page_count > MAX_PAGES {
                    return ControlFlow::Break(());
                }
            }
            ParseEvent::PageParsed(page) => self.page(&page),
            ParseEvent::PageFailed { .. } => self.pages_unreadable += 1,
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn page(&mut self, page: &Page) {
        // Unreadable pages are skipped. The pages after them keep their numbers.
        for _ in self.last_page..page.number {
            self.composer.page();
        }
        self.last_page = page.number;
        self.pages_read += 1;
        self.images += u64::from(page.image_op_count);
        self.pages_unreadable += u32::from(page.undecodable_content_streams > 0);
        self.pages_without_text += u32::from(!write_page(page, &mut self.line_ends, &mut self.composer));
    }

    fn finish(self) -> Result<Parsed, Refusal> {
        if self.information.page_count > MAX_PAGES {
            return Err(Refusal::over_limit(format!(
                "more than {MAX_PAGES} pages; split it"
            )));
        }
        if self.pages_read == 0 {
            return Err(Refusal::malformed("PDF", "no page can be read"));
        }
        if self.composer.is_empty() && self.images > 0 {
            return Err(Refusal::new(
                ReasonCode::NoText,
                "no text layer (a scan?); run OCR first",
            ));
        }
        let mut parsed = self.composer.finish("pdf", "PDF")?;
        let first_heading = match &parsed.structure {
            Structure::Headings(headings) => headings.first().map(|heading| heading.text.clone()),
            _ => None,
        };
        let (title, mut metadata) = title_and_metadata(&self.information);
        metadata.insert("pages".into(), self.information.page_count.into());
        for (name, pages) in [
            ("pages_without_text", self.pages_without_text),
            ("pages_unreadable", self.pages_unreadable),
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

/// Writes a page. Returns whether it has text.
fn write_page(page: &Page, line_ends: &mut LineEnds, composer: &mut Composer) -> bool {
    let mut wrote = false;
    for block in &page.elements {
        match block {
            Block::Paragraph(paragraph) => {
                let text = line_ends.rejoin(&text_of(paragraph));
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
        composer.item(usize::from(list.level.min(MAX_LIST_DEPTH)), number, text);
    } else {
        composer.paragraph(text);
    }
}

/// The text of a paragraph, without the marker of a list item.
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
    // Soft hyphens, zero-width characters and direction marks are invisible but would split words.
    let is_invisible = |c: char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.retain(|c| !is_invisible(c));
    expand_ligatures(text)
}

/// The rows of a table, with every cell at its column.
fn rows(table: &Table) -> Vec<Vec<String>> {
    let width = table.column_count();
    let cell_columns = table.cell_columns();
    let mut rows = Vec::with_capacity(table.rows.len());
    for (row, columns) in table.rows.iter().zip(cell_columns) {
        let mut line = vec![String::new(); width];
        for (cell, column) in row.cells.iter().zip(columns) {
            let text: Vec<String> = cell.content.iter().map(text_of).collect();
            if let Some(target) = line.get_mut(column) {
                *target = one_line(&text.join(" "));
            }
        }
        rows.push(line);
    }
    rows
}

/// Title and metadata from the document information.
fn title_and_metadata(information: &unpdf::model::Metadata) -> (Option<String>, Metadata) {
    let mut metadata = Metadata::new();
    let dates =
        [&information.created, &information.modified].map(|date| date.as_ref().map(|date| date.to_rfc3339()));
    let [created, modified] = dates;
    for (name, value) in [
        ("author", information.author.clone()),
        ("subject", information.subject.clone()),
        ("keywords", information.keywords.clone()),
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
    let title = information.title.as_deref().map(one_line);
    let title = title.filter(|title| !title.is_empty() && !is_generated(title));
    (title, metadata)
}

/// Whether a program wrote this because the author left the field empty. Such values may stand in brackets.
fn is_placeholder(value: &str) -> bool {
    let bare = value.trim_start_matches('(').trim_end_matches(')');
    ["anonymous", "unspecified", "untitled"]
        .iter()
        .any(|word| bare.eq_ignore_ascii_case(word))
}

/// Whether a program made up this title, mostly from a file name.
fn is_generated(title: &str) -> bool {
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
    fn generated_titles_are_recognized() {
        assert!(
            is_generated("Report.DOCX") && is_generated("Untitled") && is_generated("Microsoft Word - a")
        );
        assert!(is_generated("(anonymous)") && is_generated("PowerPoint Presentation"));
        assert!(!is_generated("Report") && !is_generated("Anonymous letters"));
    }
}
