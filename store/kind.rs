//! Kinds of documents.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A document's kind, such as `markdown` or `code`: the format its text was extracted from.
///
/// Not an enum, because the set is open: a catalog keeps the kinds of the version that parsed the documents, and another
/// version may lack some of them. The associated constants are the kinds that this version's parsers produce.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kind(Cow<'static, str>);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        impl Kind {
            $($(#[$doc])* pub const $name: Kind = Kind::from_static($word);)*

            /// The kinds that this version's parsers produce, and [`Kind::UNKNOWN`].
            pub const KNOWN: &'static [Kind] = &[$(Kind::$name),*];
        }
    };
}

kinds! {
    /// Plain text.
    TEXT = "text";
    /// Source code.
    CODE = "code";
    /// Markdown.
    MARKDOWN = "markdown";
    /// HTML.
    HTML = "html";
    /// reStructuredText.
    RST = "rst";
    /// AsciiDoc.
    ASCIIDOC = "asciidoc";
    /// Org mode.
    ORG = "org";
    /// LaTeX.
    LATEX = "latex";
    /// Manual page in roff.
    MAN = "man";
    /// JSON.
    JSON = "json";
    /// JSON Lines: one value per line.
    JSONL = "jsonl";
    /// YAML.
    YAML = "yaml";
    /// TOML.
    TOML = "toml";
    /// XML.
    XML = "xml";
    /// Comma-separated values.
    CSV = "csv";
    /// Tab-separated values.
    TSV = "tsv";
    /// SubRip subtitles.
    SRT = "srt";
    /// WebVTT subtitles.
    VTT = "vtt";
    /// Jupyter notebook.
    NOTEBOOK = "notebook";
    /// PDF.
    PDF = "pdf";
    /// Rich Text Format.
    RTF = "rtf";
    /// Word document.
    DOCX = "docx";
    /// PowerPoint presentation.
    PPTX = "pptx";
    /// Excel workbook.
    XLSX = "xlsx";
    /// Excel workbook in the binary format of Excel 2007.
    XLSB = "xlsb";
    /// Excel workbook in the format before Excel 2007.
    XLS = "xls";
    /// OpenDocument text.
    ODT = "odt";
    /// OpenDocument presentation.
    ODP = "odp";
    /// OpenDocument spreadsheet.
    ODS = "ods";
    /// OpenDocument drawing.
    ODG = "odg";
    /// E-book.
    EPUB = "epub";
    /// One e-mail message.
    EMAIL = "email";
    /// Mailbox of several messages.
    MBOX = "mbox";
    /// Web page saved with its resources.
    MHTML = "mhtml";
    /// ZIP archive.
    ZIP = "zip";
    /// Tar archive.
    TAR = "tar";
    /// File whose text could not be extracted.
    UNKNOWN = "unknown";
}

impl Kind {
    /// The kind called `word`, without an allocation.
    pub const fn from_static(word: &'static str) -> Kind {
        Kind(Cow::Borrowed(word))
    }

    /// The kind called `word`, known or not.
    pub fn new(word: &str) -> Kind {
        // Every document in memory has a kind, so share the strings of known kinds.
        let known = Kind::KNOWN.iter().find(|known| known.0 == word);
        known
            .cloned()
            .unwrap_or_else(|| Kind(Cow::Owned(word.to_owned())))
    }

    /// The word for this kind, in the catalog and in filters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for Kind {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Kind {
    fn from(word: &str) -> Kind {
        Kind::new(word)
    }
}

impl From<Kind> for String {
    fn from(Kind(word): Kind) -> String {
        word.into_owned()
    }
}

impl PartialEq<str> for Kind {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Kind {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_word_is_not_allocated_and_an_unknown_one_is_kept() {
        let known = Kind::new("code");
        assert_eq!(known, Kind::CODE);
        assert!(matches!(known.0, Cow::Borrowed(_)));
        assert_eq!(Kind::new("djvu"), "djvu");
    }

    #[test]
    fn the_json_form_is_the_bare_word() {
        assert_eq!(serde_json::to_string(&Kind::PDF).unwrap(), "\"pdf\"");
        assert_eq!(serde_json::from_str::<Kind>("\"pdf\"").unwrap(), Kind::PDF);
    }
}
