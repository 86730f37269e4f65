//! Jobs: listing, pausing, resuming and cancelling them.

mod recorded;
mod steered;

use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::harness::{Sandbox, Server, stdout_of_success, wait_for};
use crate::provider::{Behaviour, Provider};

/// Runs `autorag jobs COMMAND` on the sandbox.
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

/// The command with an embedding server that the test controls.
fn remote(mut command: Command, provider: &Provider) -> Command {
    command
        .env("AUTORAG_MODEL_PROVIDER", "openai")
        .env("AUTORAG_MODEL_BASE_URL", provider.base_url())
        .env("AUTORAG_MODEL_NAME", "words");
    command
}

/// Starts a run whose embedding server answers once and then never again.
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
    // The index may not exist yet.
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
