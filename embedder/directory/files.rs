//! The files of a model's directory.

use std::io::{ErrorKind, Read};
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::error::EmbedError;

/// Longest file of settings, bytes.
const LARGEST_SETTINGS: u64 = 4 << 20;
/// Longest tokenizer, bytes.
pub(super) const LARGEST_TOKENIZER: u64 = 256 << 20;

/// A directory, and the part of it that holds the encoder.
pub(super) struct Files {
    dir: PathBuf,
    /// Where the encoder's own files are: the directory itself, or a folder in it that `modules.json` names.
    encoder: PathBuf,
}

impl Files {
    pub(super) fn of(dir: &Path) -> Result<Self, EmbedError> {
        if !dir.is_dir() {
            return Err(EmbedError::unusable(
                dir,
                "is not a folder: name the one that holds config.json and model.safetensors",
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

    /// Has the encoder's own files in a folder of the directory.
    pub(super) fn look_for_encoder_in(&mut self, folder: &str) -> Result<(), EmbedError> {
        self.encoder = self.dir.join(inside(&self.dir, folder)?);
        Ok(())
    }

    /// The model's name: that of the directory, or of the model where the directory is a snapshot in the cache of the hub's own library.
    pub(super) fn name(&self) -> String {
        let absolute = std::path::absolute(&self.dir).unwrap_or_else(|_| self.dir.clone());
        let in_cache = absolute.components().rev().find_map(|part| {
            let name = part.as_os_str().to_str()?.strip_prefix("models--")?;
            Some(name.replacen("--", "/", 1))
        });
        let own = || Some(absolute.file_name()?.to_string_lossy().into_owned());
        in_cache.or_else(own).unwrap_or_else(|| "model".into())
    }

    /// The weights.
    pub(super) fn weights(&self) -> Result<PathBuf, EmbedError> {
        let path = self.encoder.join("model.safetensors");
        if path.is_file() {
            return Ok(path);
        }
        let instead = ["pytorch_model.bin", "model.safetensors.index.json", "model.onnx"];
        let found = instead.into_iter().find(|name| self.encoder.join(name).is_file());
        let reason = match found {
            Some(found) => format!(
                "has {found} but no model.safetensors, which alone can be read: save the model as that"
            ),
            None => "has no model.safetensors: get the whole model".to_owned(),
        };
        Err(EmbedError::unusable(&self.encoder, reason))
    }

    /// The bytes of a file that is the encoder's own, if it is there.
    pub(super) fn read(&self, name: &str, largest: u64) -> Result<Option<(PathBuf, Vec<u8>)>, EmbedError> {
        read(self.encoder.join(name), largest)
    }

    /// The JSON of a file that is the encoder's own, if it is there.
    pub(super) fn encoder_json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, EmbedError> {
        json(self.encoder.join(name))
    }

    /// The JSON of a file of the directory, if it is there.
    pub(super) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, EmbedError> {
        json(self.dir.join(inside(&self.dir, name)?))
    }
}

/// A relative path that stays within the directory.
fn inside(dir: &Path, name: &str) -> Result<PathBuf, EmbedError> {
    let path = Path::new(name);
    let within = path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if within {
        Ok(path.to_owned())
    } else {
        Err(EmbedError::unusable(
            dir,
            format!("names {name:?} in modules.json, which is outside of it: get the model again"),
        ))
    }
}

fn json<T: DeserializeOwned>(path: PathBuf) -> Result<Option<T>, EmbedError> {
    let Some((path, bytes)) = read(path, LARGEST_SETTINGS)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        EmbedError::unusable(
            &path,
            format!("cannot be understood ({error}): get the model again"),
        )
    })
}

fn read(path: PathBuf, largest: u64) -> Result<Option<(PathBuf, Vec<u8>)>, EmbedError> {
    let failed =
        |error: &std::io::Error| EmbedError::unusable(&path, format!("cannot be read ({})", error.kind()));
    let file = match fs_err::File::open(&path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(&error)),
    };
    let mut bytes = Vec::new();
    file.take(largest + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failed(&error))?;
    if bytes.len() as u64 > largest {
        return Err(EmbedError::unusable(
            &path,
            format!("is longer than {largest} bytes, as no such file of a model is"),
        ));
    }
    Ok(Some((path, bytes)))
}
