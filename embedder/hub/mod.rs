//! Models of the hub (<https://huggingface.co>), downloaded once and only when someone names one.
//!
//! The client is our own: of the hub's own library only the blocking download of nine known files would be used, and it brings an
//! async runtime and a second HTTP client with it.

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

/// Where the hub is, unless a test or a mirror stands in for it.
pub const HUB_ENDPOINT: &str = "https://huggingface.co";

/// A file of a model, how long it may be, and whether it must be there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HubFile<'a> {
    path: &'a str,
    longest: u64,
    is_needed: bool,
}

impl<'a> HubFile<'a> {
    pub(crate) const fn new(path: &'a str, longest: u64, is_needed: bool) -> Self {
        Self {
            path,
            longest,
            is_needed,
        }
    }
}

/// The files of a model that our own encoder reads.
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

/// The name of a model on the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubModel {
    owner: String,
    name: String,
    revision: String,
}

/// How the hub is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct HubAccess {
    /// Its address, without a slash at the end.
    pub endpoint: String,
    /// A token for models that are not public.
    pub token: Option<String>,
    /// The folder that models are kept in.
    pub cache: PathBuf,
}

// By hand, so that the token is in no log.
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

    /// Reads `OWNER/NAME` or `OWNER/NAME@REVISION`.
    fn from_str(text: &str) -> Result<Self, EmbedError> {
        let plain = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed) && part.len() <= 96
        };
        let (model, revision) = text.split_once('@').unwrap_or((text, "main"));
        match model.split_once('/') {
            Some((owner, name)) if plain(owner) && plain(name) && plain(revision) => Ok(Self {
                owner: owner.to_owned(),
                name: name.to_owned(),
                revision: revision.to_owned(),
            }),
            _ => Err(EmbedError::unusable(
                Path::new(text),
                "is no model of the hub: name it owner/name or owner/name@revision",
            )),
        }
    }
}

impl fmt::Display for HubModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// The folder with the model's files: the one kept from before, else downloaded now.
///
/// A revision is looked up once, and the files stay those of the commit it named then; deleting the folder asks anew.
pub(crate) fn fetch(model: &HubModel, access: &HubAccess) -> Result<PathBuf, EmbedError> {
    fetch_files(model, access, "", &FILES)
}

/// The same for other files of it, the first of which every model has. `variant` tells them from those of other calls.
pub(crate) fn fetch_files(
    model: &HubModel,
    access: &HubAccess,
    variant: &str,
    files: &[HubFile<'_>],
) -> Result<PathBuf, EmbedError> {
    let folder = access.cache.join(format!("{}--{}", model.owner, model.name));
    // Written last: where it is, the files it leads to are whole.
    let reference = folder.join(format!("{}{variant}.commit", model.revision));
    if let Ok(commit) = fs_err::read_to_string(&reference)
        && is_commit(&commit)
        && folder.join(&commit).is_dir()
    {
        return Ok(folder.join(commit));
    }
    let client = Client::new(model, access)?;
    // All files are taken from the commit that the revision names at this moment.
    let first = match files.first() {
        Some(first) => client.find(&model.revision, first.path)?,
        None => None,
    };
    let commit = first.and_then(|found| found.commit);
    let revision = commit.unwrap_or_else(|| model.revision.clone());
    let snapshot = folder.join(&revision);
    for file in files {
        let path = file.path;
        match client.find(&revision, path)? {
            Some(found) => download::file(&client, &found, &snapshot.join(path), file.longest)?,
            None if file.is_needed => {
                let reason = match path {
                    "model.safetensors" => "only models in the safetensors format can be used",
                    _ => "it cannot be used without",
                };
                return Err(client.failed(format!("has no {path}: {reason}")));
            }
            None => {}
        }
    }
    download::write_whole(&reference, revision.as_bytes())?;
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
    fn names_are_plain() {
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
