//! The program `autorag`.

use std::process::ExitCode;

fn main() -> ExitCode {
    autorag::cli::main()
}
