//! Archives: one document an archive, a heading a member; and single files that are compressed, which are that file.

use std::io::Read;

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

use super::composer::Composer;
use super::nested::Budget;
use super::package::{Package, read_limited};
use super::{Parsed, Refusal, parse_within};

/// Memory that an xz file may ask for, KiB.
const XZ_MEMORY: u32 = 128 << 10;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Compression {
    /// Endings of names that say so, and what they are without.
    fn endings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Compression::Gzip => &[(".tgz", ".tar"), (".svgz", ".svg"), (".gz", ""), (".z", "")],
            Compression::Bzip2 => &[(".tbz2", ".tar"), (".tbz", ".tar"), (".bz2", "")],
            Compression::Xz => &[(".txz", ".tar"), (".xz", "")],
            Compression::Zstd => &[(".tzst", ".tar"), (".zst", "")],
        }
    }
}

/// Whether `bytes` are a tar archive: its mark is in the first header.
pub(super) fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// Parses the file that a compressed one holds.
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
            Err(error) => Err(Refusal::error(format!("it cannot be unpacked: {error}"))),
        },
    }?;
    budget.unpacked(inner.len());
    if !budget.enter() {
        return Err(Refusal::skipped("a file too deep within others"));
    }
    let parsed = parse_within(&bare_name(path, compression), &inner, budget);
    budget.leave();
    parsed
}

fn bare_name(path: &str, compression: Compression) -> String {
    let lower = path.to_ascii_lowercase();
    for (ending, without) in compression.endings() {
        if lower.ends_with(ending) {
            return format!("{}{without}", &path[..path.len() - ending.len()]);
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
        budget.unpacked(bytes.len());
        contents.add(&name, &bytes, budget)?;
    }
    contents.finish("zip")
}

/// Parses a tar archive.
pub(super) fn parse_tar(bytes: &[u8], budget: &mut Budget) -> Result<Parsed, Refusal> {
    let broken = |error: std::io::Error| Refusal::error(format!("broken tar archive: {error}"));
    let mut archive = tar::Archive::new(bytes);
    let mut contents = Contents::default();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let bytes = read_limited(&mut entry as &mut dyn Read, budget.bytes())?;
        budget.unpacked(bytes.len());
        contents.add(&name, &bytes, budget)?;
    }
    contents.finish("tar")
}

/// What an archive holds.
#[derive(Default)]
struct Contents {
    composer: Composer,
    members: usize,
    read: usize,
}

impl Contents {
    fn add(&mut self, name: &str, bytes: &[u8], budget: &mut Budget) -> Result<(), Refusal> {
        self.members += 1;
        match budget.parse(name, bytes) {
            Ok(parsed) => {
                self.read += 1;
                self.composer.heading(1, name);
                self.composer.embed(1, &parsed);
                Ok(())
            }
            // Its name is findable all the same.
            Err(refusal) => {
                budget_is_left(budget)?;
                self.composer
                    .item(0, None, &format!("{name} ({})", refusal.reason));
                Ok(())
            }
        }
    }

    fn finish(self, kind: &'static str) -> Result<Parsed, Refusal> {
        if self.read == 0 {
            let members = self.members;
            return Err(match members {
                0 => Refusal::skipped("an empty archive"),
                _ => Refusal::skipped(format!("an archive of {members} files, none of which has text")),
            });
        }
        self.composer.finish(kind, "an archive without text")
    }
}

/// A member that was refused for what all of them take together refuses the archive.
fn budget_is_left(budget: &Budget) -> Result<(), Refusal> {
    match budget.is_spent() {
        true => Err(Refusal::error("it holds more than may be unpacked; unpack it")),
        false => Ok(()),
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
    fn a_compressed_file_is_that_file() {
        let parsed = super::super::parse("a/guide.md.gz", &gzip(b"# Guide\n\ntext\n")).unwrap();
        assert_eq!(
            (parsed.kind.as_str(), parsed.title.as_deref()),
            ("markdown", Some("Guide"))
        );
        assert_eq!(bare_name("x.tgz", Compression::Gzip), "x.tar");
        assert_eq!(bare_name("page", Compression::Gzip), "page");
    }

    #[test]
    fn members_stand_under_their_names() {
        let inner = tar(&[("docs/a.md", b"# A\n\nkiwi\n"), ("b.bin", &[0, 1, 2, 3])]);
        let parsed = super::super::parse("x.tar.gz", &gzip(&inner)).unwrap();
        assert_eq!(parsed.kind, "tar");
        assert_eq!(parsed.text, "# docs/a.md\n\n# A\n\nkiwi\n\n- b.bin (binary)\n");
    }

    #[test]
    fn what_unfolds_too_far_is_refused() {
        let bomb = gzip(&gzip(&vec![b'x'; 129 << 20]));
        let refusal = super::super::parse("bomb.gz", &bomb).unwrap_err();
        assert!(refusal.reason.contains("more than 128 MB"), "{refusal:?}");
        let mut nested = b"text".to_vec();
        for _ in 0..8 {
            nested = gzip(&nested);
        }
        let refusal = super::super::parse("deep.gz", &nested).unwrap_err();
        assert!(refusal.reason.contains("deep"), "{refusal:?}");
    }
}
