//! The side that waits: processes kept for the next file, and what it means when one ends.

use std::io::BufReader;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

use super::{ParserCommand, frames, limits};
use crate::parse::{Parsed, Refusal};

/// Files after which a process is replaced: what a parser leaks must not add up.
const MOST_FILES: usize = 500;

/// Processes that parse, one for each thread that asks at a time.
pub(crate) struct ParserPool {
    command: ParserCommand,
    idle: Mutex<Vec<Parser>>,
}

/// A process.
struct Parser {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    files: usize,
}

/// Why a file gave no answer.
enum Failure {
    TookTooLong,
    Ended(Option<ExitStatus>),
}

impl ParserPool {
    pub(crate) fn new(command: ParserCommand) -> ParserPool {
        ParserPool {
            command,
            idle: Mutex::default(),
        }
    }

    /// Parses a file.
    ///
    /// # Errors
    /// [`Refusal`] as the parser says, and where it crashes, takes too long or cannot be started.
    pub(crate) fn parse(&self, path: &str, bytes: &[u8]) -> Result<Parsed, Refusal> {
        let used = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(parser) = used {
            match self.ask(parser, path, bytes) {
                // What files before this one left behind may have been too much.
                Err(Failure::Ended(_)) => {}
                outcome => return self.explained(outcome, bytes.len()),
            }
        }
        let fresh = self.start().map_err(|error| {
            let program = self.command.program.display();
            Refusal::for_now(format!(
                "the process that parses could not be started ({program}): {error}"
            ))
        })?;
        let outcome = self.ask(fresh, path, bytes);
        self.explained(outcome, bytes.len())
    }

    /// Ends all processes that wait for a file.
    pub(crate) fn rest(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn start(&self) -> std::io::Result<Parser> {
        let mut command = Command::new(&self.command.program);
        command
            .args(&self.command.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        #[cfg(unix)]
        {
            // An interrupt at the terminal is for whoever waits; it must not look like a crash of the parser.
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        let mut child = command.spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other("it has no standard input and output"));
        };
        Ok(Parser {
            child,
            input,
            output: BufReader::new(output),
            files: 0,
        })
    }

    /// Has `parser` parse a file. It waits for the next one only if it has answered.
    fn ask(&self, mut parser: Parser, path: &str, bytes: &[u8]) -> Result<Result<Parsed, Refusal>, Failure> {
        let late = AtomicBool::new(false);
        let patience = self.patience(bytes.len());
        let (done, waiting) = bounded::<()>(0);
        let Parser {
            child, input, output, ..
        } = &mut parser;
        let answer = std::thread::scope(|scope| {
            scope.spawn(|| {
                if waiting.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                    late.store(true, Ordering::Relaxed);
                    // Where it has just ended by itself there is nothing to kill.
                    let _ = child.kill();
                }
            });
            let sent = frames::write(input, &[&frames::request_head(path), bytes]);
            let answer = sent.and_then(|()| frames::read(output));
            drop(done);
            answer
        });
        let read = answer
            .ok()
            .flatten()
            .and_then(|frame| serde_json::from_slice(&frame).ok());
        let Some(outcome) = read else {
            let _ = parser.child.kill();
            let status = parser.child.wait().ok();
            return Err(match late.load(Ordering::Relaxed) {
                true => Failure::TookTooLong,
                false => Failure::Ended(status),
            });
        };
        parser.files += 1;
        if parser.files < MOST_FILES && !late.load(Ordering::Relaxed) {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(parser);
        }
        Ok(outcome)
    }

    /// How long to wait for a file of `bytes`.
    fn patience(&self, bytes: usize) -> Duration {
        limits::allowance(self.command.patience, bytes)
    }

    fn explained(
        &self,
        outcome: Result<Result<Parsed, Refusal>, Failure>,
        bytes: usize,
    ) -> Result<Parsed, Refusal> {
        outcome.unwrap_or_else(|failure| {
            Err(match failure {
                Failure::TookTooLong => too_long(self.patience(bytes)),
                Failure::Ended(status) => status.map_or_else(
                    || Refusal::error(CRASHED),
                    |status| explain(status, self.patience(bytes)),
                ),
            })
        })
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        // It may have ended by itself. Waiting leaves no zombie behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CRASHED: &str = "the parser crashed on this file";

/// The machine may have been busy.
fn too_long(patience: Duration) -> Refusal {
    Refusal::for_now(format!("parsing it took longer than {} s", patience.as_secs()))
}

/// What it means that a process ended so, which had that long.
#[cfg(unix)]
fn explain(status: ExitStatus, patience: Duration) -> Refusal {
    use std::os::unix::process::ExitStatusExt;
    const SIGABRT: i32 = 6;
    const SIGXCPU: i32 = 24;
    match status.signal() {
        // Rust ends a process so when there is no memory, and when the stack is full.
        Some(SIGABRT) => {
            Refusal::error("parsing it needs more than 512 MB of memory, or it is nested too deep")
        }
        Some(SIGXCPU) => too_long(patience),
        _ => Refusal::error(CRASHED),
    }
}

#[cfg(not(unix))]
fn explain(_: ExitStatus, _: Duration) -> Refusal {
    Refusal::error(CRASHED)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn refused(program: &str, arguments: &[&str], patience: Duration) -> (String, bool) {
        let pool = ParserPool::new(ParserCommand {
            program: program.into(),
            arguments: arguments.iter().map(Into::into).collect(),
            patience,
        });
        // More than a pipe holds, and less than what earns more time.
        let refusal = pool.parse("a.pdf", &vec![0; 1 << 19]).unwrap_err();
        (refusal.reason, refusal.may_pass)
    }

    #[test]
    fn whatever_becomes_of_the_process_costs_the_file_alone() {
        let long = Duration::from_secs(60);
        let late = refused("/bin/sleep", &["1000"], Duration::from_millis(100));
        assert_eq!(late, ("parsing it took longer than 0 s".to_owned(), true));
        let crashed = (CRASHED.to_owned(), false);
        assert_eq!(refused("/bin/true", &[], long), crashed);
        let noise = "head -c 1000 >/dev/null; echo abcdefgh";
        assert_eq!(refused("/bin/sh", &["-c", noise], long), crashed);
        let (aborts, _) = refused("/bin/sh", &["-c", "kill -ABRT $$"], long);
        assert!(aborts.contains("memory"), "{aborts}");
        let (missing, may_pass) = refused("/nonexistent", &[], long);
        assert!(
            may_pass && missing.contains("could not be started (/nonexistent)"),
            "{missing}"
        );
    }
}
