//! ZIP packages, the container of Office, OpenDocument and EPUB files.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::Refusal;
use super::decode::decode;

/// Most bytes that are unpacked from one file in total.
pub(super) const MAX_UNPACKED: u64 = 128 << 20;
/// Most files in a package or an archive.
pub(super) const MAX_MEMBERS: usize = 20_000;

/// An open package.
pub(super) struct Package<'b> {
    archive: ZipArchive<Cursor<&'b [u8]>>,
    /// Bytes that may still be unpacked.
    left: u64,
}

impl<'b> Package<'b> {
    /// Opens a package.
    ///
    /// # Errors
    /// [`Refusal`] if the package is malformed or has too many files.
    pub(super) fn open(bytes: &'b [u8]) -> Result<Package<'b>, Refusal> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| refusal(&error))?;
        if archive.len() > MAX_MEMBERS {
            return Err(Refusal::over_limit(format!(
                "contains {} files, over the limit of {MAX_MEMBERS}",
                archive.len()
            )));
        }
        Ok(Package {
            archive,
            left: MAX_UNPACKED,
        })
    }

    /// Names of all files, in archive order. A name that cannot be decoded is a replacement character.
    pub(super) fn names(&self) -> Vec<String> {
        let names = self.archive.file_names();
        names
            .map(|name| name.map_or_else(|_| "\u{fffd}".to_owned(), |name| name.into_owned()))
            .collect()
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.archive.index_for_name(name).is_some()
    }

    /// The bytes of a file, or `None` if no file has this name.
    ///
    /// # Errors
    /// [`Refusal`] if the file is malformed, encrypted or too large.
    pub(super) fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let name = name.trim_start_matches('/');
        let Some(index) = self.archive.index_for_name(name) else {
            return Ok(None);
        };
        self.read_at(index).map(Some)
    }

    /// The bytes of the file at `index`.
    ///
    /// # Errors
    /// [`Refusal`] if the file is malformed, encrypted or too large.
    pub(super) fn read_at(&mut self, index: usize) -> Result<Vec<u8>, Refusal> {
        let file = self.archive.by_index(index).map_err(|error| refusal(&error))?;
        let bytes = read_limited(file, self.left)?;
        self.left = self.left.saturating_sub(bytes.len() as u64);
        Ok(bytes)
    }

    /// The text of a file, or `None` if no file has this name or the file is not text.
    ///
    /// # Errors
    /// As [`Package::read`].
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        Ok(self.read(name)?.and_then(|bytes| decode(&bytes).ok()))
    }
}

/// Reads a stream of at most `limit` bytes to its end.
///
/// # Errors
/// [`Refusal`] if the stream is malformed or longer.
pub(super) fn read_limited(stream: impl Read, limit: u64) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let read = stream.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| Refusal::malformed("compressed data", error.kind()))?;
    if bytes.len() as u64 > limit {
        return Err(Refusal::over_limit(format!(
            "unpacks to more than {} MB; unpack it yourself",
            MAX_UNPACKED >> 20
        )));
    }
    Ok(bytes)
}

fn refusal(error: &ZipError) -> Refusal {
    if needs_password(error) {
        Refusal::encrypted()
    } else {
        Refusal::malformed("ZIP", error)
    }
}

/// Whether a ZIP cannot be read because it is encrypted.
pub(super) fn needs_password(error: &ZipError) -> bool {
    matches!(
        error,
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword
    )
}

/// Resolves `target` relative to the folder of `from`. Never leaves the root of the package.
pub(super) fn resolve(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = if target.starts_with('/') {
        Vec::new()
    } else {
        from.rsplit_once('/')
            .map(|(folder, _)| folder.split('/').collect())
            .unwrap_or_default()
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::super::ReasonCode;
    use super::*;

    #[test]
    fn targets_are_resolved_relative_to_their_folder() {
        assert_eq!(
            resolve("ppt/slides/slide1.xml", "../notes/n1.xml"),
            "ppt/notes/n1.xml"
        );
        assert_eq!(
            resolve("ppt/presentation.xml", "/ppt/slides/s.xml"),
            "ppt/slides/s.xml"
        );
        assert_eq!(resolve("content.opf", "../../../a.xhtml"), "a.xhtml");
    }

    #[test]
    fn an_endless_stream_is_refused() {
        let refusal = read_limited(std::io::repeat(0), 1000).unwrap_err();
        assert_eq!(refusal.code, ReasonCode::LimitExceeded);
    }

    #[test]
    fn a_member_with_a_password_is_encrypted_and_not_malformed() {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer
            .start_file("a.txt", zip::write::SimpleFileOptions::default())
            .unwrap();
        std::io::Write::write_all(&mut writer, b"text").unwrap();
        let mut bytes = writer.finish().unwrap().into_inner();
        // Bit 0 of the general purpose flags says "encrypted", in the local header and in the central directory.
        bytes[6] |= 1;
        let central = bytes
            .windows(4)
            .position(|window| window == b"PK\x01\x02")
            .unwrap();
        bytes[central + 8] |= 1;
        let refusal = Package::open(&bytes).unwrap().read("a.txt").unwrap_err();
        assert_eq!(refusal.code, ReasonCode::Encrypted);
    }
}
