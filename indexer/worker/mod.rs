//! Parses files in separate processes. If a file makes a parser loop, crash or exhaust memory, only that file fails.
//!
//! A parser process starts when the first file needs one, parses many files, and stops when the run ends. It
//! limits its own resources (see [`limits`]). Its parent kills it after a timeout.

mod frames;
mod limits;
mod pool;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use pool::ParserPool;

use crate::parse::{ReasonCode, Refusal, catch_panic, parse};

/// How long a small file may take, both in CPU time and in wall time.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How to start a parser process. Its program must call [`serve_parser`] with standard input and output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParserCommand {
    /// The program.
    pub program: PathBuf,
    /// Arguments of the program.
    pub arguments: Vec<OsString>,
    /// How long a small file may take. A larger one gets ten more seconds per megabyte.
    pub timeout: Duration,
}

impl ParserCommand {
    /// `program` with `arguments` and a timeout of 30 seconds.
    pub fn new(program: PathBuf, arguments: Vec<OsString>) -> ParserCommand {
        ParserCommand {
            program,
            arguments,
            timeout: TIMEOUT,
        }
    }
}

/// The main loop of a parser process: parses the files that arrive on `input` until its end, and writes the
/// results to `output`.
///
/// Limits the resources of the whole process and silences its panics. Call it only in a process that does nothing else.
///
/// # Errors
/// If `input` cannot be read or `output` cannot be written.
pub fn serve_parser(mut input: impl Read, mut output: impl Write) -> std::io::Result<()> {
    std::panic::set_hook(Box::new(|_| {}));
    limits::confine();
    while let Some(request) = frames::read(&mut input)? {
        limits::limit_cpu_time(limits::time_limit(TIMEOUT, request.len()));
        let outcome = match frames::split_request(&request) {
            Some((path, bytes)) => catch_panic(|| parse(path, bytes)),
            None => Err(Refusal::new(
                ReasonCode::ParserCrashed,
                "the parser process got a malformed request",
            )),
        };
        let response = serde_json::to_vec(&outcome).map_err(std::io::Error::other)?;
        frames::write(&mut output, &[&response])?;
    }
    Ok(())
}
