//! How files are chosen and cut.

use std::time::Duration;

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::{IndexError, ParserCommand};

/// How files are chosen and cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexOptions {
    /// Only files that match one of these globs; all where empty. A glob without a slash matches names in any folder.
    pub include: Vec<String>,
    /// No file or folder that matches one of these globs.
    pub exclude: Vec<String>,
    /// Whether hidden files are read.
    pub hidden: bool,
    /// Whether `.gitignore`, `.ignore` and `.autoragignore` are honoured.
    pub respect_ignore: bool,
    /// Whether symbolic links are followed.
    pub follow_links: bool,
    /// Largest file that is read, bytes.
    pub max_file_size: u64,
    /// Most tokens in a passage.
    pub chunk_tokens: usize,
    /// How much of a passage its successor repeats, percent.
    pub chunk_overlap_percent: u8,
    /// Threads that parse and embed.
    pub threads: usize,
    /// How long to wait before a file that could not be read, for a reason that may pass, is tried again: once for each. After
    /// the last it is tried when it has changed.
    pub retry_after: Vec<Duration>,
    /// How to start a process that parses what parsers may crash on; in this process where there is none.
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
    /// What of these options, and of this version's parsers, a document's passages depend on. Where it changes, every file is
    /// read again.
    pub(crate) fn recipe(&self) -> String {
        /// To be raised whenever a parser or the chunker gives something else for the same bytes.
        const PARSERS: u32 = 3;
        format!(
            "parsers {PARSERS}, {} tokens, {} % overlap, files up to {} bytes",
            self.chunk_tokens, self.chunk_overlap_percent, self.max_file_size
        )
    }
}

/// Include and exclude globs, compiled.
#[derive(Debug)]
pub(crate) struct Globs {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Globs {
    pub(crate) fn new(options: &IndexOptions) -> Result<Globs, IndexError> {
        let include = compiled("index.include", &options.include)?;
        let exclude = compiled("index.exclude", &options.exclude)?;
        Ok(Globs {
            include: (!options.include.is_empty()).then_some(include),
            exclude,
        })
    }

    /// Whether the file at `path`, relative to its source, is to be read.
    pub(crate) fn admit_file(&self, path: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(path)) && !self.exclude.is_match(path)
    }

    /// Whether the folder at `path` is to be entered.
    pub(crate) fn admit_folder(&self, path: &str) -> bool {
        !self.exclude.is_match(path)
    }
}

fn compiled(setting: &'static str, patterns: &[String]) -> Result<GlobSet, IndexError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        for spelling in spellings(pattern) {
            set.add(glob(setting, &spelling)?);
        }
    }
    set.build().map_err(|error| IndexError::Setting {
        setting,
        message: error.to_string(),
    })
}

/// As in ignore files: without a slash at any depth, with a slash at the end everything inside.
fn spellings(pattern: &str) -> Vec<String> {
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
    fn globs_match_as_in_ignore_files() {
        let chosen = globs(&["*.md", "src/*.rs"], &["drafts/", "*.tmp.md"]);
        for kept in ["a.md", "deep/down/a.md", "src/main.rs"] {
            assert!(chosen.admit_file(kept), "{kept}");
        }
        for left in [
            "a.txt",
            "lib/main.rs",
            "src/deep/main.rs",
            "drafts/a.md",
            "deep/drafts/x/a.md",
            "a.tmp.md",
        ] {
            assert!(!chosen.admit_file(left), "{left}");
        }
        assert!(!chosen.admit_folder("deep/drafts"));
        assert!(chosen.admit_folder("deep"));
        assert!(globs(&[], &[]).admit_file("anything"));
    }

    #[test]
    fn a_bad_glob_names_its_setting() {
        let options = IndexOptions {
            exclude: vec!["a[b".into()],
            ..IndexOptions::default()
        };
        let said = Globs::new(&options).unwrap_err().to_string();
        assert!(
            said.starts_with("index.exclude: ") && said.contains("a[b"),
            "{said}"
        );
    }
}
