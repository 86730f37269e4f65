//! Live updates: changes to a served folder appear in answers.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Sandbox, Server, paths, wait_for};

/// Documents that contain the words (keyword search), sorted.
fn found(server: &Server, words: &str) -> Vec<String> {
    let answer = server.search(&json!({"query": words, "mode": "lexical", "limit": 50}));
    let mut found: Vec<String> = paths(&answer).into_iter().map(str::to_owned).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Waits until exactly these documents contain the words.
fn wait_until_found(server: &Server, words: &str, expected: &[&str]) {
    wait_for(&format!("{words:?} in {expected:?}"), || {
        (found(server, words) == expected).then_some(())
    });
}

fn state(server: &Server) -> Value {
    server.get_json("/v1/status")["index_state"].clone()
}

fn served(sandbox: &Sandbox) -> Server {
    let server = sandbox.serve();
    server.wait_until_complete();
    assert_edits_are_followed(sandbox, &server, "settled.md");
    server
}

/// Edits a document several times. An extra walk finds edits right after a watch is set up, so only later edits test the watch.
fn assert_edits_are_followed(sandbox: &Sandbox, server: &Server, key: &str) {
    for word in ["walruses", "pelicans", "tortoises"] {
        sandbox.write(key, format!("# Animals\n\nThese are {word}.\n"));
        wait_until_found(server, word, &[key]);
    }
    sandbox.write(key, "# Nothing\n\nNothing here any more.\n");
    wait_until_found(server, "tortoises", &[]);
}

#[test]
fn an_edited_file_is_reindexed() {
    let sandbox = Sandbox::with_handbook();
    let server = served(&sandbox);
    sandbox.write("notes.txt", "Giraffes browse the acacia trees of the savannah.\n");
    wait_until_found(&server, "giraffes", &["notes.txt"]);
    assert!(found(&server, "Thursday").is_empty());
    server.wait_until_complete();
    let answer = server.search(&json!({"query": "long-necked animals eating leaves", "mode": "dense"}));
    assert_eq!(paths(&answer)[0], "notes.txt");
    assert_eq!(answer["hits"][0]["freshness"], "current");
}

#[test]
fn a_file_in_a_new_folder_is_indexed() {
    let sandbox = Sandbox::with_handbook();
    let server = served(&sandbox);
    sandbox.write("deep/er/new.md", "# New\n\nOstriches run fast.\n");
    wait_until_found(&server, "ostriches", &["deep/er/new.md"]);
    assert_edits_are_followed(&sandbox, &server, "deep/er/newer.md");
}

#[test]
fn a_deleted_file_is_no_longer_found() {
    let sandbox = Sandbox::with_handbook();
    let server = served(&sandbox);
    sandbox.remove("notes.txt");
    wait_until_found(&server, "Thursday", &[]);
    assert_eq!(server.get("/v1/documents/notes.txt").status(), 404);
    fs_err::remove_dir_all(sandbox.docs().join("guide")).unwrap();
    wait_until_found(&server, "folder", &[]);
}

#[test]
fn a_renamed_folder_keeps_its_documents() {
    let sandbox = Sandbox::with_handbook();
    let server = served(&sandbox);
    fs_err::rename(sandbox.docs().join("guide"), sandbox.docs().join("manual")).unwrap();
    wait_until_found(&server, "backup", &["manual/backup.md"]);
    assert_edits_are_followed(&sandbox, &server, "manual/backup.md");
}

#[test]
fn a_recreated_folder_is_watched_again() {
    let sandbox = Sandbox::with_handbook();
    let server = served(&sandbox);
    for round in ["first", "second"] {
        fs_err::remove_dir_all(sandbox.docs().join("guide")).unwrap();
        sandbox.write("guide/backup.md", format!("# Backup\n\nThe {round} giraffe.\n"));
        wait_until_found(&server, round, &["guide/backup.md"]);
        sandbox.write(
            "guide/backup.md",
            format!("# Backup\n\nThe {round} ostrich follows.\n"),
        );
        wait_until_found(&server, &format!("\"{round} ostrich\""), &["guide/backup.md"]);
    }
}

#[test]
fn changes_of_ignore_files_apply_at_once() {
    let sandbox = Sandbox::with_handbook();
    let server = served(&sandbox);
    sandbox.write(".autoragignore", "guide/\n");
    wait_until_found(&server, "backup", &[]);
    assert_eq!(found(&server, "penguins"), ["site/index.html"]);
    sandbox.remove(".autoragignore");
    wait_until_found(&server, "backup", &["guide/backup.md"]);
    assert_edits_are_followed(&sandbox, &server, "guide/backup.md");
}

#[test]
fn a_source_that_disappears_keeps_its_index_until_it_returns() {
    let sandbox = Sandbox::with_handbook();
    let server = served(&sandbox);
    let away = sandbox.docs().with_file_name("elsewhere");
    fs_err::rename(sandbox.docs(), &away).unwrap();
    let failed = wait_for("the run to fail", || {
        Some(state(&server)).filter(|state| state["phase"] == "failed")
    });
    assert_eq!(failed["complete"], false);
    let reason = failed["failure"].as_str().unwrap();
    assert!(
        reason.contains(sandbox.docs().to_str().unwrap()),
        "the reason names the folder: {reason}"
    );
    assert_eq!(
        found(&server, "Thursday"),
        ["notes.txt"],
        "indexed documents stay searchable"
    );
    fs_err::write(away.join("notes.txt"), "Giraffes browse the acacia trees.\n").unwrap();
    fs_err::rename(&away, sandbox.docs()).unwrap();
    wait_until_found(&server, "giraffes", &["notes.txt"]);
    assert!(found(&server, "Thursday").is_empty());
    let state = server.wait_until_complete()["index_state"].clone();
    assert!(state.get("failure").is_none(), "{state}");
    assert_edits_are_followed(&sandbox, &server, "guide/backup.md");
}

#[test]
fn a_change_is_indexed_while_others_are_being_embedded() {
    let sandbox = Sandbox::empty();
    for number in 0..400 {
        let sentence = format!("Report {number} counts {number} lanterns in harbour {number}. ");
        sandbox.write(&format!("{number}.md"), sentence.repeat(60));
    }
    // One thread makes embedding slow on any machine.
    let server = Server::start(sandbox.command("serve").env("AUTORAG_INDEX_THREADS", "1"));
    wait_for("vectors to be built", || {
        (state(&server)["phase"] == "embedding").then_some(())
    });
    sandbox.write("new.md", "# New\n\nOstriches run fast.\n");
    for mode in ["lexical", "dense"] {
        let state = wait_for("the new file", || {
            let answer = server.search(&json!({"query": "ostriches", "mode": mode}));
            let first = paths(&answer).first().copied() == Some("new.md");
            first.then(|| answer["index_state"].clone())
        });
        assert_eq!(state["complete"], false);
        assert!(
            state["pending"].as_u64().unwrap() > 1,
            "all vectors were built before the file was found, {mode}: {state}"
        );
    }
    let state = server.wait_until_complete()["index_state"].clone();
    assert_eq!(state["documents"], 401);
}

#[test]
fn an_interrupt_stops_an_idle_server() {
    let sandbox = Sandbox::with_handbook();
    let mut server = served(&sandbox);
    let pid = server.pid().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(sent.success());
    let ended = wait_for("the server to end", || server.child().try_wait().unwrap());
    assert!(ended.success(), "{ended}");
}

#[test]
fn polling_finds_changes_without_events() {
    let sandbox = Sandbox::with_handbook();
    let server = Server::start(sandbox.command("serve").env("AUTORAG_INDEX_WATCH", "poll"));
    server.wait_until_complete();
    sandbox.write("notes.txt", "Giraffes browse the acacia trees.\n");
    wait_until_found(&server, "giraffes", &["notes.txt"]);
}

#[test]
fn periodic_walks_find_changes_that_events_missed() {
    let sandbox = Sandbox::with_handbook();
    let server = Server::start(sandbox.command("serve").env("AUTORAG_INDEX_RECONCILE_SECS", "1"));
    server.wait_until_complete();
    // Ignore files of parent folders apply, and those folders are not watched.
    let rules = sandbox.docs().with_file_name(".ignore");
    for _ in 0..2 {
        fs_err::write(&rules, "guide/\n").unwrap();
        wait_until_found(&server, "backup", &[]);
        fs_err::remove_file(&rules).unwrap();
        wait_until_found(&server, "backup", &["guide/backup.md"]);
    }
}

#[test]
fn an_index_inside_its_source_is_not_indexed() {
    let sandbox = Sandbox::with_handbook();
    fs_err::create_dir(sandbox.docs().join("index")).unwrap();
    let data = sandbox.docs().with_file_name("link");
    std::os::unix::fs::symlink(sandbox.docs().join("index"), &data).unwrap();
    let server = Server::start(
        sandbox
            .bare_command()
            .arg("serve")
            .arg(sandbox.docs())
            .arg("--data-dir")
            .arg(&data),
    );
    server.wait_until_complete();
    for word in ["giraffes", "ostriches", "emus"] {
        sandbox.write("notes.txt", format!("{word} run fast.\n"));
        wait_until_found(&server, word, &["notes.txt"]);
    }
    let state = server.wait_until_complete()["index_state"].clone();
    assert_eq!(
        (state["files_seen"].as_u64(), state["skipped"].as_u64()),
        (Some(5), Some(0))
    );
}

#[test]
fn a_follower_takes_over_when_the_writer_ends() {
    let sandbox = Sandbox::with_handbook();
    let mut first = sandbox.serve();
    first.wait_until_complete();
    let second = sandbox.serve();
    second.wait_until_complete();
    sandbox.write("notes.txt", "Giraffes browse the acacia trees.\n");
    wait_until_found(&second, "giraffes", &["notes.txt"]);
    first.child().kill().unwrap();
    first.child().wait().unwrap();
    sandbox.write("notes.txt", "Ostriches run fast.\n");
    wait_until_found(&second, "ostriches", &["notes.txt"]);
}
