//! A second process on the same index.

use std::process::Stdio;

use crate::harness::{Sandbox, paths, stdout_of_success, wait_for};

#[test]
fn a_second_writer_is_told_who_holds_the_index() {
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
fn the_index_is_free_again_when_its_holder_is_gone() {
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
