//! Extracts text with structure from the bytes of a file.
//!
//! The content decides which format a file has. The name only distinguishes kinds of text, such as Markdown and Python.

mod archive;
mod code;
mod composer;
mod data;
mod decode;
mod epub;
mod format;
mod front_matter;
mod html;
mod line_ends;
mod mail;
mod man;
mod markdown;
mod markup;
mod msg;
mod nested;
mod notebook;
mod odf;
mod office;
mod package;
mod pdf;
mod properties;
mod refusal;
mod rtf;
mod sheets;
mod structure;
mod subtitles;
mod table;
mod xml;

use std::borrow::Cow;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use autorag_store::{Kind, Metadata};
use cfb::CompoundFile;
use serde::{Deserialize, Serialize};

use format::{CompoundKind, Format, PackageKind};
use mail::MailKind;
use nested::Budget;
use package::Package;

pub(crate) use code::grammar;
pub use refusal::{ReasonCode, Refusal};
pub use structure::{Heading, Structure};

/// The text of a file, with its structure and metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parsed {
    /// Kind of document: `markdown`, `html`, `pdf`, `code`, `text` …
    pub kind: Kind,
    /// Programming language, for code.
    pub language: Option<Cow<'static, str>>,
    /// Title, if the document has one.
    pub title: Option<String>,
    /// Metadata, from front matter, meta tags or the properties of an Office file.
    pub metadata: Metadata,
    /// The text that spans index into. For Markdown, code and plain text it is the whole file, so lines in a
    /// citation are lines in an editor.
    pub text: String,
    /// Byte offset where passages begin: after the front matter.
    pub body_start: usize,
    /// Where the text may be cut.
    pub structure: Structure,
    /// Byte offsets where pages, slides, sheets or cells begin. Empty for formats without them.
    pub pages: Vec<usize>,
}

impl Parsed {
    /// Text without title, metadata and structure.
    pub fn plain(kind: &'static str, text: String) -> Parsed {
        Parsed {
            kind: Kind::from_static(kind),
            language: None,
            title: None,
            metadata: Metadata::new(),
            text,
            body_start: 0,
            structure: Structure::Plain,
            pages: Vec::new(),
        }
    }
}

/// Runs `parser` and turns a panic into a refusal of the file. Parsers keep no state that a panic could leave
/// inconsistent.
///
/// # Errors
/// The parser's [`Refusal`], or [`ReasonCode::ParserCrashed`] if it panics.
pub(crate) fn catch_panic<T>(parser: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(parser)).unwrap_or_else(|_| {
        Err(Refusal::new(
            ReasonCode::ParserCrashed,
            "the parser has a bug and panicked on this file",
        ))
    })
}

/// Whether to parse the file in a separate process, if a parser command is set.
///
/// True for every format whose parser has crashed, looped or exhausted memory on some input. The others
/// (Markdown, HTML, code and plain text) are parsed in time linear in the length of the file. Add a new format
/// here unless its parser is as simple.
pub(crate) fn is_risky(path: &str, bytes: &[u8]) -> bool {
    format::detect(bytes) != Format::Other
        || mail_kind(path, bytes).is_some()
        || matches!(extension(path).as_str(), "ipynb" | "xml" | "csv" | "tsv" | "json")
        || bytes.starts_with(b"<?xml")
}

/// Extracts the text of a file from its `bytes`. Only the file name in `path` matters.
///
/// # Errors
/// [`Refusal`] if the file gives no text.
pub fn parse(path: &str, bytes: &[u8]) -> Result<Parsed, Refusal> {
    parse_within(path, bytes, &mut Budget::default())
}

/// Parses a file that may be inside another file. All nested files share one budget.
fn parse_within(path: &str, bytes: &[u8], budget: &mut Budget) -> Result<Parsed, Refusal> {
    match format::detect(bytes) {
        Format::Pdf => pdf::parse(bytes),
        Format::Zip => parse_package(bytes, budget),
        Format::Compound => parse_compound(bytes, budget),
        Format::Rtf => rtf::parse(bytes),
        Format::Compressed(compression) => archive::parse_compressed(path, bytes, compression, budget),
        Format::Tar => archive::parse_tar(bytes, budget),
        Format::Other => match mail_kind(path, bytes) {
            Some(MailKind::Message) => mail::parse_message(bytes, budget),
            Some(MailKind::Mailbox) => mail::parse_mailbox(bytes, budget),
            None => parse_text(path, decode::decode(bytes)?),
        },
    }
}

fn parse_package(bytes: &[u8], budget: &mut Budget) -> Result<Parsed, Refusal> {
    let mut package = Package::open(bytes)?;
    match format::detect_package(&mut package)? {
        PackageKind::Word => office::docx::parse(package),
        PackageKind::PowerPoint => office::pptx::parse(package),
        PackageKind::Workbook("ods") => {
            odf::check_encryption(&mut package)?;
            let properties = odf::metadata(&mut package);
            sheets::parse(bytes, "ods", properties)
        }
        PackageKind::Workbook(kind) => {
            let properties = office::metadata(&mut package);
            sheets::parse(bytes, kind, properties)
        }
        PackageKind::OpenDocument(kind) => odf::parse(package, kind),
        PackageKind::Epub => epub::parse(package),
        PackageKind::Unsupported(format) => Err(Refusal::unsupported(format)),
        PackageKind::Archive => archive::parse_zip(package, budget),
    }
}

fn parse_compound(bytes: &[u8], budget: &mut Budget) -> Result<Parsed, Refusal> {
    let file =
        CompoundFile::open(Cursor::new(bytes)).map_err(|error| Refusal::malformed("compound file", error))?;
    match format::detect_compound(&file) {
        CompoundKind::Workbook => sheets::parse(bytes, "xls", Default::default()),
        CompoundKind::Word => Err(Refusal::unsupported("Word 97-2003; save it as .docx")),
        CompoundKind::PowerPoint => Err(Refusal::unsupported("PowerPoint 97-2003; save it as .pptx")),
        CompoundKind::Message => msg::parse(file, budget),
        CompoundKind::Encrypted => Err(Refusal::encrypted()),
        CompoundKind::Unknown => Err(Refusal::unsupported("unknown kind of compound file")),
    }
}

/// Recognizes mail by its name and its first lines.
fn mail_kind(path: &str, bytes: &[u8]) -> Option<MailKind> {
    let is_named = match extension(path).as_str() {
        "eml" | "mht" | "mhtml" | "mbox" | "mbx" => true,
        // Files in a Maildir have names without an extension, and so do many mailboxes.
        "txt" | "" => false,
        _ if path.contains(":2,") => false,
        _ => return None,
    };
    mail::kind(bytes, is_named)
}

fn parse_text(path: &str, text: String) -> Result<Parsed, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::new(ReasonCode::Empty, "empty file"));
    }
    let extension = extension(path);
    match extension.as_str() {
        "md" | "markdown" | "mdown" | "mkd" | "mdx" => return Ok(markdown::parse(text)),
        "html" | "htm" | "xhtml" => return html::parse(&text),
        "ipynb" | "json" => {
            return match notebook::read(&text) {
                Some(notebook) => notebook::parse(&notebook),
                None => Ok(data::json(text)),
            };
        }
        "jsonl" | "ndjson" => return Ok(Parsed::plain("jsonl", text)),
        "yaml" | "yml" => return Ok(data::yaml(text)),
        "toml" => return Ok(data::toml(text)),
        "csv" | "tsv" | "tab" => {
            let kind = if extension == "csv" { "csv" } else { "tsv" };
            if let Some(parsed) = table::parse(&text, kind) {
                return parsed;
            }
        }
        "srt" | "vtt" => {
            if let Some(kind) = subtitles::kind(&text) {
                return subtitles::parse(&text, kind);
            }
        }
        _ => {}
    }
    if let Some(parsed) = markup::parse(&extension, &text) {
        return Ok(parsed);
    }
    if html::looks_like(&text) {
        return html::parse(&text);
    }
    if text
        .trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with("<?xml")
        || extension == "xml"
    {
        return data::xml(&text);
    }
    if extension.starts_with(|c: char| c.is_ascii_digit()) && man::looks_like(&text) {
        return man::parse(&text);
    }
    let language = code::language(filename(path), &extension, &text);
    let kind = if language.is_some() { "code" } else { "text" };
    Ok(Parsed {
        language: language.map(Cow::Borrowed),
        ..Parsed::plain(kind, text)
    })
}

fn filename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The extension of a file's name, in lower case, without the dot.
fn extension(path: &str) -> String {
    filename(path)
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_lowercase())
        .unwrap_or_default()
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
