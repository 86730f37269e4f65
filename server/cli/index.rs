//! `autorag index`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use autorag_indexer::{Cancel, IndexError, Progress};
use autorag_store::JobCause;
use clap::Args;

use super::interrupt::cancel_on_signal;
use super::options::{CommonFlags, WalkFlags};
use super::{INTERRUPTED, WITHOUT_VECTORS};
use crate::instance::{Access, Instance};
use crate::progress;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 if the index is complete, 3 if the embedding server returned no embeddings for some passages, 130 \
                  after a signal, 1 on other errors, 2 on wrong usage."
)]
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
        let instance = Instance::open(setup.instance_config(&self.folders)?, Access::Write)?;
        if instance.is_paused() {
            return Err(IndexError::Paused.into());
        }
        let cancel = Cancel::default();
        cancel_on_signal(&cancel)?;
        let progress = Arc::new(Progress::default());
        let outcome = setup.display.show_during(&progress, || {
            instance.update(&progress, &cancel, None, JobCause::Command)
        });
        match outcome {
            Ok(report) => {
                writeln!(std::io::stdout(), "{}", progress::summary(&report))?;
                let Some(missing) = &report.missing_embeddings else {
                    return Ok(ExitCode::SUCCESS);
                };
                writeln!(
                    std::io::stderr(),
                    "{}",
                    progress::missing_embeddings_note(missing)
                )?;
                Ok(ExitCode::from(WITHOUT_VECTORS))
            }
            Err(IndexError::Cancelled) => {
                writeln!(std::io::stderr(), "stopped; the next run resumes here")?;
                Ok(ExitCode::from(INTERRUPTED))
            }
            Err(error) => Err(error.into()),
        }
    }
}
