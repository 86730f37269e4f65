//! The command line. Each command has its own file.

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

/// Exit status after a signal: 128 plus the number of SIGINT, the convention of shells.
const INTERRUPTED: u8 = 130;

/// Exit status of `index` if keyword search is complete but the embedding server returned no embeddings for some passages.
const WITHOUT_VECTORS: u8 = 3;

/// Search folders by keywords and meaning, from the command line, HTTP or MCP.
#[derive(Debug, Parser)]
#[command(name = "autorag", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Settings: flags override AUTORAG_* variables, which override autorag.toml (in the current directory, else in the XDG \
configuration folder). `autorag config` lists every setting.

Examples:
  autorag search docs \"how do I install it\"  index docs and search it
  autorag serve docs                         index docs, serve the page, HTTP and MCP on 127.0.0.1:7878
  autorag mcp docs                           serve MCP on standard input and output, for an agent";

#[derive(Debug, Subcommand)]
enum Command {
    /// Index folders, watch them, and serve the search page, HTTP and MCP
    Serve(serve::Serve),
    /// Update the index and exit
    Index(index::Index),
    /// Search a folder
    Search(search::Search),
    /// Index folders, watch them, and serve MCP on standard input and output
    Mcp(mcp::Mcp),
    /// Show what is indexed, and which files failed or were skipped
    Status(status::Status),
    /// Show indexing jobs; pause, resume or cancel them
    Jobs(jobs::Jobs),
    /// Check an index for corruption and repair it
    Doctor(doctor::Doctor),
    /// List every setting with its value and origin
    Config(config::Config),
    /// List embedding models, or show or choose the model of an index
    Model(model::Model),
    /// Measure ranking quality on a judged collection or your own questions
    Eval(eval::Eval),
    /// Measure the speed of embedding, searching and indexing on this machine
    Bench(bench::Bench),
    /// Print a shell completion script
    Completions {
        /// Shell to complete for
        shell: Shell,
    },
    /// Parse files from standard input, for another autorag process
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

/// Whether the reader of standard output has closed it, as `head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
