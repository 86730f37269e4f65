//! `autorag parse-worker`: a process of this program that parses what parsers may crash on.

use std::path::PathBuf;
use std::process::ExitCode;

use autorag_indexer::{ParserCommand, serve_parser};

/// Its name on the command line.
const NAME: &str = "parse-worker";

/// How to start one; `None` where this program cannot be found.
pub fn command() -> Option<ParserCommand> {
    // The name of the file may be another version's by now; the link is this one's, whatever becomes of the name.
    let link = PathBuf::from("/proc/self/exe");
    let program = match link.exists() {
        true => link,
        false => std::env::current_exe().ok()?,
    };
    Some(ParserCommand::new(program, vec![NAME.into()]))
}

/// Parses until standard input ends.
///
/// # Errors
/// Whatever reading and writing say.
pub fn run() -> anyhow::Result<ExitCode> {
    serve_parser(std::io::stdin().lock(), std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}
