//! Files of a model directory, with size limits.

use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::error::EmbedError;

/// Longest settings file, in bytes.
const MAX_SETTINGS_LENGTH: u64 = 4 << 20;
/// Longest tokenizer file, in bytes.
pub(super) const MAX_TOKENIZER_LENGTH: u64 = 256 << 20;

/// A model directory.
pub(super) struct Files {
    dir: PathBuf,
    /// The folder with the encoder's files: the directory itself, or a subfolder named in `modules.json`.
    encoder: PathBuf,
}

impl Files {
    pub(super) fn new(dir: &Path) -> Result<Self, EmbedError> {
        if !dir.is_dir() {
            return Err(EmbedError::unusable(
                dir,
                "is not a folder: name the folder that holds config.json and model.safetensors",
            ));
        }
        Ok(Self {
            dir: dir.to_owned(),
            encoder: dir.to_owned(),
        })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads the encoder's files from a subfolder from now on.
    pub(super) fn set_encoder_folder(&mut self, folder: &str) -> Result<(), EmbedError> {
        self.encoder = self.dir.join(relative_path(&self.dir, folder)?);
        Ok(())
    }

    /// The model's name: the directory's name, or `owner/name` if the directory is a snapshot in the cache of the hub's own library.
    pub(super) fn name(&self) -> String {
        let absolute = std::path::absolute(&self.dir).unwrap_or_else(|_| self.dir.clone());
        let in_cache = absolute.components().rev().find_map(|part| {
            let name = part.as_os_str().to_str()?.strip_prefix("models--")?;
            Some(name.replacen("--", "/", 1))
        });
        let directory_name = || Some(absolute.file_name()?.to_string_lossy().into_owned());
        in_cache.or_else(directory_name).unwrap_or_else(|| "model".into())
    }

    /// Path of the weights.
    pub(super) fn weights(&self) -> Result<PathBuf, EmbedError> {
        let path = self.encoder.join("model.safetensors");
        if path.is_file() {
            return Ok(path);
        }
        let other_formats = ["pytorch_model.bin", "model.safetensors.index.json", "model.onnx"];
        let other = other_formats
            .into_iter()
            .find(|name| self.encoder.join(name).is_file());
        let reason = match other {
            Some(other) => format!(
                "has {other} but no model.safetensors: convert the weights to a single safetensors file"
            ),
            None => "has no model.safetensors: download the complete model".to_owned(),
        };
        Err(EmbedError::unusable(&self.encoder, reason))
    }

    /// Path and bytes of an encoder file, if it exists.
    pub(super) fn read(&self, name: &str, max_length: u64) -> Result<Option<(PathBuf, Vec<u8>)>, EmbedError> {
        read(self.encoder.join(name), max_length)
    }

    /// Parses an encoder file, if it exists.
    pub(super) fn encoder_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, EmbedError> {
        json(self.encoder.join(name))
    }

    /// Parses a file of the model directory, if it exists.
    pub(super) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, EmbedError> {
        json(self.dir.join(relative_path(&self.dir, name)?))
    }
}

/// Checks that a path from `modules.json` stays inside the directory.
fn relative_path(dir: &Path, name: &str) -> Result<PathBuf, EmbedError> {
    let path = Path::new(name);
    let is_inside = path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if is_inside {
        Ok(path.to_owned())
    } else {
        Err(EmbedError::unusable(
            dir,
            format!("names {name:?} in modules.json, a path outside the folder: download the model again"),
        ))
    }
}

fn json<T: DeserializeOwned>(path: PathBuf) -> Result<Option<T>, EmbedError> {
    let Some((path, bytes)) = read(path, MAX_SETTINGS_LENGTH)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        EmbedError::unusable(
            &path,
            format!("cannot be parsed ({error}): download the model again"),
        )
    })
}

fn read(path: PathBuf, max_length: u64) -> Result<Option<(PathBuf, Vec<u8>)>, EmbedError> {
    let unreadable =
        |error: &std::io::Error| EmbedError::unusable(&path, format!("cannot be read ({})", error.kind()));
    let file = match fs_err::File::open(&path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(unreadable(&error)),
    };
    let mut bytes = Vec::new();
    file.take(max_length + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(&error))?;
    if bytes.len() as u64 > max_length {
        return Err(EmbedError::unusable(
            &path,
            format!("is longer than {max_length} bytes, the limit for this file"),
        ));
    }
    Ok(Some((path, bytes)))
}
