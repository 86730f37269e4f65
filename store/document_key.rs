//! Keys of documents.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A document's key: its path within the corpus, with `/` between components on every platform.
///
/// In a corpus of several sources the first component is the name of the source, see
/// [`SourceRoot::name`](crate::SourceRoot::name). Keys are ordered by their bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DocumentKey(String);

impl DocumentKey {
    /// The key `key`, taken as given.
    pub fn new(key: impl Into<String>) -> DocumentKey {
        DocumentKey(key.into())
    }

    /// The key as a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder, with a slash at its end; empty for a document at the root.
    pub fn folder(&self) -> &str {
        &self.0[..self.name_start()]
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        &self.0[self.name_start()..]
    }

    /// The part of the file name after its last dot. `None` for names such as `README` and `.profile`.
    pub fn extension(&self) -> Option<&str> {
        let (stem, extension) = self.file_name().rsplit_once('.')?;
        (!stem.is_empty()).then_some(extension)
    }

    fn name_start(&self) -> usize {
        self.0.rfind('/').map_or(0, |slash| slash + 1)
    }
}

impl fmt::Display for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for DocumentKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for DocumentKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<String> for DocumentKey {
    fn from(key: String) -> DocumentKey {
        DocumentKey(key)
    }
}

impl From<&str> for DocumentKey {
    fn from(key: &str) -> DocumentKey {
        DocumentKey(key.to_owned())
    }
}

impl From<DocumentKey> for String {
    fn from(DocumentKey(key): DocumentKey) -> String {
        key
    }
}

impl PartialEq<str> for DocumentKey {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for DocumentKey {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceRoot;

    #[test]
    fn a_key_splits_into_folder_name_and_extension() {
        for (key, folder, name, extension) in [
            ("guide/install/linux.MD", "guide/install/", "linux.MD", Some("MD")),
            ("a.tar.gz", "", "a.tar.gz", Some("gz")),
            ("src/README", "src/", "README", None),
            ("home.d/.profile", "home.d/", ".profile", None),
        ] {
            let key = DocumentKey::new(key);
            assert_eq!((key.folder(), key.file_name()), (folder, name));
            assert_eq!(key.extension(), extension);
        }
    }

    #[test]
    fn only_a_whole_first_component_names_the_source() {
        let source = |name: Option<&str>| SourceRoot {
            name: name.map(str::to_owned),
            path: "/corpus".into(),
        };
        let key = source(Some("docs")).key_of("a.md");
        assert_eq!(key, "docs/a.md");
        assert_eq!(source(Some("docs")).relative(&key), Some("a.md"));
        assert_eq!(source(Some("doc")).relative(&key), None);
        assert_eq!(source(None).relative(&key), Some("docs/a.md"));
    }

    #[test]
    fn the_json_form_is_the_bare_string() {
        let json = serde_json::to_string(&DocumentKey::new("a/b")).unwrap();
        assert_eq!(json, "\"a/b\"");
        assert_eq!(serde_json::from_str::<DocumentKey>(&json).unwrap(), "a/b");
    }
}
