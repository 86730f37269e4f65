//! From bytes to text with structure. The content decides what a file is; the name only which kind of text.

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
mod rtf;
mod sheets;
mod structure;
mod subtitles;
mod table;
mod xml;

use std::borrow::Cow;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use autorag_store::{ItemStatus, Kind, Metadata};
use cfb::CompoundFile;
use serde::{Deserialize, Serialize};

use format::{CompoundKind, Format, PackageKind};
use mail::MailKind;
use nested::Budget;
use package::Package;

pub(crate) use code::grammar;
pub use structure::{Heading, Structure};

/// Text and what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parsed {
    /// `markdown`, `html`, `pdf`, `code`, `text` …
    pub kind: Kind,
    /// Programming language of code.
    pub language: Option<Cow<'static, str>>,
    /// Title, where there is one.
    pub title: Option<String>,
    /// Front matter, meta tags, properties of an Office file.
    pub metadata: Metadata,
    /// The text that spans count in. Of Markdown, code and plain text it is the whole file's, so that lines in a citation are
    /// lines in the editor.
    pub text: String,
    /// Where passages begin: after the front matter.
    pub body_start: usize,
    /// Where it may be cut.
    pub structure: Structure,
    /// Where its pages, slides, sheets or cells begin, in bytes; empty in formats that have none.
    pub pages: Vec<usize>,
}

impl Parsed {
    /// Text without structure, of which nothing else is known.
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

/// Why a file gives no text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Whether it failed or is left out on purpose.
    pub status: ItemStatus,
    /// Why, for a reader.
    pub reason: String,
    /// Whether the same bytes may give text another time.
    #[serde(skip)]
    pub may_pass: bool,
}

impl Refusal {
    /// It should have given text and did not.
    pub fn error(reason: impl Into<String>) -> Refusal {
        Refusal {
            status: ItemStatus::Error,
            reason: reason.into(),
            may_pass: false,
        }
    }

    /// It is left out on purpose.
    pub fn skipped(reason: impl Into<String>) -> Refusal {
        Refusal {
            status: ItemStatus::Skipped,
            reason: reason.into(),
            may_pass: false,
        }
    }

    /// It should have given text, and may another time.
    pub(crate) fn for_now(reason: impl Into<String>) -> Refusal {
        Refusal {
            may_pass: true,
            ..Refusal::error(reason)
        }
    }
}

/// What `parser` gives. A panic of it costs the file, not the run: it has no state that could be left half done.
///
/// # Errors
/// [`Refusal`] as `parser` says, and where it panics.
pub(crate) fn contained<T>(parser: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(parser))
        .unwrap_or_else(|_| Err(Refusal::error("the parser met a bug on this file")))
}

/// Whether the file is of a format whose parsers other people's bytes have broken before: those run in a process of their own
/// where there is one. What is left is decoded and looked through by code that is linear in its length.
pub(crate) fn is_risky(path: &str, bytes: &[u8]) -> bool {
    format::of(bytes) != Format::Other
        || mail_kind(path, bytes).is_some()
        || matches!(extension(path).as_str(), "ipynb" | "xml" | "csv" | "tsv" | "json")
        || bytes.starts_with(b"<?xml")
}

/// Parses the bytes of the file at `path`, of which only the name counts.
///
/// # Errors
/// [`Refusal`] where there is no text to be had.
pub fn parse(path: &str, bytes: &[u8]) -> Result<Parsed, Refusal> {
    parse_within(path, bytes, &mut Budget::default())
}

/// Parses a file that may be within others, which share one budget.
fn parse_within(path: &str, bytes: &[u8], budget: &mut Budget) -> Result<Parsed, Refusal> {
    match format::of(bytes) {
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
    match format::of_package(&mut package)? {
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
        PackageKind::Unsupported(what) => Err(Refusal::skipped(format!("{what}: not supported"))),
        PackageKind::Archive => archive::parse_zip(package, budget),
    }
}

fn parse_compound(bytes: &[u8], budget: &mut Budget) -> Result<Parsed, Refusal> {
    let file = CompoundFile::open(Cursor::new(bytes))
        .map_err(|error| Refusal::error(format!("broken compound file: {error}")))?;
    match format::of_compound(&file) {
        CompoundKind::Workbook => sheets::parse(bytes, "xls", Default::default()),
        CompoundKind::Word => Err(Refusal::skipped("a Word document of before 2007: not supported")),
        CompoundKind::PowerPoint => Err(Refusal::skipped("a presentation of before 2007: not supported")),
        CompoundKind::Message => msg::parse(file, budget),
        CompoundKind::Encrypted => Err(Refusal::error("encrypted with a password")),
        CompoundKind::Unknown => Err(Refusal::skipped(
            "a compound file of an unknown kind: not supported",
        )),
    }
}

/// Mail by its name and its first lines.
fn mail_kind(path: &str, bytes: &[u8]) -> Option<MailKind> {
    let is_named = match extension(path).as_str() {
        "eml" | "mht" | "mhtml" | "mbox" | "mbx" => true,
        // Files of a Maildir have names of their own, and mailboxes often none of a kind.
        "txt" | "" => false,
        _ if path.contains(":2,") => false,
        _ => return None,
    };
    mail::kind(bytes, is_named)
}

fn parse_text(path: &str, text: String) -> Result<Parsed, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::skipped("empty"));
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

/// The ending of a file's name, in small letters, without its dot.
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
