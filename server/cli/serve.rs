//! `autorag serve`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::watch;
use toml::Value;

use super::interrupt::stop_signal;
use super::options::{CommonFlags, WalkFlags};
use crate::config::Settings;
use crate::http;
use crate::indexer_thread::IndexerThread;
use crate::instance::InstanceConfig;
use crate::instance_handle::{InstanceHandle, InstanceState};
use crate::progress::ProgressDisplay;

#[derive(Debug, Args)]
pub struct Serve {
    /// Folders to index and serve
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Loopback address to listen on; port 0 picks a free port [default: 127.0.0.1:7878]
    #[arg(long, value_name = "ADDRESS")]
    addr: Option<String>,
    #[command(flatten)]
    walk: WalkFlags,
    #[command(flatten)]
    common: CommonFlags,
}

impl Serve {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let addr = self
            .addr
            .iter()
            .map(|addr| ("server.addr", Value::String(addr.clone())))
            .collect();
        let setup = self.common.setup(&self.walk, addr)?;
        let config = setup.instance_config(&self.folders)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(serve(config, setup.settings(), setup.display))?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn serve(config: InstanceConfig, settings: &Settings, display: ProgressDisplay) -> anyhow::Result<()> {
    let addr = settings.server.addr;
    let listener = TcpListener::bind(addr)
        .await
        .with_context(|| format!("cannot listen on {addr}; choose another address with --addr"))?;
    let bound = listener.local_addr()?;
    announce(&config, bound)?;
    let background = IndexerThread::start(config, settings.index.watch_options(), display);
    let instance = InstanceHandle::new(
        background.state.clone(),
        settings.server.max_concurrent,
        settings.server.timeout(),
    );
    let failed = opening_failure(background.state.clone());
    let served = tokio::select! {
        served = http::serve(listener, instance, &settings.server, stop_signal()) => served.map_err(Into::into),
        reason = failed => Err(anyhow::anyhow!("{reason}")),
    };
    tokio::task::spawn_blocking(move || background.stop()).await?;
    served
}

/// Prints the address to standard output, where programs that start this one read it.
fn announce(config: &InstanceConfig, bound: std::net::SocketAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for source in &config.sources {
        writeln!(out, "serving   {}", source.path.display())?;
    }
    writeln!(out, "index     {}", config.data_dir.display())?;
    writeln!(out, "listening http://{bound}   (MCP at http://{bound}/mcp)")?;
    out.flush()
}

/// Resolves only if the index cannot be opened, with the reason.
async fn opening_failure(mut opening: watch::Receiver<InstanceState>) -> String {
    loop {
        if let InstanceState::Failed(reason) = &*opening.borrow_and_update() {
            return reason.to_string();
        }
        if opening.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
