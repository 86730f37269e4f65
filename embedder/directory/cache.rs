//! Packed weights on disk, so that a model is packed only once.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::files::Files;
use crate::encoder::aligned::AlignedVec;
use crate::encoder::format::{HEADER_LENGTH, Header};
use crate::encoder::shape::Shape;
use crate::error::EmbedError;

/// Path of the packed weights of a checkpoint.
///
/// The name has a hash of the checkpoint's path, length and modification time, and of the model's settings. A changed model
/// therefore gets another file, and the lookup need not read the large checkpoint.
pub(super) fn path(folder: &Path, id: &str, checkpoint: &Path, files: &Files) -> Result<PathBuf, EmbedError> {
    let unreadable = |error: &std::io::Error| {
        EmbedError::unusable(checkpoint, format!("cannot be read ({})", error.kind()))
    };
    let canonical = fs_err::canonicalize(checkpoint).map_err(|error| unreadable(&error))?;
    let stat = fs_err::metadata(&canonical).map_err(|error| unreadable(&error))?;
    let modified = stat
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let mut hasher = blake3::Hasher::new();
    hasher.update(canonical.as_os_str().as_encoded_bytes());
    hasher.update(&stat.len().to_le_bytes());
    hasher.update(&modified.unwrap_or_default().as_nanos().to_le_bytes());
    for name in ["config.json", "tokenizer.json", "vocab.txt"] {
        if let Some((_, bytes)) = files.read(name, super::files::MAX_TOKENIZER_LENGTH)? {
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
    let hash = &hasher.finalize().to_hex()[..12];
    Ok(folder.join(format!("{}-{hash}.bin", id.trim_start_matches('.'))))
}

/// Reads packed weights. `None` if they are missing, corrupt or of another shape.
pub(super) fn read(path: &Path, shape: Shape) -> Option<AlignedVec<u8>> {
    let mut file = fs_err::File::open(path).ok()?;
    if file.metadata().ok()?.len() != shape.packed_length() as u64 {
        return None;
    }
    let mut bytes = AlignedVec::zeroed(shape.packed_length());
    std::io::Read::read_exact(&mut file, &mut bytes).ok()?;
    let header = Header::parse(&bytes).ok()?;
    let is_intact =
        header.shape == shape && header.digest == *blake3::hash(&bytes[HEADER_LENGTH..]).as_bytes();
    if !is_intact {
        tracing::warn!(file = %path.display(), "the cached weights are corrupt; quantizing the model again");
    }
    is_intact.then_some(bytes)
}

/// Writes packed weights atomically, so that `path` never holds an incomplete file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), EmbedError> {
    let folder = path.parent().unwrap_or(path);
    let write = || -> std::io::Result<()> {
        fs_err::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| {
        let reason = format!(
            "cannot be written ({}): free some space or choose another cache folder",
            error.kind()
        );
        EmbedError::unusable(path, reason)
    })
}
