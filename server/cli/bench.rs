//! `autorag bench`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::options::{CommonFlags, WalkFlags};
use crate::bench;

#[derive(Debug, Args)]
pub struct Bench {
    #[command(subcommand)]
    benchmark: Option<Benchmark>,
    /// Keep the generated files and the index in this folder [default: a temporary folder]
    #[arg(long, value_name = "FOLDER", global = true)]
    keep: Option<PathBuf>,
}

#[derive(Debug, Clone, Subcommand)]
enum Benchmark {
    /// Embed passages and queries, by kernel and number of threads
    Embed {
        /// Number of passages
        #[arg(long, default_value_t = 1024)]
        passages: usize,
        /// Embed the lines of this file, one passage per line
        #[arg(long, value_name = "FILE")]
        texts: Option<PathBuf>,
        /// Measure only this kernel
        #[arg(long)]
        kernel: Option<String>,
        /// Run once on all cores with the fastest kernel (or --kernel) and print JSON
        #[arg(long)]
        json: bool,
        /// Include the embeddings in the JSON
        #[arg(long, requires = "json")]
        vectors: bool,
    },
    /// Search a generated index by each mode, with filters and over HTTP; print latency and memory
    Search {
        /// Number of passages
        #[arg(long, default_value_t = 50_000)]
        passages: usize,
        /// Number of queries
        #[arg(long, default_value_t = 1000)]
        queries: usize,
        /// Search the index that an earlier run left in the --keep folder
        #[arg(long, requires = "keep")]
        reuse: bool,
    },
    /// Index generated Markdown files, then run again with nothing changed
    Index {
        /// Number of files
        #[arg(long, default_value_t = 1000)]
        files: usize,
        /// Words per file
        #[arg(long, default_value_t = 120)]
        words: u64,
    },
}

impl Benchmark {
    /// The benchmarks of `autorag bench` without a subcommand.
    fn all() -> Vec<Benchmark> {
        vec![
            Benchmark::Embed {
                passages: 1024,
                texts: None,
                kernel: None,
                json: false,
                vectors: false,
            },
            Benchmark::Index {
                files: 1000,
                words: 120,
            },
            Benchmark::Search {
                passages: 50_000,
                queries: 1000,
                reuse: false,
            },
        ]
    }
}

impl Bench {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let settings = CommonFlags::quiet()
            .setup(&WalkFlags::default(), Vec::new())?
            .loaded
            .settings;
        let keep = self.keep.is_some();
        let scratch = Scratch::new(self.keep)?;
        let mut out = std::io::stdout().lock();
        let benchmarks = self
            .benchmark
            .map_or_else(Benchmark::all, |benchmark| vec![benchmark]);
        for benchmark in benchmarks {
            match benchmark {
                Benchmark::Embed {
                    passages,
                    texts,
                    kernel,
                    json,
                    vectors,
                } => {
                    let bench = bench::EmbedBench {
                        passages,
                        texts,
                        kernel,
                    };
                    if json {
                        bench::embed_once(&bench, vectors, &mut out)?;
                    } else {
                        bench::embed(&bench, &mut out)?;
                    }
                }
                Benchmark::Index { files, words } => {
                    let folder = scratch.create_empty("index")?;
                    let bench = bench::IndexBench { files, words, keep };
                    bench::index(&bench, &folder, settings.index_options(), &mut out)?;
                }
                Benchmark::Search {
                    passages,
                    queries,
                    reuse,
                } => {
                    let folder = if reuse {
                        scratch.existing("search")?
                    } else {
                        scratch.create_empty("search")?
                    };
                    let bench = bench::SearchBench {
                        passages,
                        queries,
                        reuse,
                        keep,
                    };
                    bench::search(&bench, &folder, &mut out)?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The folder that benchmarks write to. A temporary one is removed on drop.
struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    fn new(keep: Option<PathBuf>) -> std::io::Result<Scratch> {
        let is_kept = keep.is_some();
        let temporary = || std::env::temp_dir().join(format!("autorag-bench-{}", std::process::id()));
        let path = std::path::absolute(keep.unwrap_or_else(temporary))?;
        fs_err::create_dir_all(&path)?;
        Ok(Scratch { path, keep: is_kept })
    }

    /// The subfolder of a benchmark. The prefix keeps it apart from the user's own files in a `--keep`
    /// folder.
    fn subfolder(&self, benchmark: &str) -> PathBuf {
        self.path.join(format!("autorag-bench-{benchmark}"))
    }

    /// The subfolder that an earlier run left.
    fn existing(&self, benchmark: &str) -> anyhow::Result<PathBuf> {
        let path = self.subfolder(benchmark);
        anyhow::ensure!(
            path.is_dir(),
            "{} does not exist; run once without --reuse",
            path.display()
        );
        Ok(path)
    }

    /// An empty subfolder. Removes the files of an earlier run.
    fn create_empty(&self, benchmark: &str) -> std::io::Result<PathBuf> {
        let path = self.subfolder(benchmark);
        if path.exists() {
            fs_err::remove_dir_all(&path)?;
        }
        fs_err::create_dir_all(&path)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            // A failure leaves the folder in the system's temporary directory, which is harmless.
            let _ = fs_err::remove_dir_all(&self.path);
        }
    }
}
