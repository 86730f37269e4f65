//! Parsing in processes of their own, so that a file that makes a parser loop, crash or eat memory costs that file alone.
//!
//! A process is started when the first file needs one, serves many files, and is ended when the run is over. It limits itself
//! ([`limits`]); whoever waits for it gives up after a while and kills it.

mod frames;
mod limits;
mod pool;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) use pool::ParserPool;

use crate::parse::{Refusal, contained, parse};

/// How long a small file may take, of a processor's time and as waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to start a process that parses: one that ends up in [`serve_parser`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParserCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// How long a small file may take; a larger one has ten seconds more for each megabyte.
    pub patience: Duration,
}

impl ParserCommand {
    /// `program` with `arguments`, and the usual patience.
    pub fn new(program: PathBuf, arguments: Vec<OsString>) -> ParserCommand {
        ParserCommand {
            program,
            arguments,
            patience: PATIENCE,
        }
    }
}

/// Parses the files that come by `input` until there are no more, and writes what came of them to `output`.
///
/// Limits the memory of this process and silences its panics, so it is for processes that do nothing else.
///
/// # Errors
/// Whatever reading and writing say.
pub fn serve_parser(mut input: impl Read, mut output: impl Write) -> std::io::Result<()> {
    std::panic::set_hook(Box::new(|_| {}));
    limits::confine();
    while let Some(request) = frames::read(&mut input)? {
        limits::allow_time(limits::allowance(PATIENCE, request.len()));
        let outcome = match frames::split_request(&request) {
            Some((path, bytes)) => contained(|| parse(path, bytes)),
            None => Err(Refusal::error("the parser could not read its input")),
        };
        let answer = serde_json::to_vec(&outcome).map_err(std::io::Error::other)?;
        frames::write(&mut output, &[&answer])?;
    }
    Ok(())
}
