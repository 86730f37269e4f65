//! Two processes on one index.

use std::process::{Command, Stdio};

use crate::harness::{Sandbox, paths, stdout_of_success, wait_for};

#[test]
fn a_second_writer_fails_and_names_the_first() {
    let sandbox = Sandbox::with_handbook();
    let server = sandbox.serve();
    server.wait_until_complete();
    let output = sandbox.command("index").output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(text.contains(&server.pid().to_string()), "{text}");
}

#[test]
fn a_second_reader_follows_the_first() {
    let sandbox = Sandbox::with_handbook();
    let server = sandbox.serve();
    server.wait_until_complete();
    let output = sandbox
        .command("search")
        .args(["penguins", "--json", "--quiet"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let answer: serde_json::Value = serde_json::from_str(&stdout_of_success(&output)).unwrap();
    assert_eq!(paths(&answer)[0], "site/index.html");
    let second = sandbox.serve();
    let answer = second.search(&serde_json::json!({"query": "penguins"}));
    assert_eq!(paths(&answer)[0], "site/index.html");
    drop(second);
    assert!(server.get("/readyz").status().is_success());
}

#[test]
fn the_lock_is_free_when_its_holder_ends() {
    let sandbox = Sandbox::with_handbook();
    let mut server = sandbox.serve();
    server.wait_until_complete();
    server.child().kill().unwrap();
    server.child().wait().unwrap();
    wait_for("the lock", || {
        let output = sandbox.command("index").arg("--quiet").output().unwrap();
        output.status.success().then_some(())
    });
}

/// Sends a process a signal.
#[cfg(unix)]
fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill")
        .args([name, &pid.to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[cfg(unix)]
#[test]
fn a_follower_switches_to_a_new_catalog() {
    let sandbox = Sandbox::with_handbook();
    let mut first = sandbox.serve();
    first.wait_until_complete();
    let follower = sandbox.serve();
    let asked = |query: &str| follower.search(&serde_json::json!({"query": query, "mode": "lexical"}));
    assert_eq!(paths(&asked("penguins")), ["site/index.html"]);
    // Stop it first, or it might take over.
    signal("-STOP", follower.pid());
    first.child().kill().unwrap();
    first.child().wait().unwrap();
    let catalog = sandbox.index_dir().join("catalog.sqlite");
    let length = fs_err::metadata(&catalog).unwrap().len() as usize;
    fs_err::write(&catalog, vec![0; length]).unwrap();
    for log in ["catalog.sqlite-wal", "catalog.sqlite-shm"] {
        let _ = fs_err::remove_file(sandbox.index_dir().join(log));
    }
    sandbox.write("notes.txt", "Zebras graze on the savannah.\n");
    let second = sandbox.serve();
    second.wait_until_complete();
    assert!(
        sandbox
            .index_dir()
            .join("damaged")
            .join("catalog.sqlite")
            .exists()
    );
    signal("-CONT", follower.pid());
    assert_eq!(paths(&asked("zebras")), ["notes.txt"]);
    assert_eq!(paths(&asked("penguins")), ["site/index.html"]);
    // And keeps following it.
    sandbox.write("notes.txt", "Giraffes as well.\n");
    wait_for("the change", || {
        (paths(&asked("giraffes")) == ["notes.txt"]).then_some(())
    });
    assert!(paths(&asked("zebras")).is_empty());
}
