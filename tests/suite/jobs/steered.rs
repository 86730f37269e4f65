//! Jobs that are paused, resumed and cancelled.

use std::process::Command;

use serde_json::json;

use super::{held_run, in_state, jobs, listed, patch, post, remote, shown};
use crate::harness::{Sandbox, Server, paths, stdout_of_success, wait_for};
use crate::provider::{Behaviour, Provider};

#[test]
fn a_pause_survives_restarts_until_it_is_resumed() {
    let sandbox = Sandbox::with_handbook();
    let provider = Provider::start();
    let mut run = held_run(&sandbox, &provider);
    stdout_of_success(&jobs(&sandbox, "pause", &[]));
    let status = wait_for("the run to end", || run.try_wait().unwrap());
    assert!(!status.success());
    let (held, _) = shown(&sandbox);
    assert_eq!(held["state"], "paused");

    let output = sandbox.command("index").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("autorag jobs resume"),
        "{said}"
    );
    let output = sandbox
        .command("search")
        .args(["penguins", "--mode", "lexical"])
        .output()
        .unwrap();
    let said = stdout_of_success(&output);
    assert!(
        said.contains("site/index.html") && said.contains("indexing is paused"),
        "{said}"
    );

    provider.always(Behaviour::Good);
    let server = Server::start(&mut remote(sandbox.command("serve"), &provider));
    let status = wait_for("the index to open", || {
        let status = server.get_json("/v1/status");
        (status["index_state"]["phase"] == "paused").then_some(status)
    });
    assert_eq!(status["index_state"]["complete"], false);
    assert_eq!(
        (&status["job"]["id"], &status["job"]["state"]),
        (&held["id"], &json!("paused"))
    );
    let answer = server.search(&json!({"query": "penguins", "mode": "lexical"}));
    assert_eq!(paths(&answer), ["site/index.html"]);
    assert_eq!(answer["degraded"][0]["part"], "index");
    assert!(
        answer["degraded"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("paused"),
        "{answer}"
    );
    let (status, refused) = post(&server, &json!({}));
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("paused")));

    assert_eq!(patch(&server, &held["id"], "resume").0, 202);
    server.wait_until_complete();
    let ended = wait_for("the job to end", || {
        let job = server.get_json(&format!("/v1/jobs/{}", held["id"]));
        in_state(&job, "completed").map(|()| job)
    });
    assert_eq!(ended["counts"]["embedded"], ended["counts"]["passages"]);
    assert_eq!(
        (&ended["counts"]["added"], &ended["counts"]["unchanged"]),
        (&json!(5), &json!(0)),
        "{ended}"
    );
    assert_eq!(listed(&sandbox).len(), 1, "it was one job all along");
}

#[test]
fn the_next_job_picks_up_what_a_cancelled_one_left() {
    let sandbox = Sandbox::with_handbook();
    let provider = Provider::start();
    provider.next([Behaviour::Good]);
    provider.always(Behaviour::Silent);
    let server = Server::start(&mut remote(sandbox.command("serve"), &provider));
    let job = wait_for("vectors to be waited for", || {
        let jobs = server.get_json("/v1/jobs")["jobs"].clone();
        (jobs[0]["progress"]["stage"] == "embedding").then(|| jobs[0].clone())
    });
    assert_eq!(
        (&job["cause"], &job["source"]),
        (&json!("start"), &json!("schedule"))
    );
    let (status, open) = post(&server, &json!({"description": "again"}));
    assert_eq!(
        (status, &open["already_open"], &open["job"]["id"]),
        (202, &json!(true), &job["id"])
    );
    // A follower can resume it too.
    let follower = Server::start(&mut remote(sandbox.command("serve"), &provider));
    let (status, refused) = post(&follower, &json!({}));
    assert_eq!(
        (status, &refused["error"]["code"]),
        (409, &json!("not_the_writer"))
    );
    assert_eq!(follower.get_json("/v1/status")["job"]["id"], job["id"]);
    assert_eq!(patch(&follower, &job["id"], "cancel").0, 202);
    wait_for("the job to end", || {
        in_state(&server.get_json(&format!("/v1/jobs/{}", job["id"])), "cancelled")
    });
    let (status, refused) = patch(&server, &job["id"], "pause");
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("job_ended")));

    provider.always(Behaviour::Good);
    let (status, next) = post(&server, &json!({"description": "again"}));
    assert_eq!((status, &next["already_open"]), (202, &json!(false)));
    let ended = wait_for("what is left to be done", || {
        let job = server.get_json(&format!("/v1/jobs/{}", next["job"]["id"]));
        in_state(&job, "completed").map(|()| job)
    });
    assert_eq!(
        (&ended["cause"], &ended["description"]),
        (&json!("request"), &json!("again"))
    );
    assert_eq!(ended["counts"]["embedded"], job["counts"]["passages"], "{ended}");
    server.wait_until_complete();
}

#[test]
fn any_process_can_cancel_a_paused_job() {
    let sandbox = Sandbox::with_handbook();
    let provider = Provider::start();
    let hold = || {
        let mut run = held_run(&sandbox, &provider);
        stdout_of_success(&jobs(&sandbox, "pause", &[]));
        wait_for("the run to end", || run.try_wait().unwrap());
    };
    // No process has the index open.
    hold();
    stdout_of_success(&jobs(&sandbox, "cancel", &[]));
    assert_eq!(shown(&sandbox).0["state"], "cancelled");
    assert!(!jobs(&sandbox, "cancel", &[]).status.success());
    stdout_of_success(&jobs(&sandbox, "resume", &[]));

    // A paused server has it open.
    hold();
    provider.always(Behaviour::Good);
    let server = Server::start(&mut remote(sandbox.command("serve"), &provider));
    wait_for("the index to open", || {
        (server.get_json("/v1/status")["index_state"]["phase"] == "paused").then_some(())
    });
    stdout_of_success(&jobs(&sandbox, "cancel", &[]));
    let ended = wait_for("the job to end", || {
        let job = shown(&sandbox).0;
        (job["state"] != "paused").then_some(job)
    });
    assert_eq!(ended["state"], "cancelled");
    assert_eq!(ended["counts"]["embedded"], 0);
    stdout_of_success(&jobs(&sandbox, "resume", &[]));
    server.wait_until_complete();
    wait_for("another job", || in_state(&shown(&sandbox).0, "completed"));
    assert_eq!(listed(&sandbox).len(), 3);
}

/// Whether a keyword search for `question` finds the document `key`.
fn finds(server: &Server, question: &str, key: &str) -> bool {
    let answer = server.search(&json!({"query": question, "mode": "lexical"}));
    paths(&answer).contains(&key)
}

#[test]
fn a_paused_server_indexes_nothing_until_it_is_resumed() {
    let sandbox = Sandbox::with_handbook();
    let mut server = sandbox.serve();
    server.wait_until_complete();
    stdout_of_success(&jobs(&sandbox, "pause", &[]));
    wait_for("the walk under way, if there is one", || {
        let state = server.get_json("/v1/status")["index_state"].clone();
        (state["phase"] == "paused").then_some(())
    });
    let before = listed(&sandbox);
    sandbox.write("new.md", "# New\n\nOstriches run fast.\n");
    sandbox.remove("notes.txt");
    // Another server indexes such a change in the meantime, so this server had time to do so.
    let other = Sandbox::with_handbook();
    let at_work = other.serve();
    for key in ["one.md", "two.md", "three.md"] {
        other.write(key, format!("# Ostriches\n\nOstriches of {key}.\n"));
        wait_for("a server at work", || {
            finds(&at_work, "ostriches", key).then_some(())
        });
    }
    assert!(!finds(&server, "ostriches", "new.md"));
    assert!(finds(&server, "water the plants", "notes.txt"));
    assert_eq!(listed(&sandbox), before, "a paused server begins no job");
    let state = server.get_json("/v1/status")["index_state"].clone();
    assert_eq!(
        (&state["phase"], &state["documents"]),
        (&json!("paused"), &json!(5))
    );

    stdout_of_success(&jobs(&sandbox, "resume", &[]));
    wait_for("the new file", || {
        finds(&server, "ostriches", "new.md").then_some(())
    });
    server.wait_until_complete();
    assert!(!finds(&server, "water the plants", "notes.txt"));
    let (job, log) = shown(&sandbox);
    assert_eq!(listed(&sandbox).len(), before.len() + 1, "{job}");
    assert_eq!(
        log.iter()
            .map(|line| (line["key"].as_str().unwrap(), line["action"].as_str().unwrap()))
            .collect::<Vec<_>>(),
        [("new.md", "added"), ("notes.txt", "removed")]
    );

    stdout_of_success(&jobs(&sandbox, "pause", &[]));
    let pid = server.pid().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(sent.success());
    let ended = wait_for("the server to end", || server.child().try_wait().unwrap());
    assert!(ended.success(), "{ended}");
}
