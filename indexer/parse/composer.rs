//! Writes the text of a document as Markdown, and records where headings and pages begin.

use super::structure::{Heading, Structure};
use super::{Parsed, Refusal};
use crate::chunk::headings;

/// Longest text of one document, bytes. A compressed file can unpack to a hundred times its size.
pub(super) const MAX_TEXT: usize = 32 << 20;

/// The last thing written. List items follow one another line by line; other blocks are separated by a blank line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Last {
    Item,
    #[default]
    Block,
}

/// Builds a text block by block.
#[derive(Debug, Default)]
pub(super) struct Composer {
    out: String,
    headings: Vec<Heading>,
    pages: Vec<usize>,
    last: Last,
    /// Whether the text exceeded [`MAX_TEXT`].
    overflow: bool,
}

impl Composer {
    /// Begins the next page, slide, sheet or cell.
    pub(super) fn page(&mut self) {
        self.pages.push(self.out.len());
    }

    /// Whether there is no text yet.
    pub(super) fn is_empty(&self) -> bool {
        self.out.trim().is_empty()
    }

    /// Writes a heading. The outermost level is 1.
    pub(super) fn heading(&mut self, level: usize, text: &str) {
        let text = one_line(text);
        if text.is_empty() {
            return;
        }
        self.gap();
        let at = self.out.len();
        self.push(&"#".repeat(level.clamp(1, 6)));
        self.push(" ");
        self.push(&text);
        self.push("\n");
        self.headings.push(Heading {
            at,
            end: self.out.len(),
            level: level.max(1),
            text,
        });
    }

    /// Adds a heading that is not a line of the text, such as the column names of a long table.
    pub(super) fn label(&mut self, level: usize, text: &str) {
        let text = one_line(text);
        if text.is_empty() {
            return;
        }
        self.gap();
        // A label right after a heading starts where the heading starts, so that both stay in one passage.
        let is_last = |heading: &&Heading| self.out[heading.end..].trim().is_empty();
        let at = self
            .headings
            .last()
            .filter(is_last)
            .map_or(self.out.len(), |heading| heading.at);
        self.headings.push(Heading {
            at,
            end: at,
            level: level.max(1),
            text,
        });
    }

    /// Ends the label of this level: following text is no longer below it.
    pub(super) fn end_label(&mut self, level: usize) {
        let at = self.out.len();
        self.headings.push(Heading {
            at,
            end: at,
            level: level.max(1),
            text: String::new(),
        });
    }

    /// Writes a paragraph and keeps its line breaks.
    pub(super) fn paragraph(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        self.gap();
        self.push(text);
        self.push("\n");
    }

    /// Writes a list item. The outermost depth is 0. An item without a number gets a bullet.
    pub(super) fn item(&mut self, depth: usize, number: Option<u64>, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if self.last == Last::Block {
            self.gap();
        }
        self.push(&"  ".repeat(depth.min(8)));
        match number {
            Some(number) => self.push(&format!("{number}. ")),
            None => self.push("- "),
        }
        self.push(&text.replace('\n', " "));
        self.push("\n");
        self.last = Last::Item;
    }

    /// Writes a table whose first row is the header. Rows without text are left out.
    pub(super) fn table(&mut self, rows: &[Vec<String>]) {
        let width = rows.iter().map(Vec::len).max().unwrap_or_default();
        let mut rows = rows
            .iter()
            .filter(|row| row.iter().any(|cell| !cell.trim().is_empty()));
        let Some(head) = rows.next() else { return };
        self.gap();
        self.row(head, width);
        self.push("|");
        self.push(&"---|".repeat(width));
        self.push("\n");
        for row in rows {
            if self.overflow {
                return;
            }
            self.row(row, width);
        }
    }

    fn row(&mut self, cells: &[String], width: usize) {
        self.push("|");
        for column in 0..width {
            let cell = one_line(cells.get(column).map_or("", String::as_str));
            self.push(if cell.is_empty() { "" } else { " " });
            self.push(&cell.replace('|', "\\|"));
            self.push(" |");
        }
        self.push("\n");
    }

    /// Writes a code block, in which white space is significant.
    pub(super) fn code(&mut self, language: &str, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let mut fence = "```".to_owned();
        while text.contains(&fence) {
            fence.push('`');
        }
        self.gap();
        self.push(&format!(
            "{fence}{language}\n{}\n{fence}\n",
            text.trim_end().trim_start_matches('\n')
        ));
    }

    /// Embeds another document. Its headings become subheadings of `level`.
    pub(super) fn embed(&mut self, level: usize, inner: &Parsed) {
        let body = &inner.text[inner.body_start..];
        if body.trim().is_empty() {
            return;
        }
        self.gap();
        let at = self.out.len();
        let headings = match &inner.structure {
            Structure::Plain => Vec::new(),
            Structure::Markdown => headings(&inner.text, inner.body_start),
            Structure::Headings(headings) => headings.clone(),
        };
        let is_code = matches!(inner.structure, Structure::Plain) && inner.language.is_some();
        if is_code {
            return self.code(inner.language.as_deref().unwrap_or_default(), body);
        }
        self.push(body.trim_end());
        self.push("\n");
        if !self.overflow {
            let offset = |byte: usize| (at + byte).saturating_sub(inner.body_start).min(self.out.len());
            self.headings.extend(headings.into_iter().map(|heading| Heading {
                at: offset(heading.at),
                end: offset(heading.end),
                level: level + heading.level,
                text: heading.text,
            }));
        }
    }

    /// Finishes a document of `kind`. `noun` names the document in a refusal, such as "presentation".
    ///
    /// # Errors
    /// [`Refusal`] if there is no text, or too much.
    pub(super) fn finish(self, kind: &'static str, noun: &str) -> Result<Parsed, Refusal> {
        if self.overflow {
            return Err(Refusal::over_limit(format!(
                "more than {} MB of text; split it",
                MAX_TEXT >> 20
            )));
        }
        if self.out.trim().is_empty() {
            return Err(Refusal::no_text(noun));
        }
        Ok(Parsed {
            structure: Structure::Headings(self.headings),
            pages: self.pages,
            ..Parsed::plain(kind, self.out)
        })
    }

    fn gap(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.push("\n");
        }
        self.last = Last::Block;
    }

    fn push(&mut self, text: &str) {
        if self.out.len() + text.len() > MAX_TEXT {
            self.overflow = true;
        }
        if self.overflow {
            return;
        }
        // NUL is not text, and some readers stop at it.
        if text.contains('\0') {
            self.out.push_str(&text.replace('\0', ""));
        } else {
            self.out.push_str(text);
        }
    }
}

/// Joins the words of `text` with single spaces.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::ReasonCode;
    use super::*;

    #[test]
    fn blocks_are_written_as_markdown_with_headings_and_pages() {
        let mut composer = Composer::default();
        composer.page();
        composer.heading(1, "One\n two");
        composer.label(2, "a, b");
        composer.table(&[
            vec!["a".into(), "b".into()],
            vec![],
            vec!["x|y".into(), String::new(), "z\nz".into()],
        ]);
        composer.page();
        composer.item(0, None, "first");
        composer.item(1, Some(2), "second");
        composer.paragraph("# no heading");
        composer.code("sh", "a ``` b\n");
        let parsed = composer.finish("test", "document").unwrap();
        let expected = "# One two\n\n| a | b | |\n|---|---|---|\n| x\\|y | | z z |\n\n- first\n  2. second\n\n# no heading\n\n\
                        ````sh\na ``` b\n````\n";
        assert_eq!(parsed.text, expected);
        let Structure::Headings(headings) = parsed.structure else {
            panic!()
        };
        let places: Vec<_> = headings
            .iter()
            .map(|heading| (heading.at, heading.end, heading.text.as_str()))
            .collect();
        assert_eq!(places, [(0, 10, "One two"), (0, 0, "a, b")]);
        assert_eq!(parsed.pages, [0, 54]);
    }

    #[test]
    fn an_embedded_document_keeps_its_headings() {
        let inner = Parsed {
            structure: Structure::Markdown,
            body_start: 4,
            ..Parsed::plain("markdown", "xxx\n# A\n\ntext\n\n## B\n".to_owned())
        };
        let mut composer = Composer::default();
        composer.heading(1, "file.md");
        composer.embed(1, &inner);
        let parsed = composer.finish("zip", "archive").unwrap();
        let Structure::Headings(headings) = &parsed.structure else {
            panic!()
        };
        for heading in headings {
            assert!(parsed.text[heading.at..heading.end].contains(&heading.text));
        }
        let levels: Vec<_> = headings.iter().map(|heading| heading.level).collect();
        assert_eq!(levels, [1, 2, 3]);
    }

    #[test]
    fn too_much_text_is_refused_rather_than_cut() {
        let mut composer = Composer::default();
        for _ in 0..40 {
            composer.paragraph(&"x".repeat(1 << 20));
        }
        let refusal = composer.finish("test", "document").unwrap_err();
        assert_eq!(refusal.code, ReasonCode::LimitExceeded);
        assert!(refusal.reason.contains("32 MB"), "{refusal:?}");
        let empty = Composer::default().finish("test", "document");
        assert_eq!(empty, Err(Refusal::no_text("document")));
    }
}
