//! Checks of answers against the history of the folder, and of two indexes against each other.

use std::collections::{BTreeMap, HashSet};
use std::time::Instant;

use serde_json::{Value, json};

use super::folder::Folder;
use crate::harness::stdout_of_success;
use crate::random::Random;

/// Queries whose words occur in many documents.
pub const QUERIES: [&str; 3] = [
    "harbour lantern",
    "what is the copper engine",
    "report of a glacier",
];

/// Checks an answer that was requested at `since`: each hit quotes a real version at its span, and its freshness is right.
pub fn check_hits(answer: &Value, folder: &Folder, since: Instant) {
    let mut seen = HashSet::new();
    for hit in answer["hits"].as_array().unwrap() {
        let citation = &hit["citation"];
        let (key, hash) = (
            citation["path"].as_str().unwrap(),
            citation["content_hash"].as_str().unwrap(),
        );
        let version = folder.version(key, hash);
        let version = version.unwrap_or_else(|| panic!("no such version: {hit}"));
        let at = |name: &str| citation[name].as_u64().unwrap() as usize;
        let cited = version.get(at("start_byte")..at("end_byte"));
        assert_eq!(hit["text"].as_str(), cited, "{citation}");
        let (found, possible) = (
            hit["freshness"].as_str().unwrap(),
            folder.freshness(key, hash, since),
        );
        assert!(possible.contains(&found), "{found}, not {possible:?}: {citation}");
        assert!(
            seen.insert((key.to_owned(), at("start_byte"))),
            "twice: {citation}"
        );
    }
}

/// Asks one question in each mode and checks the answers.
pub fn check_answers(folder: &Folder, random: &mut Random, mut ask: impl FnMut(&str, &str) -> Value) {
    for mode in ["lexical", "dense", "hybrid"] {
        let query = *random.choose(&QUERIES);
        check_hits(&ask(query, mode), folder, Instant::now());
    }
}

/// Checks that each existing document is found by its unique word, and no removed version is.
pub fn check_complete(folder: &Folder, mut ask: impl FnMut(&str, &str) -> Value) {
    for (key, word) in folder.live() {
        let answer = ask(word, "lexical");
        check_hits(&answer, folder, Instant::now());
        let first = &answer["hits"][0];
        assert_eq!(first["citation"]["path"], **key, "{word}");
        assert_eq!(first["freshness"], "current", "{word}");
    }
    for word in folder.gone().iter().rev().take(20) {
        let answer = ask(word, "lexical");
        let hits = answer["hits"].as_array().unwrap();
        assert!(hits.is_empty(), "{word} is gone: {}", hits[0]["citation"]);
    }
}

/// Everything that equal indexes agree on: documents, state, and hits with scores for some queries in each mode. `run` runs a
/// command on the index.
pub fn contents(run: impl Fn(&str, &[&str]) -> std::process::Output) -> Value {
    let documents: Vec<Value> = stdout_of_success(&run("status", &["--items", "completed", "--json"]))
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut lists = BTreeMap::new();
    for mode in ["lexical", "dense", "hybrid"] {
        for query in QUERIES {
            let output = run(
                "search",
                &[query, "--json", "--no-update", "--quiet", "--mode", mode],
            );
            let answer: Value = serde_json::from_str(&stdout_of_success(&output)).unwrap();
            assert_eq!(answer["degraded"], json!([]), "{mode} {query}");
            for (rank, hit) in answer["hits"].as_array().unwrap().iter().enumerate() {
                let hit = json!([hit["citation"], hit["score"], hit["scores"], hit["text"]]);
                lists.insert(format!("{mode}: {query}: {rank}"), hit);
            }
        }
    }
    let mut state: Value = serde_json::from_str(&stdout_of_success(&run("status", &["--json"]))).unwrap();
    let state = state["index_state"].as_object_mut().unwrap();
    state.remove("last_run");
    json!({"documents": documents, "lists": lists, "state": state})
}

/// Compares two indexes part by part, for readable failures.
pub fn assert_equal(found: &Value, expected: &Value) {
    assert_eq!(found["state"], expected["state"]);
    let (documents, others) = (&found["documents"], &expected["documents"]);
    assert_eq!(
        documents.as_array().unwrap().len(),
        others.as_array().unwrap().len()
    );
    for (document, other) in documents
        .as_array()
        .unwrap()
        .iter()
        .zip(others.as_array().unwrap())
    {
        assert_eq!(document, other);
    }
    for (place, hit) in expected["lists"].as_object().unwrap() {
        assert_eq!(&found["lists"][place], hit, "{place}");
    }
    assert_eq!(
        found["lists"].as_object().unwrap().len(),
        expected["lists"].as_object().unwrap().len()
    );
}
