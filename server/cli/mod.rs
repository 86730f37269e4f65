//! The command line: what was typed, and one file for each command.

mod answer;
mod bench;
mod config;
mod doctor;
mod eval;
mod explanation;
mod index;
mod interrupt;
mod jobs;
mod mcp;
mod model;
mod options;
mod parse_worker;
mod search;
mod serve;
mod status;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

/// Exit status when a signal ended the work: 128 and SIGINT's number, as shells have it.
const INTERRUPTED: u8 = 130;

/// Exit status of `index` when every file is searchable by words, but the provider of a remote model gave no vectors for some.
const WITHOUT_VECTORS: u8 = 3;

/// Hybrid retrieval over a folder, by command line, HTTP and MCP.
#[derive(Debug, Parser)]
#[command(name = "autorag", version, about, max_term_width = 100, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Settings come from autorag.toml (of this folder, else of the XDG configuration folder), then from variables such as \
AUTORAG_SERVER_ADDR and AUTORAG_INDEX_CHUNK_TOKENS, then from flags.

Examples:
  autorag serve docs                         follow docs, and answer HTTP and MCP on 127.0.0.1:7878
  autorag search docs \"how do I install it\"  ask on the command line
  autorag mcp docs                           an MCP server on standard input and output, for an agent";

#[derive(Debug, Subcommand)]
enum Command {
    /// Index folders, follow their changes, and answer over HTTP and MCP
    Serve(serve::Serve),
    /// Bring the index of folders up to date, then end
    Index(index::Index),
    /// Ask a question of a folder
    Search(search::Search),
    /// Serve MCP on standard input and output, following changes
    Mcp(mcp::Mcp),
    /// Say what is indexed, how far, and which files could not be read
    Status(status::Status),
    /// List what was and is being done to an index; pause, resume or end that
    Jobs(jobs::Jobs),
    /// Check an index for damage, and repair it
    Doctor(doctor::Doctor),
    /// List every setting with its value and origin
    Config(config::Config),
    /// List models, choose one for a folder's index, or say what it has
    Model(model::Model),
    /// Measure how good the rankings are, on a collection or on questions of your own
    Eval(eval::Eval),
    /// Measure this machine: embedding, searching, indexing
    Bench(bench::Bench),
    /// Write a completion script for a shell to standard output
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Parse the files that come on standard input; the program starts itself so
    #[command(hide = true)]
    ParseWorker,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(command) => command.run(),
        Command::Index(command) => command.run(),
        Command::Search(command) => command.run(),
        Command::Mcp(command) => command.run(),
        Command::Status(command) => command.run(),
        Command::Jobs(command) => command.run(),
        Command::Doctor(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Model(command) => command.run(),
        Command::Eval(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::ParseWorker => parse_worker::run(),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Arguments::command(),
                "autorag",
                &mut std::io::stdout(),
            );
            Ok(ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        // Where standard error is gone, the exit status still tells.
        let _ = writeln!(std::io::stderr(), "autorag: {}", whole(&error));
        if lacks_descriptors(&error) {
            let _ = writeln!(
                std::io::stderr(),
                "autorag: too many files are open; raise the limit (`ulimit -n`) and run it again. What was indexed stays"
            );
        }
        ExitCode::FAILURE
    })
}

/// What an error says, and after it what it comes of, but for causes whose words it has already.
fn whole(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |said, cause| match said.contains(&cause) {
            true => said,
            false if said.is_empty() => cause,
            false => format!("{said}: {cause}"),
        })
}

/// Whether the system let this process open no more files, and the message does not say what to do. By its words: below, libraries
/// have made texts of errors.
fn lacks_descriptors(error: &anyhow::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let said = whole(error);
    !said.contains("ulimit")
        && [ENFILE, EMFILE].into_iter().any(|code| {
            let words = std::io::Error::from_raw_os_error(code).to_string();
            let words = words.split(" (os error").next().unwrap_or_default();
            said.contains(words)
        })
}

/// Whether the reader of our output has left, as `head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
