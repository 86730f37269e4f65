//! Archives and compressed files.
//!
//! An archive is one document with a heading per member. A compressed file is parsed as the file inside.

use std::io::Read;

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

use super::composer::Composer;
use super::nested::{Budget, too_deep};
use super::package::{Package, read_limited};
use super::{Parsed, ReasonCode, Refusal, parse_within};

/// Most memory that decompressing an xz file may use, KiB.
const XZ_MEMORY: u32 = 128 << 10;

/// Compression format of a single file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Compression {
    /// File extensions of this compression, with their replacement when it is removed.
    fn extensions(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Compression::Gzip => &[(".tgz", ".tar"), (".svgz", ".svg"), (".gz", ""), (".z", "")],
            Compression::Bzip2 => &[(".tbz2", ".tar"), (".tbz", ".tar"), (".bz2", "")],
            Compression::Xz => &[(".txz", ".tar"), (".xz", "")],
            Compression::Zstd => &[(".tzst", ".tar"), (".zst", "")],
        }
    }
}

/// Whether `bytes` are a tar archive: the magic is in the first header.
pub(super) fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// Parses the file inside a compressed one.
pub(super) fn parse_compressed(
    path: &str,
    bytes: &[u8],
    compression: Compression,
    budget: &mut Budget,
) -> Result<Parsed, Refusal> {
    let limit = budget.bytes();
    let inner = match compression {
        Compression::Gzip => read_limited(MultiGzDecoder::new(bytes), limit),
        Compression::Bzip2 => read_limited(MultiBzDecoder::new(bytes), limit),
        Compression::Xz => read_limited(XzReader::new_mem_limit(bytes, true, XZ_MEMORY), limit),
        Compression::Zstd => match StreamingDecoder::new(bytes) {
            Ok(stream) => read_limited(stream, limit),
            Err(error) => Err(Refusal::malformed("Zstandard file", error)),
        },
    }?;
    budget.spend(inner.len());
    if !budget.enter() {
        return Err(too_deep());
    }
    let parsed = parse_within(&uncompressed_name(path, compression), &inner, budget);
    budget.leave();
    parsed
}

fn uncompressed_name(path: &str, compression: Compression) -> String {
    let lower = path.to_ascii_lowercase();
    for (extension, replacement) in compression.extensions() {
        if lower.ends_with(extension) {
            return format!("{}{replacement}", &path[..path.len() - extension.len()]);
        }
    }
    path.to_owned()
}

/// Parses a ZIP archive.
pub(super) fn parse_zip(mut package: Package<'_>, budget: &mut Budget) -> Result<Parsed, Refusal> {
    let mut contents = Contents::default();
    for (index, name) in package.names().into_iter().enumerate() {
        if name.ends_with('/') {
            continue;
        }
        let bytes = package.read_at(index)?;
        budget.spend(bytes.len());
        contents.add(&name, &bytes, budget)?;
    }
    contents.finish("zip")
}

/// Parses a tar archive.
pub(super) fn parse_tar(bytes: &[u8], budget: &mut Budget) -> Result<Parsed, Refusal> {
    let malformed = |error: std::io::Error| Refusal::malformed("tar archive", error);
    let mut archive = tar::Archive::new(bytes);
    let mut contents = Contents::default();
    for entry in archive.entries().map_err(malformed)? {
        let mut entry = entry.map_err(malformed)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let bytes = read_limited(&mut entry as &mut dyn Read, budget.bytes())?;
        budget.spend(bytes.len());
        contents.add(&name, &bytes, budget)?;
    }
    contents.finish("tar")
}

/// The document made of an archive.
#[derive(Default)]
struct Contents {
    composer: Composer,
    members: usize,
    /// Members with text.
    parsed: usize,
}

impl Contents {
    fn add(&mut self, name: &str, bytes: &[u8], budget: &mut Budget) -> Result<(), Refusal> {
        self.members += 1;
        match budget.parse(name, bytes) {
            Ok(parsed) => {
                self.parsed += 1;
                self.composer.heading(1, name);
                self.composer.embed(1, &parsed);
                Ok(())
            }
            // Keeps the member's name searchable. The reason in brackets is the code and not the sentence,
            // because rewording a sentence must not change the text of archives.
            Err(refusal) => {
                check_budget(budget)?;
                self.composer
                    .item(0, None, &format!("{name} ({})", refusal.code.as_str()));
                Ok(())
            }
        }
    }

    fn finish(self, kind: &'static str) -> Result<Parsed, Refusal> {
        if self.members == 0 {
            return Err(Refusal::new(ReasonCode::Empty, "empty archive"));
        }
        if self.parsed == 0 {
            return Err(Refusal::no_text(&format!("archive of {} files", self.members)));
        }
        self.composer.finish(kind, "archive")
    }
}

/// Refuses the whole archive if a member was refused because the shared budget is spent.
fn check_budget(budget: &Budget) -> Result<(), Refusal> {
    if budget.is_spent() {
        Err(Refusal::over_limit(
            "unpacks to too many or too large files; unpack it yourself",
        ))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in members {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn a_compressed_file_is_parsed_as_the_file_inside() {
        let parsed = super::super::parse("a/guide.md.gz", &gzip(b"# Guide\n\ntext\n")).unwrap();
        assert_eq!(
            (parsed.kind.as_str(), parsed.title.as_deref()),
            ("markdown", Some("Guide"))
        );
        assert_eq!(uncompressed_name("x.tgz", Compression::Gzip), "x.tar");
        assert_eq!(uncompressed_name("page", Compression::Gzip), "page");
    }

    #[test]
    fn archive_members_get_a_heading_each() {
        let inner = tar(&[("docs/a.md", b"# A\n\nkiwi\n"), ("b.bin", &[0, 1, 2, 3])]);
        let parsed = super::super::parse("x.tar.gz", &gzip(&inner)).unwrap();
        assert_eq!(parsed.kind, "tar");
        assert_eq!(parsed.text, "# docs/a.md\n\n# A\n\nkiwi\n\n- b.bin (binary)\n");
    }

    #[test]
    fn archive_bombs_and_deep_nesting_are_refused() {
        let bomb = gzip(&gzip(&vec![b'x'; 129 << 20]));
        let refusal = super::super::parse("bomb.gz", &bomb).unwrap_err();
        assert_eq!(refusal.code, ReasonCode::LimitExceeded);
        let mut nested = b"text".to_vec();
        for _ in 0..8 {
            nested = gzip(&nested);
        }
        let refusal = super::super::parse("deep.gz", &nested).unwrap_err();
        assert_eq!(refusal.code, ReasonCode::NestedTooDeep);
    }
}
