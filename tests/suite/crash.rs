//! `kill -9` at any moment of a run, then a restart: the index must end as one built in peace.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Sandbox, stdout_of_success};

/// How often the run is killed.
const KILLS: u32 = 20;
/// How many documents are indexed.
const DOCUMENTS: u32 = 120;
const WORDS: &[&str] = &[
    "harbour", "lantern", "engine", "meadow", "signal", "copper", "orchard", "glacier", "violin", "compass",
    "ember", "thicket", "anchor", "quarry", "saddle", "beacon",
];

/// A cheap generator with a seed, so that each run of the suite does the same.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::empty();
    let mut random = Random(7);
    for number in 0..DOCUMENTS {
        let mut text = format!("# Report {number}\n");
        for section in 0..3 {
            let _ = write!(text, "\n## Part {section}\n\n");
            for _ in 0..60 {
                let _ = write!(text, "{} ", WORDS[random.next(WORDS.len() as u64) as usize]);
            }
            text.push('\n');
        }
        sandbox.write(&format!("{}/report-{number}.md", number % 7), text);
    }
    sandbox
}

/// Everything that two equal indexes agree on: documents, passages, and the ten best of some queries in each mode.
fn contents(sandbox: &Sandbox) -> Value {
    let output = sandbox
        .command("status")
        .args(["--items", "completed", "--json"])
        .output()
        .unwrap();
    let documents: Vec<Value> = stdout_of_success(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut lists = BTreeMap::new();
    for mode in ["lexical", "dense", "hybrid"] {
        for query in ["harbour lantern", "what is the copper engine", "report 17"] {
            let answer = sandbox.search(query, &["--mode", mode]);
            assert_eq!(answer["degraded"], json!([]), "{mode} {query}");
            let hits: Vec<Value> = answer["hits"]
                .as_array()
                .unwrap()
                .iter()
                .map(|hit| json!([hit["citation"], hit["score"], hit["scores"], hit["text"]]))
                .collect();
            lists.insert(format!("{mode}: {query}"), hits);
        }
    }
    let output = sandbox.command("status").arg("--json").output().unwrap();
    let mut state: Value = serde_json::from_str(&stdout_of_success(&output)).unwrap();
    let state = state["index_state"].as_object_mut().unwrap();
    state.remove("last_run");
    json!({"documents": documents, "lists": lists, "state": state})
}

#[test]
fn killed_at_any_moment_the_index_ends_equal() {
    let in_peace = sandbox();
    let started = Instant::now();
    in_peace.index();
    let whole = started.elapsed();
    let expected = contents(&in_peace);
    assert_eq!(expected["state"]["documents"], DOCUMENTS);

    let sandbox = sandbox();
    // The modification times must be those of the first folder, since documents carry them.
    for entry in ignore::Walk::new(in_peace.docs()) {
        let path = entry.unwrap().into_path();
        if path.is_file() {
            let time = fs_err::metadata(&path).unwrap().modified().unwrap();
            let twin = sandbox.docs().join(path.strip_prefix(in_peace.docs()).unwrap());
            fs_err::OpenOptions::new()
                .write(true)
                .open(twin)
                .unwrap()
                .file()
                .set_modified(time)
                .unwrap();
        }
    }
    let mut random = Random(u64::from(std::process::id()));
    let mut killed = 0;
    while killed < KILLS {
        let mut run = sandbox
            .command("index")
            .arg("--quiet")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Each kill finds the work of the runs before it done, so that several in a row must come early to hit one.
        let share = random.next(1000) as f64 / 1000.0;
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * 0.3 * share));
        run.kill().unwrap();
        if run.wait().unwrap().success() {
            // Nothing is left to be killed at: from the beginning, as long as it takes for all kills to hit.
            fs_err::remove_dir_all(sandbox.data()).unwrap();
        } else {
            killed += 1;
        }
    }
    sandbox.index();
    let found = contents(&sandbox);
    assert_eq!(found["state"], expected["state"]);
    assert_eq!(found["documents"], expected["documents"]);
    for (query, hits) in expected["lists"].as_object().unwrap() {
        let (found, hits) = (
            found["lists"][query].as_array().unwrap(),
            hits.as_array().unwrap(),
        );
        for (rank, (found, hit)) in found.iter().zip(hits).enumerate() {
            assert_eq!(found, hit, "{query}, rank {}", rank + 1);
        }
        assert_eq!(found.len(), hits.len(), "{query}");
    }
}
