//! `autorag bench`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::options::{CommonFlags, WalkFlags};
use crate::bench;

#[derive(Debug, Args)]
pub struct Bench {
    #[command(subcommand)]
    what: Option<What>,
    /// Folder for what is made up; a temporary one, removed afterwards, where not given
    #[arg(long, value_name = "FOLDER", global = true)]
    keep: Option<PathBuf>,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// Passages and queries embedded, by kernel and threads
    Embed {
        /// How many passages
        #[arg(long, default_value_t = 1024)]
        passages: usize,
        /// A file with a passage on each line, in place of made-up ones
        #[arg(long, value_name = "FILE")]
        texts: Option<PathBuf>,
        /// Only this kernel
        #[arg(long)]
        kernel: Option<String>,
        /// One pass with one kernel on all cores, as JSON
        #[arg(long)]
        json: bool,
        /// The vectors too
        #[arg(long, requires = "json")]
        vectors: bool,
    },
    /// Queries over a made-up index: hybrid, lexical, dense, filtered; time to open it; memory
    Search {
        /// How many passages
        #[arg(long, default_value_t = 50_000)]
        passages: usize,
        /// How many queries
        #[arg(long, default_value_t = 1000)]
        queries: usize,
        /// Ask the index of as many passages that an earlier run has left in the folder of --keep
        #[arg(long, requires = "keep")]
        reuse: bool,
        /// Ask over HTTP by this program too: wrk, which others wrote to measure servers with
        #[arg(long, value_name = "PROGRAM")]
        wrk: Option<PathBuf>,
    },
    /// The nearest of made-up vectors, without documents: flat, filtered, by a graph; recall, against a plain scan
    Vectors {
        /// How many vectors
        #[arg(long, default_value_t = 1_000_000)]
        vectors: u32,
        /// How many queries
        #[arg(long, default_value_t = 200)]
        queries: u64,
        /// Build a graph over them as well, which takes a minute or two a million
        #[arg(long)]
        graph: bool,
    },
    /// Time until files can be found, and to see that nothing changed
    Index {
        /// How many Markdown files
        #[arg(long, default_value_t = 1000)]
        files: usize,
        /// Words in each
        #[arg(long, default_value_t = 120)]
        words: u64,
    },
}

impl Bench {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let settings = CommonFlags::quiet()
            .setup(&WalkFlags::default(), Vec::new())?
            .loaded
            .settings;
        let scratch = Scratch::new(self.keep)?;
        let mut out = std::io::stdout().lock();
        let all = [
            What::Embed {
                passages: 1024,
                texts: None,
                kernel: None,
                json: false,
                vectors: false,
            },
            What::Index {
                files: 1000,
                words: 120,
            },
            What::Search {
                passages: 50_000,
                queries: 1000,
                reuse: false,
                wrk: None,
            },
        ];
        for what in self.what.map_or(all.to_vec(), |one| vec![one]) {
            match what {
                What::Embed {
                    passages,
                    texts,
                    kernel,
                    json,
                    vectors,
                } => {
                    let what = bench::EmbedBench {
                        passages,
                        texts,
                        kernel,
                    };
                    if json {
                        bench::embed_once(&what, vectors, &mut out)?;
                    } else {
                        bench::embed(&what, &mut out)?;
                    }
                }
                What::Index { files, words } => {
                    let folder = scratch.fresh("index")?;
                    bench::index(
                        &bench::IndexBench { files, words },
                        &folder,
                        settings.index_options(),
                        &mut out,
                    )?;
                }
                What::Search {
                    passages,
                    queries,
                    reuse,
                    wrk,
                } => {
                    let folder = match reuse {
                        true => scratch.kept("search")?,
                        false => scratch.fresh("search")?,
                    };
                    let bench = bench::SearchBench {
                        passages,
                        queries,
                        reuse,
                        wrk,
                    };
                    bench::search(&bench, &folder, &mut out)?;
                }
                What::Vectors {
                    vectors,
                    queries,
                    graph,
                } => {
                    let folder = scratch.fresh("vectors")?;
                    let bench = bench::VectorsBench {
                        vectors: u64::from(vectors),
                        queries,
                        graph,
                    };
                    bench::vectors(&bench, &folder, &mut out)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A folder that goes away with the value, unless the user named it.
struct Scratch {
    path: PathBuf,
    kept: bool,
}

impl Scratch {
    fn new(keep: Option<PathBuf>) -> std::io::Result<Scratch> {
        let kept = keep.is_some();
        let own = || std::env::temp_dir().join(format!("autorag-bench-{}", std::process::id()));
        let path = std::path::absolute(keep.unwrap_or_else(own))?;
        fs_err::create_dir_all(&path)?;
        Ok(Scratch { path, kept })
    }

    /// What an earlier bench left.
    fn kept(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join(format!("autorag-bench-{name}"));
        anyhow::ensure!(
            path.is_dir(),
            "{} is not there; run once without --reuse",
            path.display()
        );
        Ok(path)
    }

    /// An empty folder in it, of a name that only a bench gives; what an earlier one left there is removed.
    fn fresh(&self, name: &str) -> std::io::Result<PathBuf> {
        let path = self.path.join(format!("autorag-bench-{name}"));
        if path.exists() {
            fs_err::remove_dir_all(&path)?;
        }
        fs_err::create_dir_all(&path)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.kept {
            // Left over at worst, in the system's temporary folder.
            let _ = fs_err::remove_dir_all(&self.path);
        }
    }
}
