//! What a text is made of: where its headings are, and how it may be cut.

use serde::{Deserialize, Serialize};

/// A heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heading {
    /// Where its lines begin, in bytes.
    pub at: usize,
    /// Where they end. Equal to `at` for one that is no line of the text, such as the columns of a long table.
    pub end: usize,
    /// How deep it is, the outermost 1.
    pub level: usize,
    /// Its text, without marks; empty where what follows stands under no heading of this level.
    pub text: String,
}

/// How a text may be cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Structure {
    /// By paragraphs, or by the syntax of its programming language.
    Plain,
    /// By the marks of Markdown, headings among them.
    Markdown,
    /// By these headings, in the order of the text, and below them by the marks of Markdown.
    Headings(Vec<Heading>),
}
