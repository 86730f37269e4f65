//! Detects the format of a file by its content.

use std::io::Cursor;

use cfb::CompoundFile;

use super::Refusal;
use super::archive::{Compression, is_tar};
use super::package::Package;

/// The format according to the first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Pdf,
    /// A ZIP: Office, OpenDocument, EPUB, or an archive.
    Zip,
    /// A compound file (OLE2): Office before 2007, Outlook messages.
    Compound,
    Rtf,
    Compressed(Compression),
    Tar,
    /// Text, or a format that no parser reads.
    Other,
}

/// How far into a file the magic of a PDF may be, bytes.
const PDF_MAGIC_WITHIN: usize = 1024;

/// Detects the format of `bytes`.
pub(super) fn detect(bytes: &[u8]) -> Format {
    let begins = |magic: &[u8]| bytes.starts_with(magic);
    let head = &bytes[..bytes.len().min(PDF_MAGIC_WITHIN)];
    if begins(b"%PDF-") {
        Format::Pdf
    } else if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") || begins(b"PK\x07\x08") {
        Format::Zip
    } else if begins(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        Format::Compound
    } else if begins(b"{\\rtf") {
        Format::Rtf
    } else if begins(b"\x1f\x8b") {
        Format::Compressed(Compression::Gzip)
    } else if begins(b"BZh") && bytes.get(4..10) == Some(b"1AY&SY") {
        Format::Compressed(Compression::Bzip2)
    } else if begins(b"\xfd7zXZ\0") {
        Format::Compressed(Compression::Xz)
    } else if begins(b"\x28\xb5\x2f\xfd") {
        Format::Compressed(Compression::Zstd)
    } else if is_tar(bytes) {
        Format::Tar
    } else if head.contains(&0) && head.windows(5).any(|window| window == b"%PDF-") {
        // Some programs write bytes of their own before the magic.
        Format::Pdf
    } else {
        Format::Other
    }
}

/// The kind of a ZIP package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PackageKind {
    Word,
    PowerPoint,
    /// A workbook, with its document kind.
    Workbook(&'static str),
    /// An OpenDocument text, presentation or drawing, with its document kind.
    OpenDocument(&'static str),
    Epub,
    /// A format that no parser reads, with its name.
    Unsupported(&'static str),
    Archive,
}

/// Files that mark an Apple iWork package, from current versions back to those before 2013.
const IWORK: [&str; 3] = ["Index/Document.iwa", "Index.zip", "buildVersionHistory.plist"];

/// Detects the kind of `package` by the files in it.
///
/// # Errors
/// [`Refusal`] if the package is malformed.
pub(super) fn detect_package(package: &mut Package<'_>) -> Result<PackageKind, Refusal> {
    let declared = if package.has("mimetype") {
        package.text("mimetype")?.unwrap_or_default()
    } else {
        String::new()
    };
    let declared = declared.trim();
    if declared == "application/epub+zip" {
        return Ok(PackageKind::Epub);
    }
    if let Some(kind) = declared.strip_prefix("application/vnd.oasis.opendocument.") {
        return Ok(if kind.starts_with("text") {
            PackageKind::OpenDocument("odt")
        } else if kind.starts_with("presentation") {
            PackageKind::OpenDocument("odp")
        } else if kind.starts_with("spreadsheet") {
            PackageKind::Workbook("ods")
        } else if kind.starts_with("graphics") {
            PackageKind::OpenDocument("odg")
        } else {
            PackageKind::Unsupported("OpenDocument file of an unusual kind")
        });
    }
    let names = package.names();
    let inside = |folder: &str| names.iter().any(|name| name.starts_with(folder));
    let is_office = names
        .iter()
        .any(|name| name.eq_ignore_ascii_case("[Content_Types].xml"));
    Ok(if is_office && inside("word/") {
        PackageKind::Word
    } else if is_office && inside("ppt/") {
        PackageKind::PowerPoint
    } else if inside("xl/workbook.bin") {
        PackageKind::Workbook("xlsb")
    } else if is_office && inside("xl/") {
        PackageKind::Workbook("xlsx")
    } else if names.iter().any(|name| name == "META-INF/container.xml") {
        PackageKind::Epub
    } else if IWORK.iter().any(|name| inside(name)) {
        PackageKind::Unsupported("Apple iWork document; export it as PDF")
    } else {
        PackageKind::Archive
    })
}

/// The kind of a compound file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompoundKind {
    Workbook,
    Word,
    PowerPoint,
    Message,
    Encrypted,
    Unknown,
}

/// Detects the kind of a compound file by the streams in it.
pub(super) fn detect_compound(file: &CompoundFile<Cursor<&[u8]>>) -> CompoundKind {
    let names: Vec<String> = file
        .read_root_storage()
        .map(|entry| entry.name().to_ascii_lowercase())
        .collect();
    let has = |name: &str| names.iter().any(|other| other == name);
    if has("encryptedpackage") {
        CompoundKind::Encrypted
    } else if has("worddocument") {
        CompoundKind::Word
    } else if has("powerpoint document") {
        CompoundKind::PowerPoint
    } else if has("workbook") || has("book") {
        CompoundKind::Workbook
    } else if has("__properties_version1.0") {
        CompoundKind::Message
    } else {
        CompoundKind::Unknown
    }
}
