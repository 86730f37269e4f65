//! The parent side: a pool of parser processes.

use std::io::BufReader;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

use super::{ParserCommand, frames, limits};
use crate::parse::{Parsed, ReasonCode, Refusal};

/// A process is replaced after this many files, so that memory leaked by a parser does not add up.
const MAX_FILES: usize = 500;

/// A pool of parser processes, one for each thread that parses.
pub(crate) struct ParserPool {
    command: ParserCommand,
    idle: Mutex<Vec<Parser>>,
}

/// A parser process.
struct Parser {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Number of files parsed so far.
    files: usize,
}

/// Why a process did not respond.
enum Failure {
    Timeout,
    /// The process ended. The status is unknown if it could not be collected.
    Exited(Option<ExitStatus>),
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
    /// The parser's [`Refusal`], or one that says why the process crashed, timed out or did not start.
    pub(crate) fn parse(&self, path: &str, bytes: &[u8]) -> Result<Parsed, Refusal> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(parser) = idle {
            match self.request(parser, path, bytes) {
                // Earlier files may have exhausted this process. A fresh one gets a second chance.
                Err(Failure::Exited(_)) => {}
                outcome => return self.explain(outcome, bytes.len()),
            }
        }
        let fresh = self.start().map_err(|error| {
            let program = self.command.program.display();
            Refusal::temporary(
                ReasonCode::ParserUnavailable,
                format!("cannot start the parser process {program}: {error}"),
            )
        })?;
        let outcome = self.request(fresh, path, bytes);
        self.explain(outcome, bytes.len())
    }

    /// Stops all processes that wait for a file.
    pub(crate) fn stop_idle(&self) {
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
            // In a group of its own, so that Ctrl-C at the terminal does not look like a crash of the parser.
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        }
        let mut child = command.spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::Error::other(
                "the process has no standard input and output",
            ));
        };
        Ok(Parser {
            child,
            input,
            output: BufReader::new(output),
            files: 0,
        })
    }

    /// Sends a file to `parser` and waits for the result. The process returns to the pool only if it has
    /// responded in time.
    fn request(
        &self,
        mut parser: Parser,
        path: &str,
        bytes: &[u8],
    ) -> Result<Result<Parsed, Refusal>, Failure> {
        let has_timed_out = AtomicBool::new(false);
        let limit = self.time_limit(bytes.len());
        let (done, waiting) = bounded::<()>(0);
        let Parser {
            child, input, output, ..
        } = &mut parser;
        let response = std::thread::scope(|scope| {
            scope.spawn(|| {
                if waiting.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                    has_timed_out.store(true, Ordering::Relaxed);
                    // Fails if the process has just exited.
                    let _ = child.kill();
                }
            });
            let sent = frames::write(input, &[&frames::request_head(path), bytes]);
            let response = sent.and_then(|()| frames::read(output));
            drop(done);
            response
        });
        let outcome = response
            .ok()
            .flatten()
            .and_then(|frame| serde_json::from_slice(&frame).ok());
        let Some(outcome) = outcome else {
            let _ = parser.child.kill();
            let status = parser.child.wait().ok();
            return Err(if has_timed_out.load(Ordering::Relaxed) {
                Failure::Timeout
            } else {
                Failure::Exited(status)
            });
        };
        parser.files += 1;
        if parser.files < MAX_FILES && !has_timed_out.load(Ordering::Relaxed) {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(parser);
        }
        Ok(outcome)
    }

    /// How long to wait for a file of `bytes` bytes.
    fn time_limit(&self, bytes: usize) -> Duration {
        limits::time_limit(self.command.timeout, bytes)
    }

    /// Turns a failure of the process into a refusal of the file.
    fn explain(
        &self,
        outcome: Result<Result<Parsed, Refusal>, Failure>,
        bytes: usize,
    ) -> Result<Parsed, Refusal> {
        outcome.unwrap_or_else(|failure| {
            Err(match failure {
                Failure::Timeout => timeout(self.time_limit(bytes)),
                Failure::Exited(Some(status)) => explain_exit(status, self.time_limit(bytes)),
                Failure::Exited(None) => crash(),
            })
        })
    }
}

impl Drop for Parser {
    fn drop(&mut self) {
        // Killing fails if the process has exited. Waiting leaves no zombie behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn crash() -> Refusal {
    Refusal::new(ReasonCode::ParserCrashed, "the parser crashed on this file")
}

/// Temporary, since the machine may just have been busy.
fn timeout(limit: Duration) -> Refusal {
    Refusal::temporary(
        ReasonCode::ParserTimeout,
        format!("parsing took longer than {} s", limit.as_secs()),
    )
}

/// Explains the exit status of a process that had `limit` of CPU time.
#[cfg(unix)]
fn explain_exit(status: ExitStatus, limit: Duration) -> Refusal {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::Signal;

    let signal = status.signal();
    // Rust aborts when memory runs out and when the stack overflows.
    if signal == Some(Signal::ABORT.as_raw()) {
        Refusal::new(
            ReasonCode::ParserOutOfMemory,
            "parsing needs more than 512 MB of memory, or the file is nested too deeply",
        )
    } else if signal == Some(Signal::XCPU.as_raw()) {
        timeout(limit)
    } else {
        crash()
    }
}

#[cfg(not(unix))]
fn explain_exit(_: ExitStatus, _: Duration) -> Refusal {
    crash()
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn refusal(program: &str, arguments: &[&str], timeout: Duration) -> Refusal {
        let pool = ParserPool::new(ParserCommand {
            program: program.into(),
            arguments: arguments.iter().map(Into::into).collect(),
            timeout,
        });
        // Longer than a pipe's buffer, and shorter than a megabyte, which would raise the time limit.
        pool.parse("a.pdf", &vec![0; 1 << 19]).unwrap_err()
    }

    #[test]
    fn a_failing_process_costs_only_its_file() {
        let long = Duration::from_secs(60);
        let late = refusal("/bin/sleep", &["1000"], Duration::from_millis(100));
        assert_eq!((late.code, late.is_temporary), (ReasonCode::ParserTimeout, true));
        assert_eq!(refusal("/bin/true", &[], long), crash());
        let noise = "head -c 1000 >/dev/null; echo abcdefgh";
        assert_eq!(refusal("/bin/sh", &["-c", noise], long), crash());
        let aborts = refusal("/bin/sh", &["-c", "kill -ABRT $$"], long);
        assert_eq!(aborts.code, ReasonCode::ParserOutOfMemory);
        let busy = refusal("/bin/sh", &["-c", "kill -XCPU $$"], long);
        assert_eq!((busy.code, busy.is_temporary), (ReasonCode::ParserTimeout, true));
        let missing = refusal("/nonexistent", &[], long);
        assert_eq!(
            (missing.code, missing.is_temporary),
            (ReasonCode::ParserUnavailable, true)
        );
        assert!(missing.reason.contains("/nonexistent"), "{missing:?}");
    }
}
