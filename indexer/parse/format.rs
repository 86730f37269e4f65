//! What a file is, by its content: the name is asked only which kind of text a text is.

use std::io::Cursor;

use cfb::CompoundFile;

use super::Refusal;
use super::archive::{Compression, is_tar};
use super::package::Package;

/// What the first bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Pdf,
    /// A package of files: Office, OpenDocument, EPUB, or an archive.
    Zip,
    /// A compound file: older Office, Outlook.
    Compound,
    Rtf,
    Compressed(Compression),
    Tar,
    /// Text, or something that is not read.
    Other,
}

/// How far into a file the mark of a PDF may be.
const PDF_MARK_WITHIN: usize = 1024;

/// What `bytes` are.
pub(super) fn of(bytes: &[u8]) -> Format {
    let begins = |magic: &[u8]| bytes.starts_with(magic);
    let head = &bytes[..bytes.len().min(PDF_MARK_WITHIN)];
    match () {
        () if begins(b"%PDF-") => Format::Pdf,
        () if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") || begins(b"PK\x07\x08") => Format::Zip,
        () if begins(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") => Format::Compound,
        () if begins(b"{\\rtf") => Format::Rtf,
        () if begins(b"\x1f\x8b") => Format::Compressed(Compression::Gzip),
        () if begins(b"BZh") && bytes.get(4..10) == Some(b"1AY&SY") => Format::Compressed(Compression::Bzip2),
        () if begins(b"\xfd7zXZ\0") => Format::Compressed(Compression::Xz),
        () if begins(b"\x28\xb5\x2f\xfd") => Format::Compressed(Compression::Zstd),
        () if is_tar(bytes) => Format::Tar,
        // Some programs put bytes of their own before it.
        () if head.contains(&0) && head.windows(5).any(|window| window == b"%PDF-") => Format::Pdf,
        () => Format::Other,
    }
}

/// What a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PackageKind {
    Word,
    PowerPoint,
    /// A workbook, by the name of its kind.
    Workbook(&'static str),
    /// A text, a presentation or a drawing, by the name of its kind.
    OpenDocument(&'static str),
    Epub,
    /// Something that is not read.
    Unsupported(&'static str),
    Archive,
}

/// Files that a package of Apple's iWork has, from its latest versions to those of before 2013.
const IWORK: [&str; 3] = ["Index/Document.iwa", "Index.zip", "buildVersionHistory.plist"];

/// What `package` is, by the files in it.
///
/// # Errors
/// [`Refusal`] where it is broken.
pub(super) fn of_package(package: &mut Package<'_>) -> Result<PackageKind, Refusal> {
    let declared = match package.has("mimetype") {
        true => package.text("mimetype")?.unwrap_or_default(),
        false => String::new(),
    };
    let declared = declared.trim();
    if declared == "application/epub+zip" {
        return Ok(PackageKind::Epub);
    }
    if let Some(kind) = declared.strip_prefix("application/vnd.oasis.opendocument.") {
        return Ok(match kind {
            _ if kind.starts_with("text") => PackageKind::OpenDocument("odt"),
            _ if kind.starts_with("presentation") => PackageKind::OpenDocument("odp"),
            _ if kind.starts_with("spreadsheet") => PackageKind::Workbook("ods"),
            _ if kind.starts_with("graphics") => PackageKind::OpenDocument("odg"),
            _ => PackageKind::Unsupported("an OpenDocument file of an unusual kind"),
        });
    }
    let names = package.names();
    let inside = |folder: &str| names.iter().any(|name| name.starts_with(folder));
    let is_office = names
        .iter()
        .any(|name| name.eq_ignore_ascii_case("[Content_Types].xml"));
    Ok(match () {
        () if is_office && inside("word/") => PackageKind::Word,
        () if is_office && inside("ppt/") => PackageKind::PowerPoint,
        () if inside("xl/workbook.bin") => PackageKind::Workbook("xlsb"),
        () if is_office && inside("xl/") => PackageKind::Workbook("xlsx"),
        () if names.iter().any(|name| name == "META-INF/container.xml") => PackageKind::Epub,
        () if IWORK.iter().any(|name| inside(name)) => PackageKind::Unsupported("an Apple iWork document"),
        () => PackageKind::Archive,
    })
}

/// What a compound file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CompoundKind {
    Workbook,
    Word,
    PowerPoint,
    Message,
    Encrypted,
    Unknown,
}

/// What `file` is, by the streams in it.
pub(super) fn of_compound(file: &CompoundFile<Cursor<&[u8]>>) -> CompoundKind {
    let names: Vec<String> = file
        .read_root_storage()
        .map(|entry| entry.name().to_ascii_lowercase())
        .collect();
    let has = |name: &str| names.iter().any(|found| found == name);
    match () {
        () if has("encryptedpackage") => CompoundKind::Encrypted,
        () if has("worddocument") => CompoundKind::Word,
        () if has("powerpoint document") => CompoundKind::PowerPoint,
        () if has("workbook") || has("book") => CompoundKind::Workbook,
        () if has("__properties_version1.0") => CompoundKind::Message,
        () => CompoundKind::Unknown,
    }
}
