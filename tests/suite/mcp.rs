//! MCP: a hand-written client over stdio, and a real client over both transports.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::harness::{Sandbox, root, stdout_of_success, tool, wait_for};

/// A stdio client of protocol revision 2025-11-25.
struct Stdio2025 {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next_id: u64,
}

impl Stdio2025 {
    fn start(sandbox: &Sandbox) -> Stdio2025 {
        let mut command = sandbox.command("mcp");
        let mut child = command
            .arg("--quiet")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (
            child.stdin.take().unwrap(),
            BufReader::new(child.stdout.take().unwrap()),
        );
        let mut client = Stdio2025 {
            child,
            input,
            output,
            next_id: 1,
        };
        let hello = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "suite", "version": "1"},
        });
        let welcome = client.call("initialize", hello);
        assert_eq!(welcome["protocolVersion"], "2025-11-25");
        assert_eq!(welcome["serverInfo"]["name"], "autorag");
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        client
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input, "{message}").unwrap();
        self.input.flush().unwrap();
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let mut line = String::new();
            assert_ne!(
                self.output.read_line(&mut line).unwrap(),
                0,
                "the server closed its output"
            );
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{message}");
                return message["result"].clone();
            }
        }
    }

    fn tool(&mut self, name: &str, arguments: Value) -> Value {
        self.call("tools/call", json!({"name": name, "arguments": arguments}))
    }

    /// Searches until the index is complete.
    fn wait_until_complete(&mut self) {
        wait_for("a complete index", || {
            let status = self.tool("rag_sources", json!({}));
            (status["structuredContent"]["index_state"]["complete"] == true).then_some(())
        });
    }
}

impl Drop for Stdio2025 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn tools_are_listed_with_flat_schemas() {
    let sandbox = Sandbox::with_handbook();
    let mut client = Stdio2025::start(&sandbox);
    let listed = client.call("tools/list", json!({}));
    let mut tools = listed["tools"].as_array().unwrap().clone();
    tools.sort_by_key(|tool| tool["name"].as_str().unwrap().to_owned());
    let names: Vec<&str> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["fetch", "rag_read", "rag_search", "rag_sources", "search"]
    );
    for tool in &tools {
        assert!(tool["description"].as_str().unwrap().len() < 1024);
        assert_eq!(tool["annotations"]["readOnlyHint"], true);
        let schema = tool["inputSchema"].to_string();
        assert!(!schema.contains("$ref") && !schema.contains("$defs"), "{schema}");
    }
    let inputs: Vec<Value> = tools
        .iter()
        .map(|tool| json!([tool["name"], tool["inputSchema"]]))
        .collect();
    assert_json_snapshot!("tools", inputs);
}

#[test]
fn every_tool_answers() {
    let sandbox = Sandbox::with_handbook();
    let mut client = Stdio2025::start(&sandbox);
    client.wait_until_complete();

    let found = client.tool(
        "rag_search",
        json!({"query": "where do penguins live", "response_format": "detailed"}),
    );
    let first = &found["structuredContent"]["passages"][0];
    assert_eq!(first["path"], "site/index.html");
    assert_eq!(first["freshness"], "current");
    assert!(
        first["details"]["content_hash"]
            .as_str()
            .unwrap()
            .starts_with("blake3:")
    );
    let text = found["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("## site/index.html:"), "{text}");
    assert!(
        found["content"]
            .as_array()
            .unwrap()
            .iter()
            .any(|block| block["type"] == "resource_link")
    );

    let read = client.tool("rag_read", json!({"path": "guide/backup.md", "start_line": 3}));
    assert!(
        read["structuredContent"]["text"]
            .as_str()
            .unwrap()
            .starts_with("3\tStop the service"),
        "{read}"
    );

    let results = client.tool("search", json!({"query": "penguins"}));
    let contract: Value = serde_json::from_str(results["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(contract, results["structuredContent"]);
    let id = contract["results"][0]["id"].as_str().unwrap();
    assert!(
        contract["results"][0]["url"]
            .as_str()
            .unwrap()
            .starts_with("file:///")
    );
    let fetched = client.tool("fetch", json!({"id": id}));
    assert!(
        fetched["structuredContent"]["text"]
            .as_str()
            .unwrap()
            .contains("southern hemisphere")
    );
    assert_eq!(fetched["structuredContent"]["metadata"]["whole"], true);
}

#[test]
fn invalid_arguments_are_explained_to_the_model() {
    let sandbox = Sandbox::with_handbook();
    let mut client = Stdio2025::start(&sandbox);
    client.wait_until_complete();
    let mut said = |name: &str, arguments: Value| {
        let result = client.tool(name, arguments);
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    };
    assert!(said("rag_search", json!({"query": "x", "limit": 99})).contains("1 to 50"));
    assert!(
        said(
            "rag_search",
            json!({"query": "x", "filters": {"size": {"$near": 3}}})
        )
        .contains("$near")
    );
    assert!(said("rag_search", json!({"query": "x", "cursor": "next"})).contains("next_cursor"));
    assert!(said("rag_read", json!({"path": "nowhere.md"})).contains("nowhere.md"));
    assert!(said("fetch", json!({"id": "nowhere.md#L1-L2"})).contains("nowhere.md"));
}

#[test]
fn answers_stay_within_the_budget_and_say_so() {
    let sandbox = Sandbox::empty();
    for number in 0..12 {
        // All different, or they would collapse into one hit.
        let sentence = format!(
            "Heron {number} stands in reed bed {} and waits for fish {}. ",
            number * 7,
            number * 13
        );
        let paragraph = sentence.repeat(14);
        sandbox.write(
            &format!("{number}.md"),
            format!("# Heron {number}\n\n{paragraph}\n"),
        );
    }
    let mut client = Stdio2025::start(&sandbox);
    client.wait_until_complete();
    let found = client.tool("rag_search", json!({"query": "heron", "max_tokens": 1000}));
    let shown = found["structuredContent"]["passages"].as_array().unwrap().len();
    assert!((1..10).contains(&shown), "{shown}");
    let cursor = found["structuredContent"]["next_cursor"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(cursor, shown.to_string());
    assert!(
        found["content"][0]["text"]
            .as_str()
            .unwrap()
            .contains("did not fit")
    );
    let more = client.tool(
        "rag_search",
        json!({"query": "heron", "cursor": cursor, "max_tokens": 1000}),
    );
    assert_ne!(
        more["structuredContent"]["passages"][0]["path"],
        found["structuredContent"]["passages"][0]["path"]
    );
}

/// The Python environment in which `.ci/run` installs the MCP client.
fn python() -> Option<PathBuf> {
    let found = root().join("target/test-tools/venv/bin/python");
    tool("the PyPI package mcp", found.is_file().then_some(found))
}

fn run_client(python: &PathBuf, arguments: &[&str]) {
    let script = root().join("tests/suite/mcp_client.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    assert!(stdout_of_success(&output).contains("every tool answered"));
}

#[test]
fn the_pypi_client_calls_every_tool_over_http() {
    let Some(python) = python() else { return };
    let sandbox = Sandbox::with_handbook();
    let server = sandbox.serve();
    server.wait_until_complete();
    run_client(&python, &["http", &format!("{}/mcp", server.base())]);
}

#[test]
fn the_pypi_client_calls_every_tool_over_stdio() {
    let Some(python) = python() else { return };
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    let (docs, data) = (sandbox.docs(), sandbox.data());
    let binary = env!("CARGO_BIN_EXE_autorag");
    let words = [
        "stdio",
        binary,
        "mcp",
        docs.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
        "--quiet",
    ];
    run_client(&python, &words);
}
