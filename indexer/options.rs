//! Options that choose and chunk files.

use std::time::Duration;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::{IndexError, ParserCommand};

/// Upper limit of [`IndexOptions::chunk_overlap_percent`]. More overlap mostly adds near-duplicate passages.
pub const MAX_CHUNK_OVERLAP_PERCENT: u8 = 30;

/// Which files to index, and how to chunk them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexOptions {
    /// Read only files that match one of these globs. If empty, read all. A glob without a slash matches names
    /// in any folder.
    pub include: Vec<String>,
    /// Skip files and folders that match one of these globs.
    pub exclude: Vec<String>,
    /// Read hidden files.
    pub hidden: bool,
    /// Honour `.gitignore`, `.ignore` and `.autoragignore`.
    pub respect_ignore: bool,
    /// Follow symbolic links.
    pub follow_links: bool,
    /// Skip files larger than this, bytes.
    pub max_file_size: u64,
    /// Longest passage, tokens. May not exceed the model's limit.
    pub chunk_tokens: usize,
    /// Overlap of consecutive passages, percent of `chunk_tokens`. Applies only where text is cut for its length
    /// alone. At most [`MAX_CHUNK_OVERLAP_PERCENT`].
    pub chunk_overlap_percent: u8,
    /// Threads that parse and embed.
    pub threads: usize,
    /// Delays before each retry of a file that failed for a temporary reason. After the last retry, the file is
    /// tried again only when it changes.
    pub retry_after: Vec<Duration>,
    /// How to start a parser process. Without one, files that could crash a parser are parsed in this process.
    pub parser: Option<ParserCommand>,
}

impl Default for IndexOptions {
    fn default() -> IndexOptions {
        IndexOptions {
            include: Vec::new(),
            exclude: Vec::new(),
            hidden: false,
            respect_ignore: true,
            follow_links: false,
            max_file_size: 10 << 20,
            chunk_tokens: 220,
            chunk_overlap_percent: 10,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            retry_after: [60, 300, 1800, 7200].map(Duration::from_secs).into(),
            parser: None,
        }
    }
}

impl IndexOptions {
    /// Fails if the options cannot work with a model that reads passages of up to `max_tokens` tokens.
    pub(crate) fn validate(&self, max_tokens: usize) -> Result<(), IndexError> {
        if !(1..=max_tokens).contains(&self.chunk_tokens) {
            return Err(IndexError::Setting {
                setting: "index.chunk_tokens",
                message: format!("{} is outside 1 to {max_tokens}", self.chunk_tokens),
            });
        }
        if self.chunk_overlap_percent > MAX_CHUNK_OVERLAP_PERCENT {
            return Err(IndexError::Setting {
                setting: "index.chunk_overlap_percent",
                message: format!(
                    "{} is over {MAX_CHUNK_OVERLAP_PERCENT}",
                    self.chunk_overlap_percent
                ),
            });
        }
        Ok(())
    }

    /// Fingerprint of everything that shapes passages: these options and the parser version. A change
    /// re-indexes all files.
    ///
    /// The store keeps this string and compares it whole, so rewording it re-indexes everything.
    pub(crate) fn recipe(&self) -> String {
        /// Raise this whenever a parser or the chunker gives another result for the same bytes.
        const PARSERS: u32 = 3;
        format!(
            "parsers {PARSERS}, {} tokens, {} % overlap, files up to {} bytes",
            self.chunk_tokens, self.chunk_overlap_percent, self.max_file_size
        )
    }
}

/// Compiled include and exclude globs.
#[derive(Debug)]
pub(crate) struct Globs {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Globs {
    pub(crate) fn new(options: &IndexOptions) -> Result<Globs, IndexError> {
        let include = compile("index.include", &options.include)?;
        let exclude = compile("index.exclude", &options.exclude)?;
        Ok(Globs {
            include: (!options.include.is_empty()).then_some(include),
            exclude,
        })
    }

    /// Whether to read the file at `path`, which is relative to its source.
    pub(crate) fn admits_file(&self, path: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(path)) && !self.exclude.is_match(path)
    }

    /// Whether to enter the folder at `path`.
    pub(crate) fn admits_folder(&self, path: &str) -> bool {
        !self.exclude.is_match(path)
    }
}

fn compile(setting: &'static str, patterns: &[String]) -> Result<GlobSet, IndexError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        for expansion in expand(pattern) {
            set.add(glob(setting, &expansion)?);
        }
    }
    set.build().map_err(|error| IndexError::Setting {
        setting,
        message: error.to_string(),
    })
}

/// Translates a pattern with the rules of ignore files to globs. A pattern without an inner slash matches at any
/// depth. A pattern with a trailing slash matches a folder and everything inside.
fn expand(pattern: &str) -> Vec<String> {
    let bare = pattern.trim_start_matches("./").trim_start_matches('/');
    let anchored = bare.trim_end_matches('/').contains('/');
    let base = if anchored {
        bare.to_owned()
    } else {
        format!("**/{bare}")
    };
    match base.strip_suffix('/') {
        Some(folder) => vec![folder.to_owned(), format!("{folder}/**")],
        None => vec![base],
    }
}

fn glob(setting: &'static str, pattern: &str) -> Result<Glob, IndexError> {
    let built = GlobBuilder::new(pattern).literal_separator(true).build();
    built.map_err(|error| IndexError::Setting {
        setting,
        message: format!("{pattern:?}: {}", error.kind()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(include: &[&str], exclude: &[&str]) -> Globs {
        let list = |patterns: &[&str]| patterns.iter().map(|p| (*p).to_owned()).collect();
        let options = IndexOptions {
            include: list(include),
            exclude: list(exclude),
            ..IndexOptions::default()
        };
        Globs::new(&options).unwrap()
    }

    #[test]
    fn globs_follow_the_rules_of_ignore_files() {
        let chosen = globs(&["*.md", "src/*.rs"], &["drafts/", "*.tmp.md"]);
        for kept in ["a.md", "deep/down/a.md", "src/main.rs"] {
            assert!(chosen.admits_file(kept), "{kept}");
        }
        for left in [
            "a.txt",
            "lib/main.rs",
            "src/deep/main.rs",
            "drafts/a.md",
            "deep/drafts/x/a.md",
            "a.tmp.md",
        ] {
            assert!(!chosen.admits_file(left), "{left}");
        }
        assert!(!chosen.admits_folder("deep/drafts"));
        assert!(chosen.admits_folder("deep"));
        assert!(globs(&[], &[]).admits_file("anything"));
    }

    #[test]
    fn a_bad_glob_names_its_setting() {
        let options = IndexOptions {
            exclude: vec!["a[b".into()],
            ..IndexOptions::default()
        };
        let message = Globs::new(&options).unwrap_err().to_string();
        assert!(
            message.starts_with("index.exclude: ") && message.contains("a[b"),
            "{message}"
        );
    }

    #[test]
    fn limits_of_passage_length_and_overlap() {
        let setting = |chunk_tokens, chunk_overlap_percent| {
            let options = IndexOptions {
                chunk_tokens,
                chunk_overlap_percent,
                ..IndexOptions::default()
            };
            match options.validate(220) {
                Err(IndexError::Setting { setting, .. }) => Some(setting),
                _ => None,
            }
        };
        assert_eq!(setting(1, 0), None);
        assert_eq!(setting(220, MAX_CHUNK_OVERLAP_PERCENT), None);
        assert_eq!(setting(0, 0), Some("index.chunk_tokens"));
        assert_eq!(setting(221, 0), Some("index.chunk_tokens"));
        let over = MAX_CHUNK_OVERLAP_PERCENT + 1;
        assert_eq!(setting(220, over), Some("index.chunk_overlap_percent"));
    }

    #[test]
    fn the_default_recipe_never_changes_by_accident() {
        // Another string re-indexes every file of every index.
        assert_eq!(
            IndexOptions::default().recipe(),
            "parsers 3, 220 tokens, 10 % overlap, files up to 10485760 bytes"
        );
    }
}
