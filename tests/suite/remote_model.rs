//! A remote model whose server is down: everything else keeps working.

use std::process::{Command, Output};

use serde_json::json;

use crate::harness::{Sandbox, Server, paths, stdout_of_success, wait_for};
use crate::provider::{Behaviour, Provider};

/// The command with a remote model.
fn remote(mut command: Command, base_url: &str) -> Command {
    command
        .env("AUTORAG_MODEL_PROVIDER", "openai")
        .env("AUTORAG_MODEL_BASE_URL", base_url)
        .env("AUTORAG_MODEL_NAME", "words");
    command
}

fn run(sandbox: &Sandbox, command: &str, base_url: &str, more: &[&str]) -> Output {
    remote(sandbox.command(command), base_url)
        .args(more)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn searches_work_without_the_server_and_embeddings_follow_when_it_returns() {
    let provider = Provider::start();
    let (address, base_url) = (provider.address(), provider.base_url());
    let sandbox = Sandbox::with_handbook();
    let mut server = Server::start(&mut remote(sandbox.command("serve"), &base_url));
    let status = server.wait_until_complete();
    assert_eq!(status["model"]["id"], "words");
    assert_eq!(status["model"]["provider"], base_url);
    assert_eq!(status["model"]["outage"], json!(null));
    for mode in ["dense", "hybrid"] {
        let asked = json!({"query": "penguins of the southern hemisphere", "mode": mode});
        let answer = server.search_while_idle(&asked);
        assert_eq!(paths(&answer)[0], "site/index.html", "{mode}");
        assert_eq!(answer["degraded"], json!([]), "{mode}");
        assert!(
            answer["hits"][0]["scores"]["dense"].as_f64().unwrap() > 0.3,
            "{mode}"
        );
    }

    drop(provider);
    let hybrid = json!({"query": "penguins of the southern hemisphere"});
    let answer = server.search(&hybrid);
    assert_eq!(paths(&answer)[0], "site/index.html");
    assert_eq!(answer["degraded"][0]["part"], "dense", "{answer}");
    assert!(
        answer["degraded"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("only keyword search"),
        "{answer}"
    );
    let refused = server.post_search(&json!({"query": "penguins", "mode": "dense"}));
    assert_eq!(refused.status(), 503);
    let error: serde_json::Value = refused.json().unwrap();
    assert_eq!(error["error"]["code"], "dense_unavailable", "{error}");
    let outage = server.get_json("/v1/status")["model"]["outage"].clone();
    assert!(outage["since"].as_str().unwrap().ends_with('Z'), "{outage}");

    sandbox.write(
        "new.md",
        "# Ostriches\n\nOstriches bury treasure under the baobab.\n",
    );
    let lexical = json!({"query": "baobab", "mode": "lexical"});
    wait_for("the new file, by words", || {
        paths(&server.search(&lexical)).contains(&"new.md").then_some(())
    });
    wait_for("an attempt to embed it", || {
        let state = server.get_json("/v1/status")["index_state"].clone();
        assert_ne!(state["phase"], "failed", "{state}");
        (state["phase"] == "ready" && state["pending"] == 1).then_some(())
    });
    let answer = server.search(&hybrid);
    let reasons = answer["degraded"].to_string();
    assert!(
        reasons.contains("1 of ") && reasons.contains("no vector yet"),
        "{reasons}"
    );

    let provider = Provider::at(address);
    server.wait_until_complete();
    let dense = json!({"query": "ostriches bury treasure", "mode": "dense"});
    let answer = wait_for("the new passage, by meaning", || {
        let response = server.post_search(&dense);
        response
            .status()
            .is_success()
            .then(|| response.json::<serde_json::Value>().unwrap())
    });
    assert_eq!(paths(&answer)[0], "new.md");
    assert_eq!(server.get_json("/v1/status")["model"]["outage"], json!(null));
    server.child().kill().unwrap();
    assert!(!provider.asked().is_empty());
}

#[test]
fn without_its_server_an_index_is_keyword_only_and_says_so() {
    let provider = Provider::start();
    let (address, base_url) = (provider.address(), provider.base_url());
    drop(provider);
    let sandbox = Sandbox::with_handbook();
    let unknown = run(&sandbox, "index", &base_url, &[]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(said(&unknown).contains("model.dimensions"), "{}", said(&unknown));

    let with_length = |command: &str, more: &[&str]| {
        let mut command = remote(sandbox.command(command), &base_url);
        command
            .env("AUTORAG_MODEL_DIMENSIONS", "64")
            .args(more)
            .output()
            .unwrap()
    };
    let without = with_length("index", &["--quiet"]);
    assert_eq!(without.status.code(), Some(3), "{}", said(&without));
    assert!(said(&without).contains("5 added"), "{}", said(&without));
    assert!(
        said(&without).contains("passages have no embedding yet"),
        "{}",
        said(&without)
    );
    let found = with_length("search", &["penguins", "--json", "--quiet"]);
    let answer: serde_json::Value = serde_json::from_str(&stdout_of_success(&found)).unwrap();
    assert_eq!(paths(&answer), ["site/index.html"]);
    assert!(
        answer["degraded"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("is unavailable"),
        "{answer}"
    );
    let status = with_length("status", &[]);
    assert!(
        stdout_of_success(&status).contains("unavailable since"),
        "{}",
        said(&status)
    );

    let _provider = Provider::at(address);
    let whole = with_length("index", &["--quiet"]);
    assert!(stdout_of_success(&whole).contains("embedded"), "{}", said(&whole));
    let again = with_length("index", &["--quiet"]);
    assert!(
        stdout_of_success(&again).contains("up to date"),
        "{}",
        said(&again)
    );
}

#[test]
fn an_index_knows_its_dimensions_when_the_server_is_down() {
    let provider = Provider::start();
    let base_url = provider.base_url();
    let sandbox = Sandbox::with_handbook();
    stdout_of_success(&run(&sandbox, "index", &base_url, &["--quiet"]));
    drop(provider);
    let found = run(&sandbox, "search", &base_url, &["penguins", "--json", "--quiet"]);
    let answer: serde_json::Value = serde_json::from_str(&stdout_of_success(&found)).unwrap();
    assert_eq!(paths(&answer)[0], "site/index.html");
    let dense = run(
        &sandbox,
        "search",
        &base_url,
        &["penguins", "--mode", "dense", "--quiet"],
    );
    assert_eq!(dense.status.code(), Some(1));
    assert!(
        said(&dense).contains("semantic search is not available"),
        "{}",
        said(&dense)
    );
}

#[test]
fn vectors_of_two_models_are_never_compared() {
    let provider = Provider::start();
    let sandbox = Sandbox::with_handbook();
    stdout_of_success(&run(&sandbox, "index", &provider.base_url(), &["--quiet"]));
    // The settings name the built-in model, but the index has the other one's vectors: queries use that one.
    let answer = sandbox.search("penguins", &["--mode", "dense"]);
    assert_eq!(paths(&answer)[0], "site/index.html");
    assert_eq!(answer["degraded"], json!([]));
    // If it cannot be opened, keyword search answers; vectors of two models are never compared.
    drop(provider);
    let answer = sandbox.search("penguins", &[]);
    assert_eq!(paths(&answer)[0], "site/index.html");
    let reason = answer["degraded"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("only keyword search"), "{answer}");
    sandbox.index();
    assert_eq!(sandbox.search("penguins", &[])["degraded"], json!([]));
}

#[test]
fn a_rejected_passage_is_counted_and_the_others_are_embedded() {
    let provider = Provider::start();
    provider.always(Behaviour::Refuses("Penguins"));
    let sandbox = Sandbox::with_handbook();
    let output = run(&sandbox, "index", &provider.base_url(), &["--quiet"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(
        said(&output).contains("1 passage has no embedding yet"),
        "{}",
        said(&output)
    );
    assert!(!said(&output).contains("southern"), "{}", said(&output));
    let found = run(
        &sandbox,
        "search",
        &provider.base_url(),
        &["water plants", "--mode", "dense", "--json", "--quiet"],
    );
    let answer: serde_json::Value = serde_json::from_str(&stdout_of_success(&found)).unwrap();
    assert_eq!(paths(&answer)[0], "notes.txt");
}

#[test]
fn the_key_is_sent_and_never_shown() {
    let provider = Provider::start();
    let key = "sk-abcdefghijklmnop";
    let echo = json!({"error": {"message": format!("bad key {key}")}}).to_string();
    let sandbox = Sandbox::with_handbook();
    let mut server_command = remote(sandbox.command("serve"), &provider.base_url());
    let server = Server::start(server_command.env("AUTORAG_EMBEDDING_KEY", key));
    server.wait_until_complete();
    assert!(
        provider
            .asked()
            .iter()
            .all(|asked| asked.authorization == Some(format!("Bearer {key}")))
    );
    provider.always(Behaviour::Status(401, echo));
    let answer = server.search(&json!({"query": "penguins"}));
    let shown = answer.to_string() + &server.get_json("/v1/status").to_string();
    assert!(shown.contains("401") && !shown.contains(key), "{shown}");
    drop(server);
    sandbox.write("more.md", "# More\n\nMore to embed.\n");
    let mut command = remote(sandbox.command("index"), &provider.base_url());
    command.env("AUTORAG_MODEL_KEY_ENV", "MY_KEY").env("MY_KEY", key);
    command.env(
        "AUTORAG_LOG_LEVEL",
        "autorag=trace,autorag_embedder=trace,ureq=trace,ureq_proto=trace",
    );
    let output = wait_for("the lock", || {
        let output = command.output().unwrap();
        (output.status.code() == Some(3)).then_some(output)
    });
    assert!(
        said(&output).contains("401") && !said(&output).contains(&key[3..]),
        "{}",
        said(&output)
    );
}
