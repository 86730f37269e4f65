//! Files packed into a ZIP: what Office, OpenDocument and EPUB are made of.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::Refusal;
use super::decode::decode;

/// How much of a package may be unpacked in all, bytes.
pub(super) const MOST_UNPACKED: u64 = 128 << 20;
/// Most files in a package or an archive.
pub(super) const MOST_MEMBERS: usize = 20_000;

/// A package with its files.
pub(super) struct Package<'b> {
    archive: ZipArchive<Cursor<&'b [u8]>>,
    /// What may still be unpacked.
    left: u64,
}

impl<'b> Package<'b> {
    /// Opens a package.
    ///
    /// # Errors
    /// [`Refusal`] where it is broken or holds too many files.
    pub(super) fn open(bytes: &'b [u8]) -> Result<Package<'b>, Refusal> {
        let archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
        if archive.len() > MOST_MEMBERS {
            return Err(Refusal::error(format!(
                "it holds {} files, more than {MOST_MEMBERS}",
                archive.len()
            )));
        }
        Ok(Package {
            archive,
            left: MOST_UNPACKED,
        })
    }

    /// Names of all files, in their order.
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

    /// The bytes of a file; `None` where there is none of this name.
    ///
    /// # Errors
    /// [`Refusal`] where it is broken, encrypted or too large.
    pub(super) fn read(&mut self, name: &str) -> Result<Option<Vec<u8>>, Refusal> {
        let name = name.trim_start_matches('/');
        let Some(index) = self.archive.index_for_name(name) else {
            return Ok(None);
        };
        self.read_at(index).map(Some)
    }

    /// The bytes of the file at a place.
    ///
    /// # Errors
    /// [`Refusal`] where it is broken, encrypted or too large.
    pub(super) fn read_at(&mut self, index: usize) -> Result<Vec<u8>, Refusal> {
        let file = self.archive.by_index(index).map_err(|error| broken(&error))?;
        let bytes = read_limited(file, self.left)?;
        self.left = self.left.saturating_sub(bytes.len() as u64);
        Ok(bytes)
    }

    /// The text of a file; `None` where there is none of this name, or it is no text.
    ///
    /// # Errors
    /// As [`Package::read`].
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        Ok(self.read(name)?.and_then(|bytes| decode(&bytes).ok()))
    }
}

/// All of a stream, unless it is more than `limit` bytes.
///
/// # Errors
/// [`Refusal`] where it cannot be unpacked, or is larger.
pub(super) fn read_limited(stream: impl Read, limit: u64) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let read = stream.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| Refusal::error(format!("it cannot be unpacked: {}", error.kind())))?;
    if bytes.len() as u64 > limit {
        return Err(Refusal::error(format!(
            "it unpacks to more than {} MB",
            MOST_UNPACKED >> 20
        )));
    }
    Ok(bytes)
}

fn broken(error: &ZipError) -> Refusal {
    let said = error.to_string();
    if said.to_lowercase().contains("password") {
        return Refusal::error("encrypted with a password");
    }
    Refusal::error(format!("broken ZIP: {said}"))
}

/// `target` as seen from the folder of `from`, both with `/` between components.
pub(super) fn resolve(from: &str, target: &str) -> String {
    let mut parts: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => from
            .rsplit_once('/')
            .map(|(folder, _)| folder.split('/').collect())
            .unwrap_or_default(),
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
    use super::*;

    #[test]
    fn targets_are_seen_from_their_folder() {
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
    fn what_unfolds_without_end_is_refused() {
        let refusal = read_limited(std::io::repeat(0), 1000).unwrap_err();
        assert!(refusal.reason.contains("unpacks to more than"), "{refusal:?}");
    }
}
