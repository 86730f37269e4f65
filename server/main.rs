//! The `autorag` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    autorag::cli::main()
}
