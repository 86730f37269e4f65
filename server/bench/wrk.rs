//! The same questions asked by `wrk`, a program that others wrote to measure servers with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// How long it asks.
const SECONDS: u32 = 20;
/// Asks the bodies of a file one after the other, and says how long the answers took.
const SCRIPT: &str = r#"
local bodies, at = {}, 0
function init(arguments)
  for line in io.lines(arguments[1]) do bodies[#bodies + 1] = line end
end
function request()
  at = at % #bodies + 1
  return wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, bodies[at])
end
function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local ms = function(percent) return latency:percentile(percent) / 1000 end
  io.write(string.format("answer p50 %7.2f ms   p90 %7.2f ms   p99 %7.2f ms   %.0f a second, %d failed\n", ms(50), ms(90), ms(99),
    summary.requests / summary.duration * 1e6, failed))
end
"#;

/// `wrk` and what it asks.
pub struct Wrk {
    program: PathBuf,
    script: PathBuf,
    bodies: PathBuf,
}

impl Wrk {
    /// Writes what it asks into `folder`.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn new(program: &Path, folder: &Path, queries: &[String]) -> anyhow::Result<Wrk> {
        let wrk = Wrk {
            program: program.to_owned(),
            script: folder.join("wrk.lua"),
            bodies: folder.join("questions.jsonl"),
        };
        let bodies = queries
            .iter()
            .map(|query| format!("{}\n", serde_json::json!({ "query": query })));
        fs_err::write(&wrk.bodies, bodies.collect::<String>())?;
        fs_err::write(&wrk.script, SCRIPT)?;
        Ok(wrk)
    }

    /// Has `clients` connections ask the server at `addr`. What the answers took, as `wrk` says it.
    ///
    /// # Errors
    /// When it cannot be run, or an answer was not a good one.
    pub fn ask(&self, addr: SocketAddr, clients: usize) -> anyhow::Result<String> {
        let run = Command::new(&self.program)
            .args(["--threads", "1", "--connections", &clients.to_string()])
            .args(["--duration", &format!("{SECONDS}s"), "--script"])
            .arg(&self.script)
            .arg(format!("http://{addr}/v1/search"))
            .arg("--")
            .arg(&self.bodies)
            .output()
            .with_context(|| format!("{} cannot be run", self.program.display()))?;
        let said = String::from_utf8_lossy(&run.stdout);
        let answer = said.lines().find_map(|line| line.strip_prefix("answer "));
        let answer = answer.with_context(|| {
            let complaint = String::from_utf8_lossy(&run.stderr);
            format!("{} failed: {}", self.program.display(), complaint.trim())
        })?;
        ensure!(
            answer.ends_with(", 0 failed"),
            "{}: {answer}",
            self.program.display()
        );
        Ok(answer.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_run_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let wrk = Wrk::new(Path::new("/nowhere/wrk"), folder.path(), &["\"quoted\"".into()]).unwrap();
        let asked = fs_err::read_to_string(folder.path().join("questions.jsonl")).unwrap();
        assert_eq!(asked, "{\"query\":\"\\\"quoted\\\"\"}\n");
        let error = wrk.ask(([127, 0, 0, 1], 1).into(), 1).unwrap_err();
        assert!(
            format!("{error:#}").contains("/nowhere/wrk cannot be run"),
            "{error:#}"
        );
    }
}
