//! Log lines, on standard error: standard output belongs to answers and to MCP over stdio.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings};

/// Starts logging.
///
/// # Errors
/// When `log.level` is not a filter.
pub fn start(settings: &LogSettings) -> anyhow::Result<()> {
    // A bare level is about this program; its libraries say little of use below a warning.
    let bare = ["off", "error", "warn", "info", "debug", "trace"].contains(&settings.level.as_str());
    let filter = if bare {
        // A folder that goes takes its watch along, which notify deems worth a warning; so does tantivy a merge of segments whose
        // passages were all deleted meanwhile.
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
    // Whatever the filter says: the client of HTTP logs the bytes of requests as traces, and with them texts and keys.
    log::set_max_level(log::max_level().min(log::LevelFilter::Debug));
    Ok(())
}
