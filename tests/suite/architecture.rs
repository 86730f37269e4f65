//! What the crates may know of each other and of the outside, see ARCHITECTURE.md.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::harness::root;

/// Library crates, with the crates of ours that each may depend on.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("embedder", &[]),
    ("store", &[]),
    ("indexer", &["autorag-embedder", "autorag-store"]),
    ("query", &["autorag-embedder", "autorag-store"]),
];

/// Crates that only `server/` may depend on.
const SERVER_ONLY: &[&str] = &[
    "tokio", "axum", "rmcp", "clap", "hyper", "reqwest", "utoipa", "schemars",
];

/// Code that makes a library asynchronous.
const ASYNC: &[&str] = &["async fn", "async move", "async {", ".await"];

/// Code that reads the environment. Callers pass in what a library needs.
const ENVIRONMENT: &[&str] = &["env::var", "env::args", "env::current_dir", "env::home_dir"];

/// Words of the command line, HTTP and MCP. A library's error states the cause; `server/` adds what to type.
const INTERFACES: &[&str] = &[
    "`autorag ",
    "--data-dir",
    "--repair",
    "GET /v1",
    "POST /v1",
    "PATCH /v1",
    "on the wire",
    "over HTTP or MCP",
];

/// Binaries inside library crates, which have command lines of their own.
const BINARIES: &[&str] = &[
    "embedder/pack_model/",
    "embedder/benches/",
    "embedder/check_kernels.rs",
];

#[test]
fn crates_depend_inwards_only() {
    for (folder, allowed) in LIBRARIES {
        let path = root().join(folder).join("Cargo.toml");
        let manifest: toml::Table = fs_err::read_to_string(&path).unwrap().parse().unwrap();
        for name in dependencies(&manifest) {
            let ours = name.starts_with("autorag-");
            assert!(
                !ours || allowed.contains(&name.as_str()),
                "{folder} may not depend on {name}"
            );
            assert!(
                !SERVER_ONLY.contains(&name.as_str()),
                "{folder} may not depend on {name}; only server/ may"
            );
        }
    }
}

/// Names in all dependency tables, including tables for one target only.
fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let targets = manifest.get("target").and_then(|targets| targets.as_table());
    let targets = targets
        .into_iter()
        .flat_map(|targets| targets.values())
        .filter_map(|target| target.as_table());
    let mut names = BTreeSet::new();
    for scope in std::iter::once(manifest).chain(targets) {
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let table = scope.get(table).and_then(|table| table.as_table());
            names.extend(table.into_iter().flat_map(|table| table.keys().cloned()));
        }
    }
    names
}

#[test]
fn dependencies_of_single_targets_are_seen() {
    let manifest = "[dependencies]\na = \"1\"\n[target.'cfg(unix)'.dependencies]\ntokio = \"1\"\n";
    let names = dependencies(&manifest.parse().unwrap());
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a", "tokio"]);
}

#[test]
fn libraries_are_synchronous() {
    assert_absent(ASYNC, "libraries are synchronous");
}

#[test]
fn libraries_read_no_environment() {
    // Tests may: they look for an ONNX Runtime that the machine has.
    let sources = library_sources()
        .into_iter()
        .filter(|(name, _)| !name.ends_with("tests.rs"));
    assert_absent_in(sources, ENVIRONMENT, "only server/ reads the environment");
}

#[test]
fn libraries_name_no_command_and_no_route() {
    assert_absent(INTERFACES, "only server/ knows commands, flags and routes");
}

fn assert_absent(words: &[&str], rule: &str) {
    assert_absent_in(library_sources(), words, rule);
}

fn assert_absent_in(sources: impl IntoIterator<Item = (String, String)>, words: &[&str], rule: &str) {
    let mut found = Vec::new();
    for (name, text) in sources {
        for (line, number) in text.lines().zip(1..) {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{name}:{number}: {}", line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// Files of the library crates, by path from the root.
fn library_sources() -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for (folder, _) in LIBRARIES {
        for entry in ignore::Walk::new(root().join(folder)) {
            let path: PathBuf = entry.unwrap().into_path();
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let is_code = path.extension().is_some_and(|extension| extension == "rs");
            if is_code && !BINARIES.iter().any(|binary| name.starts_with(binary)) {
                sources.push((name, fs_err::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(sources.len() > 100, "the libraries' sources were not found");
    sources
}
