//! `autorag index`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use autorag_indexer::{Cancel, IndexError, Progress};
use clap::Args;

use super::INTERRUPTED;
use super::interrupt::cancel_on_signal;
use super::options::{CommonFlags, WalkFlags};
use crate::corpus::{Access, Corpus};
use crate::progress;

#[derive(Debug, Args)]
pub struct Index {
    /// Folders to index
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    walk: WalkFlags,
    #[command(flatten)]
    common: CommonFlags,
}

impl Index {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let setup = self.common.setup(&self.walk, Vec::new())?;
        let corpus = Corpus::open(setup.plan(&self.folders)?, Access::Write)?;
        let cancel = Cancel::default();
        cancel_on_signal(&cancel)?;
        let progress = Arc::new(Progress::default());
        let outcome = progress::watched(setup.show, &progress, || corpus.update(&progress, &cancel, None));
        match outcome {
            Ok(report) => {
                writeln!(std::io::stdout(), "{}", progress::summary(&report))?;
                Ok(ExitCode::SUCCESS)
            }
            Err(IndexError::Cancelled) => {
                writeln!(std::io::stderr(), "stopped; the next run goes on from here")?;
                Ok(ExitCode::from(INTERRUPTED))
            }
            Err(error) => Err(error.into()),
        }
    }
}
