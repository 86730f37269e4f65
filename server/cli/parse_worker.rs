//! `autorag parse-worker`: a separate process for parsers that may crash.

use std::path::PathBuf;
use std::process::ExitCode;

use autorag_indexer::{ParserCommand, serve_parser};

/// Name of the hidden subcommand.
const NAME: &str = "parse-worker";

/// The command that starts a worker; `None` if the path of this program is unknown.
pub fn command() -> Option<ParserCommand> {
    // An upgrade may have replaced the file at our path; this link still names the running program.
    let link = PathBuf::from("/proc/self/exe");
    let program = if link.exists() {
        link
    } else {
        std::env::current_exe().ok()?
    };
    Some(ParserCommand::new(program, vec![NAME.into()]))
}

/// Parses files until standard input ends.
///
/// # Errors
/// If reading or writing fails.
pub fn run() -> anyhow::Result<ExitCode> {
    serve_parser(std::io::stdin().lock(), std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}
