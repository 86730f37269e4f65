//! Structure of a text: its headings, and where it may be cut.

use serde::{Deserialize, Serialize};

/// A heading of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// Byte offset where the lines of the heading begin.
    pub at: usize,
    /// Byte offset where the lines of the heading end. Equal to `at` if the heading is not a line of the text,
    /// such as the column names of a long table.
    pub end: usize,
    /// Level; the outermost is 1.
    pub level: usize,
    /// Text without markup. An empty text ends the previous heading of this level.
    pub text: String,
}

/// How a text may be cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Structure {
    /// At paragraphs, or by the syntax of its programming language.
    Plain,
    /// By Markdown syntax, including headings.
    Markdown,
    /// At these headings, which are in text order, and below them by Markdown syntax.
    Headings(Vec<Heading>),
}
