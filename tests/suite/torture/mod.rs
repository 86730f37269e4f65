//! Kills at random moments and disk faults at random calls, over a changing folder. Every answer in between must be correct, and
//! the final index must equal one that was built undisturbed.
//!
//! `AUTORAG_TORTURE=long` runs 200 kills and 100 faults. `AUTORAG_TORTURE_SEED` repeats a failure, as far as thread timing allows.
//! `AUTORAG_SOAK_SECONDS` sets the duration of the soak test.

mod faults;
mod folder;
mod refusals;
mod soak;
mod truth;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use self::faults::{FATAL, Faults, KINDS};
use self::folder::Folder;
use crate::harness::{Sandbox, stdout_of_success};
use crate::random::Random;

/// Documents at the start.
const DOCUMENTS: usize = 40;

fn is_long() -> bool {
    std::env::var_os("AUTORAG_TORTURE").is_some_and(|value| value == "long")
}

/// Seed of the random tests: `AUTORAG_TORTURE_SEED`, or another one in each run.
pub fn seed() -> u64 {
    let given = std::env::var("AUTORAG_TORTURE_SEED").ok();
    given.map_or_else(|| u64::from(std::process::id()), |seed| seed.parse().unwrap())
}

/// A changing folder, its index, and the fault injector.
struct Torture {
    sandbox: Sandbox,
    folder: Folder,
    random: Random,
    faults: Faults,
    /// Whether a run has completed since the index was created.
    ever_whole: bool,
}

impl Torture {
    fn new(seed: u64) -> Torture {
        let sandbox = Sandbox::empty();
        Torture {
            folder: Folder::new(&sandbox.docs(), seed, DOCUMENTS),
            random: Random::new(seed + 1),
            faults: Faults::counted_in(sandbox.docs().with_file_name("calls")),
            sandbox,
            ever_whole: false,
        }
    }

    /// Changes the folder a little. Sometimes deletes the index, to cover its creation as well.
    fn change(&mut self) {
        for _ in 0..1 + self.random.below(4) {
            self.folder.change();
        }
        if self.random.below(8) == 0 && self.sandbox.data().exists() {
            fs_err::remove_dir_all(self.sandbox.data()).unwrap();
            self.ever_whole = false;
        }
    }

    /// Runs `autorag index`, prepared by `prepare`. Searches afterwards and, if other processes survive the fault, meanwhile.
    fn run(
        &mut self,
        prepare: impl FnOnce(&mut Command),
        disturb: impl FnOnce(&mut Child),
        others_live: bool,
    ) -> Output {
        let mut command = self.sandbox.command("index");
        command
            .arg("--quiet")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
        disturb(&mut child);
        while others_live && child.try_wait().unwrap().is_none() {
            self.ask();
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked at"), "{said}");
        self.ever_whole |= output.status.success();
        self.ask();
        output
    }

    /// Asks one question in each mode.
    fn ask(&mut self) {
        let (sandbox, ever_whole) = (&self.sandbox, self.ever_whole);
        truth::check_answers(&self.folder, &mut self.random, |query, mode| {
            let mut search = sandbox.command("search");
            let search = search.args([query, "--json", "--no-update", "--quiet", "--mode", mode]);
            let output = search.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            if !ever_whole && output.stdout.is_empty() && said.contains("no index") {
                return json!({"hits": []});
            }
            serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|error| panic!("{error}, {}: {said}", output.status))
        });
    }

    /// Runs undisturbed, then compares the index with a fresh one.
    fn check_end(&mut self) {
        stdout_of_success(&self.run(|_| {}, |_| {}, true));
        let data = self.sandbox.data();
        let fresh = data.with_file_name("fresh");
        let run_in = |data: &Path, command: &str, more: &[&str]| {
            let mut run = self.sandbox.bare_command();
            run.arg(command).arg(self.sandbox.docs()).args(more);
            run.arg("--data-dir").arg(data).output().unwrap()
        };
        stdout_of_success(&run_in(&fresh, "index", &["--quiet"]));
        let expected = truth::contents(|command, more| run_in(&fresh, command, more));
        let found = truth::contents(|command, more| run_in(&data, command, more));
        truth::assert_equal(&found, &expected);
        fs_err::remove_dir_all(fresh).unwrap();
        let server = self.sandbox.serve();
        server.wait_until_complete();
        truth::check_complete(&self.folder, |query, mode| {
            server.search(&json!({"query": query, "mode": mode}))
        });
    }
}

#[test]
fn after_kills_at_random_moments_the_index_equals_a_fresh_one() {
    let seed = seed();
    let kills = if is_long() { 100 } else { 10 };
    let mut torture = Torture::new(seed);
    let started = Instant::now();
    stdout_of_success(&torture.run(|_| {}, |_| {}, true));
    let whole = started.elapsed();
    let mut killed = 0;
    while killed < kills {
        torture.change();
        let share = torture.random.below(1000) as f64 / 1000.0;
        let output = torture.run(
            |_| {},
            |child| {
                std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * 0.5 * share));
                // The process may have exited already.
                let _ = child.kill();
            },
            true,
        );
        killed += u32::from(output.status.code().is_none());
        assert!(
            output.status.code().is_none_or(|code| code == 0),
            "seed {seed}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    torture.check_end();
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "faults are injected with LD_PRELOAD")]
fn after_disk_faults_the_index_equals_a_fresh_one() {
    let seed = seed();
    let (kills, others) = if is_long() { (100, 100) } else { (12, 12) };
    let mut torture = Torture::new(seed);
    let mut most_calls = 300;
    let (mut fatal, mut survived) = (0, 0);
    while fatal < kills || survived < others {
        torture.change();
        let kind = *torture.random.choose(&KINDS);
        let at = 1 + torture.random.below(most_calls);
        let (dir, faults) = (torture.sandbox.data(), torture.faults.clone());
        let output = torture.run(
            |command| faults.set(command, &dir, kind, at),
            |_| {},
            kind != "power",
        );
        let said = String::from_utf8_lossy(&output.stderr);
        let what = format!("seed {seed}, {kind} at call {at}: {said}");
        let calls = torture.faults.calls();
        if calls < at {
            assert!(output.status.success(), "{what}");
            // The run made fewer calls; pick earlier ones from now on.
            most_calls = (most_calls * 9 / 10).max(calls).max(60);
            continue;
        }
        most_calls = most_calls.max(at * 2).min(400);
        if FATAL.contains(&kind) {
            assert_eq!(output.status.code(), None, "{what}");
            fatal += 1;
        } else {
            // A failure is reported. A short write is no failure.
            let code = output.status.code();
            assert!(code.is_some_and(|code| code == 0 || !said.is_empty()), "{what}");
            assert!(kind != "short" || output.status.success(), "{what}");
            survived += 1;
        }
    }
    torture.check_end();
}
