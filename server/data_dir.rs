//! The folder of an index: under the XDG data directory, named by the first source folder and a hash of all of them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use autorag_store::{ContentHash, SourceRoot};

/// Hex digits of the hash in a folder name. 48 bits make collisions of folders with the same name unlikely.
const HASH_DIGITS: usize = 12;

/// The sources for folders given on the command line.
///
/// With one folder, keys are paths within it. With several, each key starts with the name of its folder; folders with the same name
/// get a number appended.
///
/// # Errors
/// When a path does not exist or is not a folder, or one folder contains another.
pub fn resolve_sources(folders: &[PathBuf]) -> anyhow::Result<Vec<SourceRoot>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let path = match fs_err::canonicalize(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!("no such folder: {}", folder.display())
            }
            path => path.with_context(|| format!("cannot open the folder {}", folder.display()))?,
        };
        if !path.is_dir() {
            bail!(
                "{} is not a folder; give the folder that contains it",
                folder.display()
            );
        }
        if let Some(other) = paths
            .iter()
            .find(|other| path.starts_with(other) || other.starts_with(&path))
        {
            bail!(
                "{} and {} overlap; give only the outer folder",
                other.display(),
                path.display()
            );
        }
        paths.push(path);
    }
    if let [path] = paths.as_slice() {
        return Ok(vec![SourceRoot {
            name: None,
            path: path.clone(),
        }]);
    }
    let mut sources: Vec<SourceRoot> = Vec::new();
    for path in paths {
        let base = path
            .file_name()
            .map_or_else(|| "root".into(), |name| name.to_string_lossy().into_owned());
        let is_taken = |name: &str| sources.iter().any(|source| source.name.as_deref() == Some(name));
        let name = std::iter::once(base.clone())
            .chain((2..).map(|n| format!("{base}-{n}")))
            .find(|name| !is_taken(name));
        sources.push(SourceRoot { name, path });
    }
    Ok(sources)
}

/// The folder of the index of `sources`, under `base` or the XDG data directory.
///
/// # Errors
/// When `base`, `XDG_DATA_HOME` and `HOME` are all unset.
pub fn index_dir(sources: &[SourceRoot], base: Option<&Path>) -> anyhow::Result<PathBuf> {
    let base = match base {
        Some(base) => std::path::absolute(base).with_context(|| format!("data_dir: {}", base.display()))?,
        None => xdg_data()?.join("autorag"),
    };
    let mut identity = Vec::new();
    for source in sources {
        identity.extend_from_slice(source.path.as_os_str().as_encoded_bytes());
        identity.push(0);
    }
    let hash = ContentHash::of(&identity).to_string();
    let digits = hash
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .get(..HASH_DIGITS)
        .unwrap_or_default();
    let first = sources.first().and_then(|source| source.path.file_name());
    let name = first.map_or_else(|| "root".into(), |name| name.to_string_lossy().into_owned());
    let name: String = name
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    Ok(base.join(format!("{name}-{digits}")))
}

fn xdg_data() -> anyhow::Result<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    variable("XDG_DATA_HOME")
        .or_else(|| Some(variable("HOME")?.join(".local/share")))
        .context("neither XDG_DATA_HOME nor HOME is set; set the folder for indexes with --data-dir")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_folders_get_unique_names() {
        let dir = tempfile::tempdir().unwrap();
        let folders: Vec<PathBuf> = ["a/docs", "b/docs", "c"]
            .iter()
            .map(|p| dir.path().join(p))
            .collect();
        for folder in &folders {
            fs_err::create_dir_all(folder).unwrap();
        }
        let names: Vec<_> = resolve_sources(&folders)
            .unwrap()
            .into_iter()
            .map(|s| s.name.unwrap())
            .collect();
        assert_eq!(names, ["docs", "docs-2", "c"]);
        assert_eq!(resolve_sources(&folders[..1]).unwrap()[0].name, None);
        assert!(
            resolve_sources(&[dir.path().into(), folders[0].clone()])
                .unwrap_err()
                .to_string()
                .contains("overlap")
        );
    }

    #[test]
    fn folders_with_the_same_name_have_different_indexes() {
        let one = [SourceRoot {
            name: None,
            path: "/srv/my docs".into(),
        }];
        let other = [SourceRoot {
            name: None,
            path: "/home/my docs".into(),
        }];
        let base = Path::new("/var/lib/autorag");
        let dir = index_dir(&one, Some(base)).unwrap();
        assert!(dir.starts_with(base));
        assert!(dir.file_name().unwrap().to_string_lossy().starts_with("my_docs-"));
        assert_ne!(dir, index_dir(&other, Some(base)).unwrap());
        assert_eq!(dir, index_dir(&one, Some(base)).unwrap());
    }
}
