//! Jobs: what was and is done to an index, seen and steered from outside.

use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::{Sandbox, Server, paths, stdout_of_success, wait_for};
use crate::provider::{Behaviour, Provider};

/// `autorag jobs COMMAND` on the sandbox's folder.
fn jobs(sandbox: &Sandbox, command: &str, more: &[&str]) -> Output {
    let mut run = sandbox.bare_command();
    run.args(["jobs", command]).arg(sandbox.docs());
    run.arg("--data-dir").arg(sandbox.data()).args(more);
    run.output().unwrap()
}

/// The jobs, newest first.
fn listed(sandbox: &Sandbox) -> Vec<Value> {
    lines(&jobs(sandbox, "list", &["--json"]))
}

/// The newest job and its log.
fn shown(sandbox: &Sandbox) -> (Value, Vec<Value>) {
    let mut shown = lines(&jobs(sandbox, "show", &["--json"]));
    let log = shown.split_off(1);
    (shown.remove(0), log)
}

fn lines(output: &Output) -> Vec<Value> {
    stdout_of_success(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The command with a provider that a test can hold still.
fn remote(mut command: Command, provider: &Provider) -> Command {
    command
        .env("AUTORAG_MODEL_PROVIDER", "openai")
        .env("AUTORAG_MODEL_BASE_URL", provider.base_url())
        .env("AUTORAG_MODEL_NAME", "words");
    command
}

/// A run that waits for a provider which has answered once and says no more.
fn held_run(sandbox: &Sandbox, provider: &Provider) -> Child {
    provider.next([Behaviour::Good]);
    provider.always(Behaviour::Silent);
    let run = remote(sandbox.command("index"), provider)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the run to embed", || is_embedding(sandbox).then_some(()));
    run
}

fn is_embedding(sandbox: &Sandbox) -> bool {
    let output = jobs(sandbox, "list", &["--json"]);
    // There may be no index yet.
    let newest = output
        .status
        .success()
        .then(|| lines(&output))
        .and_then(|jobs| jobs.first().cloned());
    newest.is_some_and(|job| job["progress"]["stage"] == "embedding")
}

fn in_state(job: &Value, state: &str) -> Option<()> {
    (job["state"] == state).then_some(())
}

fn patch(server: &Server, id: &Value, action: &str) -> (u16, Value) {
    let response = server
        .request("PATCH", &format!("/v1/jobs/{id}"))
        .json(&json!({"action": action}))
        .send()
        .unwrap();
    (response.status().as_u16(), response.json().unwrap())
}

fn post(server: &Server, body: &Value) -> (u16, Value) {
    let response = server.request("POST", "/v1/jobs").json(body).send().unwrap();
    (response.status().as_u16(), response.json().unwrap())
}

#[test]
fn a_run_leaves_a_job_with_its_counts_and_a_line_for_each_file() {
    let sandbox = Sandbox::with_handbook();
    sandbox.write("broken.pdf", "%PDF-1.4 and no more");
    sandbox.write("image.png", [0u8, 1, 2, 3, 255, 254, 0, 0]);
    sandbox.index();
    let (job, log) = shown(&sandbox);
    assert_eq!(
        (&job["state"], &job["cause"], &job["source"]),
        (&json!("completed"), &json!("command"), &json!("user"))
    );
    let counts = &job["counts"];
    assert_eq!(
        (&counts["added"], &counts["failed"], &counts["skipped"]),
        (&json!(5), &json!(1), &json!(1)),
        "{job}"
    );
    assert_eq!(counts["embedded"], counts["passages"]);
    assert_eq!(log.len(), 7);
    let of = |key: &str| log.iter().find(|line| line["key"] == key).unwrap();
    assert_eq!(of("notes.txt")["action"], "added");
    assert_eq!(of("notes.txt")["passages"], 1);
    assert_eq!(of("broken.pdf")["action"], "failed");
    assert!(
        of("broken.pdf")["reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty())
    );

    sandbox.index();
    assert_eq!(listed(&sandbox).len(), 1, "a run that finds nothing is no job");

    sandbox.write("notes.txt", "Remember to water the cacti.\n");
    sandbox.remove("guide/backup.md");
    sandbox.index();
    let (job, log) = shown(&sandbox);
    assert_eq!(
        (
            &job["counts"]["changed"],
            &job["counts"]["removed"],
            &job["counts"]["unchanged"]
        ),
        (&json!(1), &json!(1), &json!(5))
    );
    let actions: Vec<_> = log
        .iter()
        .map(|line| (line["key"].as_str().unwrap(), line["action"].as_str().unwrap()))
        .collect();
    assert_eq!(
        actions,
        [("notes.txt", "changed"), ("guide/backup.md", "removed")]
    );
    let table = stdout_of_success(&sandbox.command("jobs").output().unwrap());
    assert!(
        table.contains("completed") && table.contains("5 added, 1 failed, 1 skipped"),
        "{table}"
    );
}

#[test]
fn a_killed_run_was_interrupted_and_the_next_one_completes() {
    let sandbox = Sandbox::with_handbook();
    let provider = Provider::start();
    let mut run = held_run(&sandbox, &provider);
    let (job, _) = shown(&sandbox);
    assert_eq!(
        (&job["state"], &job["progress"]["to_embed"]),
        (&json!("running"), &job["counts"]["passages"])
    );
    run.kill().unwrap();
    run.wait().unwrap();
    let (job, log) = shown(&sandbox);
    assert_eq!(job["state"], "interrupted");
    assert_eq!(log.len(), 5);

    provider.always(Behaviour::Good);
    let output = remote(sandbox.command("index"), &provider).output().unwrap();
    stdout_of_success(&output);
    let found = listed(&sandbox);
    assert_eq!(
        (&found[0]["state"], &found[1]["state"]),
        (&json!("completed"), &json!("interrupted"))
    );
    assert_eq!(
        (&found[0]["counts"]["added"], &found[0]["counts"]["unchanged"]),
        (&json!(0), &json!(5))
    );
    assert_eq!(found[0]["counts"]["embedded"], found[1]["counts"]["passages"]);
    assert!(
        found[1]["end_reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("next job"))
    );
}

#[test]
fn a_pause_holds_a_run_over_restarts_until_it_is_resumed() {
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
fn a_cancelled_job_ends_and_the_next_one_takes_up_what_is_left() {
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
    // Whoever follows the index can say so too.
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
fn a_paused_job_can_be_cancelled_by_whoever_is_there() {
    let sandbox = Sandbox::with_handbook();
    let provider = Provider::start();
    let hold = || {
        let mut run = held_run(&sandbox, &provider);
        stdout_of_success(&jobs(&sandbox, "pause", &[]));
        wait_for("the run to end", || run.try_wait().unwrap());
    };
    // No process has the index.
    hold();
    stdout_of_success(&jobs(&sandbox, "cancel", &[]));
    assert_eq!(shown(&sandbox).0["state"], "cancelled");
    assert!(!jobs(&sandbox, "cancel", &[]).status.success());
    stdout_of_success(&jobs(&sandbox, "resume", &[]));

    // A server has it, and indexes nothing meanwhile.
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

/// Whether words of a question are found in a document.
fn finds(server: &Server, question: &str, key: &str) -> bool {
    let answer = server.search(&json!({"query": question, "mode": "lexical"}));
    paths(&answer).contains(&key)
}

#[test]
fn a_server_that_is_paused_at_rest_does_nothing_and_follows_changes_after() {
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
    // What another server does of such changes meanwhile, one after the other, this one could have done.
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

#[test]
fn a_checkout_of_many_files_is_one_job() {
    let sandbox = Sandbox::with_handbook();
    let server = sandbox.serve();
    server.wait_until_complete();
    // Moved in at once, as the folders of a checkout are written in less than the watcher's patience.
    let aside = sandbox.docs().with_file_name("aside");
    for number in 0..600 {
        let folder = aside.join((number % 20).to_string());
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::write(
            folder.join(format!("{number}.md")),
            format!("# Lantern {number}\n\nLantern {number} burns.\n"),
        )
        .unwrap();
    }
    fs_err::rename(&aside, sandbox.docs().join("checkout")).unwrap();
    let page = wait_for("the files", || {
        let page = server.get_json("/v1/jobs?limit=1");
        (page["jobs"][0]["counts"]["added"] == 600 && page["jobs"][0]["state"] == "completed").then_some(page)
    });
    assert_eq!(page["jobs"][0]["cause"], "change");
    let rest = server.get_json(&format!(
        "/v1/jobs?cursor={}",
        page["next_cursor"].as_str().unwrap()
    ));
    assert_eq!(rest["jobs"].as_array().unwrap().len(), 1, "{rest}");
    assert!(rest["next_cursor"].is_null());

    let log = format!("/v1/jobs/{}/logs", page["jobs"][0]["id"]);
    let first = server.get_json(&format!("{log}?limit=500"));
    let second = server.get_json(&format!(
        "{log}?limit=500&cursor={}",
        first["next_cursor"].as_str().unwrap()
    ));
    assert_eq!(
        (
            first["logs"].as_array().unwrap().len(),
            second["logs"].as_array().unwrap().len()
        ),
        (500, 100)
    );
    assert!(second["next_cursor"].is_null());
    let mut keys: Vec<&str> = [&first, &second]
        .iter()
        .flat_map(|page| page["logs"].as_array().unwrap())
        .map(|line| line["key"].as_str().unwrap())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 600);
}

#[test]
fn what_cannot_be_read_is_tried_again_though_it_has_not_changed() {
    let sandbox = Sandbox::with_handbook();
    // Can be opened, and never read, by anyone.
    std::os::unix::fs::symlink("/proc/1/mem", sandbox.docs().join("odd.txt")).unwrap();
    let mut command = sandbox.command("serve");
    command
        .env("AUTORAG_INDEX_FOLLOW_LINKS", "true")
        .env("AUTORAG_INDEX_RETRY_SECS", "1")
        .env("AUTORAG_INDEX_WATCH", "off");
    let server = Server::start(&mut command);
    let tried = wait_for("another attempt", || {
        let page = server.get_json("/v1/jobs");
        let failed = |job: &&Value| job["counts"]["failed"] == 1;
        let tried = page["jobs"].as_array().unwrap().iter().filter(failed).count();
        (tried > 1).then_some(page)
    });
    let newest = &tried["jobs"][0];
    assert_eq!(newest["cause"], "schedule", "{newest}");
    let log = server.get_json(&format!("/v1/jobs/{}/logs", newest["id"]));
    assert_eq!(
        (&log["logs"][0]["key"], &log["logs"][0]["action"]),
        (&json!("odd.txt"), &json!("failed"))
    );
}

#[test]
fn bad_requests_are_refused_by_name() {
    let sandbox = Sandbox::with_handbook();
    let server = sandbox.serve();
    server.wait_until_complete();
    let id = server.get_json("/v1/jobs")["jobs"][0]["id"].clone();
    let error = |(status, body): (u16, Value)| {
        let error = &body["error"];
        (
            status,
            error["code"].as_str().unwrap().to_owned(),
            error["field"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let invalid = |field: &str| (400, "invalid_request".to_owned(), field.to_owned());
    let get = |path: &str| {
        let response = server.get(path);
        error((response.status().as_u16(), response.json().unwrap()))
    };
    assert_eq!(get("/v1/jobs?limit=0"), invalid("limit"));
    assert_eq!(get("/v1/jobs?cursor=x"), invalid("cursor"));
    assert_eq!(get("/v1/jobs/99999").0, 404);
    assert_eq!(get("/v1/jobs/none").0, 404);
    assert_eq!(get("/v1/jobs/99999/logs").0, 404);
    assert_eq!(error(patch(&server, &id, "stop")), invalid("action"));
    assert_eq!(error(patch(&server, &json!(99999), "cancel")).0, 404);
    assert_eq!(error(post(&server, &json!({"folder": "x"}))), invalid("folder"));
    assert_eq!(
        error(post(&server, &json!({"description": "x".repeat(201)}))),
        invalid("description")
    );
    let form = server
        .request("POST", "/v1/jobs")
        .body("description=x")
        .send()
        .unwrap();
    assert_eq!(form.status(), 415);
    let api = server.get_json("/openapi.json");
    for (path, method) in [
        ("/v1/jobs", "post"),
        ("/v1/jobs/{id}", "patch"),
        ("/v1/jobs/{id}/logs", "get"),
    ] {
        assert!(api["paths"][path][method].is_object(), "{path}");
    }
}
