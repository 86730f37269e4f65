//! Models on the Hugging Face hub (<https://huggingface.co>), downloaded once, and only when a caller names one.
//!
//! The client is our own. The hub's own library would serve only for a blocking download of nine known files, and it depends on an
//! async runtime and a second HTTP client.

mod client;
mod download;
#[cfg(test)]
#[path = "tests.rs"]
mod server_tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::EmbedError;
use client::Client;

/// The public hub. Tests and mirrors use another endpoint.
pub const HUB_ENDPOINT: &str = "https://huggingface.co";

/// A file of a model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HubFile<'a> {
    path: &'a str,
    /// In bytes.
    max_length: u64,
    is_required: bool,
}

impl<'a> HubFile<'a> {
    pub(crate) const fn new(path: &'a str, max_length: u64, is_required: bool) -> Self {
        Self {
            path,
            max_length,
            is_required,
        }
    }
}

/// The files that the built-in encoder reads.
const FILES: [HubFile<'static>; 9] = [
    HubFile::new("config.json", 4 << 20, true),
    HubFile::new("modules.json", 4 << 20, false),
    HubFile::new("1_Pooling/config.json", 4 << 20, false),
    HubFile::new("sentence_bert_config.json", 4 << 20, false),
    HubFile::new("config_sentence_transformers.json", 4 << 20, false),
    HubFile::new("tokenizer_config.json", 4 << 20, false),
    HubFile::new("tokenizer.json", 256 << 20, false),
    HubFile::new("vocab.txt", 256 << 20, false),
    HubFile::new("model.safetensors", 16 << 30, true),
];

/// Name and revision of a model on the hub, parsed from `OWNER/NAME` or `OWNER/NAME@REVISION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubModel {
    owner: String,
    name: String,
    revision: String,
}

/// How to reach the hub.
#[derive(Clone, PartialEq, Eq)]
pub struct HubAccess {
    /// Base URL, normally [`HUB_ENDPOINT`].
    pub endpoint: String,
    /// Access token for private and gated models.
    pub token: Option<String>,
    /// Folder for downloaded models.
    pub cache: PathBuf,
}

// Written by hand to keep the token out of logs.
impl fmt::Debug for HubAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HubAccess { endpoint, cache, .. } = self;
        f.debug_struct("HubAccess")
            .field("endpoint", endpoint)
            .field("cache", cache)
            .finish_non_exhaustive()
    }
}

impl FromStr for HubModel {
    type Err = EmbedError;

    fn from_str(text: &str) -> Result<Self, EmbedError> {
        // The parts become path components on disk and in URLs, so only plain characters are accepted.
        let is_plain = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed) && part.len() <= 96
        };
        let (model, revision) = text.split_once('@').unwrap_or((text, "main"));
        match model.split_once('/') {
            Some((owner, name)) if is_plain(owner) && is_plain(name) && is_plain(revision) => Ok(Self {
                owner: owner.to_owned(),
                name: name.to_owned(),
                revision: revision.to_owned(),
            }),
            _ => Err(EmbedError::unusable(
                Path::new(text),
                "is not a model name on the hub: write owner/name or owner/name@revision",
            )),
        }
    }
}

impl fmt::Display for HubModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// Returns the folder with the model's files, and downloads them first if they are not in the cache.
///
/// A revision is resolved to a commit once, and the files of that commit are kept. To resolve it again, delete the folder.
pub(crate) fn fetch(model: &HubModel, access: &HubAccess) -> Result<PathBuf, EmbedError> {
    fetch_files(model, access, "", &FILES)
}

/// Like [`fetch`], for other files. Every model must have the first file. `variant` separates the cache entries of different
/// file lists.
pub(crate) fn fetch_files(
    model: &HubModel,
    access: &HubAccess,
    variant: &str,
    files: &[HubFile<'_>],
) -> Result<PathBuf, EmbedError> {
    let folder = access.cache.join(format!("{}--{}", model.owner, model.name));
    // Written last: if the reference exists, all files of its commit are complete.
    let reference = folder.join(format!("{}{variant}.commit", model.revision));
    if let Ok(commit) = fs_err::read_to_string(&reference)
        && is_commit(&commit)
        && folder.join(&commit).is_dir()
    {
        return Ok(folder.join(commit));
    }
    let client = Client::new(model, access)?;
    // All files come from the commit that the revision names now, even if the branch moves during the download.
    let first = match files.first() {
        Some(first) => client.find(&model.revision, first.path)?,
        None => None,
    };
    let commit = first.and_then(|file| file.commit);
    let revision = commit.unwrap_or_else(|| model.revision.clone());
    let snapshot = folder.join(&revision);
    for file in files {
        let path = file.path;
        match client.find(&revision, path)? {
            Some(remote) => download::download(&client, &remote, &snapshot.join(path), file.max_length)?,
            None if file.is_required => {
                let reason = if path == "model.safetensors" {
                    "only models in the safetensors format are supported"
                } else {
                    "this file is required"
                };
                return Err(client.error(format!("has no {path}: {reason}")));
            }
            None => {}
        }
    }
    download::write_atomic(&reference, revision.as_bytes())?;
    Ok(snapshot)
}

fn is_commit(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !text.starts_with('.')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn only_plain_model_names_are_accepted() {
        let model: HubModel = "BAAI/bge-small-en-v1.5@5c38ec7".parse().unwrap();
        assert_eq!(
            (model.to_string().as_str(), model.revision.as_str()),
            ("BAAI/bge-small-en-v1.5", "5c38ec7")
        );
        for bad in [
            "", "a", "a/", "/a", "a/b/c", "../b", "a/..", "a/b@", "a/b@../c", "a/b?x", "a/b@x/y", "a /b",
        ] {
            assert!(bad.parse::<HubModel>().is_err(), "{bad}");
        }
    }
}
