//! Composes the text of a document with Markdown's marks, and notes where its headings and pages are.

use super::structure::{Heading, Structure};
use super::{Parsed, Refusal};
use crate::chunk::headings;

/// Longest text of one document, bytes. A file of the largest size can unfold to a hundred times of it.
pub(super) const LONGEST_TEXT: usize = 32 << 20;

/// What was written last: items of a list stand on lines of their own, everything else is a blank line apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Last {
    Item,
    #[default]
    Block,
}

/// A text that grows block by block.
#[derive(Debug, Default)]
pub(super) struct Composer {
    out: String,
    headings: Vec<Heading>,
    pages: Vec<usize>,
    last: Last,
    /// Whether there was more than [`LONGEST_TEXT`].
    overflow: bool,
}

impl Composer {
    /// The next page, slide, sheet or cell begins here.
    pub(super) fn page(&mut self) {
        self.pages.push(self.out.len());
    }

    /// Whether nothing has been written.
    pub(super) fn is_empty(&self) -> bool {
        self.out.trim().is_empty()
    }

    /// A heading, the outermost of level 1.
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

    /// What stands above the text that follows without being a line of it, such as the columns of a long table.
    pub(super) fn label(&mut self, level: usize, text: &str) {
        let text = one_line(text);
        if text.is_empty() {
            return;
        }
        self.gap();
        // A heading just written and its label stay together.
        let fresh = |heading: &&Heading| self.out[heading.end..].trim().is_empty();
        let at = self
            .headings
            .last()
            .filter(fresh)
            .map_or(self.out.len(), |heading| heading.at);
        self.headings.push(Heading {
            at,
            end: at,
            level: level.max(1),
            text,
        });
    }

    /// What follows no longer stands under the label of this level.
    pub(super) fn end_label(&mut self, level: usize) {
        let at = self.out.len();
        self.headings.push(Heading {
            at,
            end: at,
            level: level.max(1),
            text: String::new(),
        });
    }

    /// A paragraph, whose line breaks stay.
    pub(super) fn paragraph(&mut self, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        self.gap();
        self.push(text);
        self.push("\n");
    }

    /// An item of a list, the outermost of depth 0, with a number where it has one.
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

    /// A table, its first row the head. Rows without any text are left out.
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

    /// A block whose white space counts.
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

    /// The text of another document, its headings below one of `level`.
    pub(super) fn embed(&mut self, level: usize, inner: &Parsed) {
        let body = &inner.text[inner.body_start..];
        if body.trim().is_empty() {
            return;
        }
        self.gap();
        let at = self.out.len();
        let found = match &inner.structure {
            Structure::Plain => Vec::new(),
            Structure::Markdown => headings(&inner.text, inner.body_start),
            Structure::Headings(headings) => headings.clone(),
        };
        let fenced = matches!(inner.structure, Structure::Plain) && inner.language.is_some();
        if fenced {
            return self.code(inner.language.as_deref().unwrap_or_default(), body);
        }
        self.push(body.trim_end());
        self.push("\n");
        if !self.overflow {
            let place = |byte: usize| (at + byte).saturating_sub(inner.body_start).min(self.out.len());
            self.headings.extend(found.into_iter().map(|heading| Heading {
                at: place(heading.at),
                end: place(heading.end),
                level: level + heading.level,
                text: heading.text,
            }));
        }
    }

    /// The document, of a format that its reader calls `kind`.
    ///
    /// # Errors
    /// [`Refusal`] where there is no text, for the reason `empty`, or too much.
    pub(super) fn finish(self, kind: &'static str, empty: &str) -> Result<Parsed, Refusal> {
        if self.overflow {
            return Err(Refusal::error(format!(
                "it has more than {} MB of text; split it",
                LONGEST_TEXT >> 20
            )));
        }
        if self.out.trim().is_empty() {
            return Err(Refusal::skipped(empty));
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
        if self.out.len() + text.len() > LONGEST_TEXT {
            self.overflow = true;
        }
        if self.overflow {
            return;
        }
        // NUL is no text, and some readers downstream stop at one.
        match text.contains('\0') {
            true => self.out.push_str(&text.replace('\0', "")),
            false => self.out.push_str(text),
        }
    }
}

/// `text` on one line, with single spaces.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_headings_and_pages() {
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
        let parsed = composer.finish("test", "empty").unwrap();
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
    fn another_document_keeps_its_headings() {
        let inner = Parsed {
            structure: Structure::Markdown,
            body_start: 4,
            ..Parsed::plain("markdown", "xxx\n# A\n\ntext\n\n## B\n".to_owned())
        };
        let mut composer = Composer::default();
        composer.heading(1, "file.md");
        composer.embed(1, &inner);
        let parsed = composer.finish("zip", "empty").unwrap();
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
    fn too_much_text_is_refused_not_cut() {
        let mut composer = Composer::default();
        for _ in 0..40 {
            composer.paragraph(&"x".repeat(1 << 20));
        }
        let refusal = composer.finish("test", "empty").unwrap_err();
        assert!(refusal.reason.contains("32 MB"), "{refusal:?}");
        let nothing = Composer::default().finish("test", "nothing in it");
        assert_eq!(nothing, Err(Refusal::skipped("nothing in it")));
    }
}
