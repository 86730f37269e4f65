//! `autorag mcp`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio_util::sync::CancellationToken;

use super::interrupt::stop_signal;
use super::options::{CommonFlags, WalkFlags};
use crate::indexer_thread::IndexerThread;
use crate::instance_handle::InstanceHandle;
use crate::mcp;

#[derive(Debug, Args)]
pub struct Mcp {
    /// Folders to index and serve
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    #[command(flatten)]
    walk: WalkFlags,
    #[command(flatten)]
    common: CommonFlags,
}

impl Mcp {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let setup = self.common.setup(&self.walk, Vec::new())?;
        let config = setup.instance_config(&self.folders)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let served = runtime.block_on(async {
            let background =
                IndexerThread::start(config, setup.settings().index.watch_options(), setup.display);
            let server = &setup.settings().server;
            let instance =
                InstanceHandle::new(background.state.clone(), server.max_concurrent, server.timeout());
            let stop = CancellationToken::new();
            let stopped = stop.clone();
            tokio::spawn(async move {
                stop_signal().await;
                stopped.cancel();
            });
            let served = mcp::over_stdio(instance, stop).await;
            tokio::task::spawn_blocking(move || background.stop()).await?;
            served
        });
        // A thread may still block on standard input, so do not wait for it.
        runtime.shutdown_background();
        served.map(|()| ExitCode::SUCCESS)
    }
}
