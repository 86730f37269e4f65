//! Packed weights kept on disk, so that a model is packed once.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::files::Files;
use crate::encoder::aligned::AlignedVec;
use crate::encoder::format::{HEADER_LENGTH, Header};
use crate::encoder::shape::Shape;
use crate::error::EmbedError;

/// Where the packed weights of a checkpoint are kept. The name changes with the place, length and time of the checkpoint, and with its
/// settings: what is there was made from what is here, and reading a large checkpoint to find that out is spared.
pub(super) fn place(
    folder: &Path,
    id: &str,
    checkpoint: &Path,
    files: &Files,
) -> Result<PathBuf, EmbedError> {
    let unusable = |error: &std::io::Error| {
        EmbedError::unusable(checkpoint, format!("cannot be read ({})", error.kind()))
    };
    let path = fs_err::canonicalize(checkpoint).map_err(|error| unusable(&error))?;
    let stat = fs_err::metadata(&path).map_err(|error| unusable(&error))?;
    let modified = stat
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let mut hasher = blake3::Hasher::new();
    hasher.update(path.as_os_str().as_encoded_bytes());
    hasher.update(&stat.len().to_le_bytes());
    hasher.update(&modified.unwrap_or_default().as_nanos().to_le_bytes());
    for name in ["config.json", "tokenizer.json", "vocab.txt"] {
        if let Some((_, bytes)) = files.read(name, super::files::LARGEST_TOKENIZER)? {
            hasher.update(&bytes);
        }
        hasher.update(&[0]);
    }
    let id: String = id
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let digits = &hasher.finalize().to_hex()[..12];
    Ok(folder.join(format!("{}-{digits}.bin", id.trim_start_matches('.'))))
}

/// The packed weights at `place`, if they are there, whole and of this shape.
pub(super) fn read(place: &Path, shape: Shape) -> Option<AlignedVec<u8>> {
    let mut file = fs_err::File::open(place).ok()?;
    if file.metadata().ok()?.len() != shape.packed_length() as u64 {
        return None;
    }
    let mut bytes = AlignedVec::zeroed(shape.packed_length());
    std::io::Read::read_exact(&mut file, &mut bytes).ok()?;
    let header = Header::parse(&bytes).ok()?;
    let whole = header.shape == shape && header.digest == *blake3::hash(&bytes[HEADER_LENGTH..]).as_bytes();
    if !whole {
        tracing::warn!(file = %place.display(), "these packed weights are damaged and are made anew");
    }
    whole.then_some(bytes)
}

/// Keeps packed weights: under another name first, so that `place` never holds a part of them.
pub(super) fn write(place: &Path, bytes: &[u8]) -> Result<(), EmbedError> {
    let folder = place.parent().unwrap_or(place);
    let write = || -> std::io::Result<()> {
        fs_err::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(place).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| {
        let reason = format!(
            "cannot be written ({}): free some space, or choose another data folder",
            error.kind()
        );
        EmbedError::unusable(place, reason)
    })
}
