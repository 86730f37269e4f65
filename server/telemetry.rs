//! Logging to standard error. Standard output is for results and for MCP over stdio.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings};

/// Starts logging.
///
/// # Errors
/// When `log.level` is neither a level nor a filter.
pub fn start(settings: &LogSettings) -> anyhow::Result<()> {
    // A plain level applies to autorag. Of other crates, only warnings are useful.
    let is_plain_level =
        ["off", "error", "warn", "info", "debug", "trace"].contains(&settings.level.as_str());
    let filter = if is_plain_level {
        // Two warnings report normal events: notify's about the watch of a deleted folder, and tantivy's about a merge of segments
        // whose documents were all deleted meanwhile.
        format!(
            "warn,notify=error,tantivy::indexer::segment_manager=error,autorag={}",
            settings.level
        )
    } else {
        settings.level.clone()
    };
    let filter = EnvFilter::try_new(filter)
        .with_context(|| format!("log.level: {:?} is not a level or filter", settings.level))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match settings.format {
        LogFormat::Text => lines.with_target(false).init(),
        LogFormat::Json => lines.json().init(),
    }
    // Regardless of the filter: the HTTP client traces the bytes of requests, which include texts and API keys.
    log::set_max_level(log::max_level().min(log::LevelFilter::Debug));
    Ok(())
}
