//! Job records: counts, logs, causes, and bad requests.

use serde_json::{Value, json};

use super::{held_run, listed, patch, post, remote, shown};
use crate::harness::{Sandbox, Server, stdout_of_success, wait_for};
use crate::provider::{Behaviour, Provider};

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
fn a_killed_run_is_recorded_as_interrupted_and_the_next_completes() {
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
fn a_checkout_of_many_files_is_one_job() {
    let sandbox = Sandbox::with_handbook();
    let server = sandbox.serve();
    server.wait_until_complete();
    // Moved in at once, because a checkout writes its files faster than the watcher's delay.
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
fn unreadable_files_are_retried_without_a_change() {
    let sandbox = Sandbox::with_handbook();
    // It can be opened, but reads always fail.
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
fn bad_job_requests_name_the_field() {
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
