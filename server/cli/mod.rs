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

use crate::hint::{Interface, hint};

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
        print_error(&error);
        ExitCode::FAILURE
    })
}

/// Prints an error with its causes to standard error, and a hint below it.
fn print_error(error: &anyhow::Error) {
    let mut stderr = std::io::stderr();
    // If standard error is closed, only the exit status reports the failure.
    let _ = writeln!(stderr, "autorag: {error:#}");
    if let Some(hint) = hint(error.as_ref(), Interface::CommandLine) {
        let _ = writeln!(stderr, "hint: {hint}");
    }
}

/// Whether the reader of our output has left, as `head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
