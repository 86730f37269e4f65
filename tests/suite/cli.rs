//! The command line.

use serde_json::Value;

use crate::harness::{Sandbox, paths, stdout_of_success};

#[test]
fn search_indexes_and_answers_in_one_command() {
    let sandbox = Sandbox::with_handbook();
    let output = sandbox
        .command("search")
        .args(["where do penguins live", "--quiet"])
        .output()
        .unwrap();
    let text = stdout_of_success(&output);
    let first = text.lines().next().unwrap();
    assert!(first.contains("site/index.html"), "{text}");
    assert!(text.contains("southern hemisphere"), "{text}");
    assert!(
        !text.contains('\x1b'),
        "no colours away from a terminal: {text:?}"
    );
}

#[test]
fn json_has_the_shape_of_the_api() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    let answer = sandbox.search("unpack the archive", &[]);
    assert_eq!(paths(&answer)[0], "guide/install.md");
    assert_eq!(answer["degraded"], Value::Array(vec![]));
    assert_eq!(answer["index_state"]["complete"], true);
}

#[test]
fn nothing_found_is_exit_status_1() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    let mut run = sandbox.command("search");
    let output = run
        .args(["zyzzyva", "--mode", "lexical", "--quiet"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Nothing found in 5 documents."));
}

#[test]
fn filters_restrict_candidates() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    let found = |filter: &str| {
        let answer = sandbox.search("copy the data folder", &["--filter", filter]);
        paths(&answer)
            .into_iter()
            .map(str::to_owned)
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(
        found(r#"{"filename": "notes.txt"}"#),
        ["notes.txt".to_owned()].into()
    );
    assert_eq!(found(r#"{"type": "code"}"#), ["src/parser.rs".to_owned()].into());
    assert_eq!(
        found(r#"{"audience": "operator"}"#),
        ["guide/install.md".to_owned()].into()
    );
    assert_eq!(
        found(r#"{"tags": {"$contains": "linux"}}"#),
        ["guide/install.md".to_owned()].into()
    );
    let guide = ["guide/backup.md".to_owned(), "guide/install.md".to_owned()];
    assert_eq!(
        found(r#"{"folder": {"$gte": "guide/", "$lt": "guide0"}}"#),
        guide.into()
    );
}

#[test]
fn wrong_settings_are_named() {
    let sandbox = Sandbox::with_handbook();
    let said = |run: &mut std::process::Command| {
        let output = run.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let text = said(sandbox.command("index").env("AUTORAG_INDEX_CHUNK_TOKENS", "many"));
    assert!(text.contains("AUTORAG_INDEX_CHUNK_TOKENS"), "{text}");
    let text = said(sandbox.command("serve").args(["--addr", "0.0.0.0:0"]));
    assert!(
        text.contains("server.addr") && text.contains("loopback"),
        "{text}"
    );
    let text = said(sandbox.command("search").args(["x", "--mode", "vector"]));
    assert!(text.contains("mode") && text.contains("dense"), "{text}");
    let text = said(
        sandbox
            .command("search")
            .args(["x", "--filter", r#"{"folder": {"$gtx": 1}}"#]),
    );
    assert!(text.contains("$gtx"), "{text}");
    let text = said(sandbox.bare_command().args(["index", "not-there"]));
    assert!(text.contains("not-there"), "{text}");
    let text = said(&mut sandbox.command("status"));
    assert!(text.contains("autorag index"), "{text}");
}

#[test]
fn settings_file_of_the_folder_is_read() {
    let sandbox = Sandbox::with_handbook();
    let file = sandbox.docs().parent().unwrap().join("autorag.toml");
    fs_err::write(file, "[index]\nexclude = [\"guide/**\"]\n").unwrap();
    sandbox.index();
    let answer = sandbox.search("install backup penguins plants", &["-n", "50"]);
    assert!(
        paths(&answer).iter().all(|path| !path.starts_with("guide/")),
        "{:?}",
        paths(&answer)
    );
    assert!(!paths(&answer).is_empty());
}

#[test]
fn status_counts_and_lists() {
    let sandbox = Sandbox::with_handbook();
    sandbox.write("broken.bin", [0u8, 159, 146, 150, 0, 1, 2, 3]);
    sandbox.index();
    let output = sandbox.command("status").output().unwrap();
    let text = stdout_of_success(&output);
    assert!(
        text.contains("documents  5") && text.contains("skipped    1"),
        "{text}"
    );
    let output = sandbox
        .command("status")
        .args(["--items", "skipped"])
        .output()
        .unwrap();
    let text = stdout_of_success(&output);
    assert!(
        text.starts_with("broken.bin\t") && text.trim_end().len() > "broken.bin".len() + 3,
        "{text}"
    );
}

#[test]
fn completions_for_every_shell() {
    let sandbox = Sandbox::empty();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = sandbox
            .bare_command()
            .args(["completions", shell])
            .output()
            .unwrap();
        assert!(stdout_of_success(&output).contains("autorag"), "{shell}");
    }
}
