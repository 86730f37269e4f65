//! The HTTP API.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::harness::{Sandbox, Server, paths};
use crate::shape::shape_of;

fn error_of(response: reqwest::blocking::Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().unwrap();
    let error = &body["error"];
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|message| !message.is_empty()),
        "{body}"
    );
    let field = error["field"].as_str().unwrap_or_default().to_owned();
    (status, error["code"].as_str().unwrap().to_owned(), field)
}

#[test]
fn search_answers_with_citations_scores_and_state() {
    let sandbox = Sandbox::with_handbook();
    // Long enough that the chunker does not merge it with its neighbours.
    let steps = "Set the owner, then the group, then the mode of every file in the folder. ".repeat(8);
    sandbox.write(
        "guide/files.md",
        format!("# Files\n\n{steps}\n\n## Linux\n\n{steps}\n\nMake the binary executable with chmod.\n"),
    );
    let server = sandbox.serve();
    server.wait_until_complete();
    let answer =
        server.search_while_idle(&json!({"query": "how do I make the binary executable with chmod"}));
    assert_eq!(paths(&answer)[0], "guide/files.md");
    let hit = &answer["hits"][0];
    assert_eq!(hit["freshness"], "current");
    assert_eq!(hit["citation"]["heading_path"], json!(["Files", "Linux"]));
    assert_eq!(answer["degraded"], json!([]));
    let marked: Vec<&str> = hit["snippet"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|piece| piece["highlight"] == true)
        .map(|piece| piece["text"].as_str().unwrap())
        .collect();
    assert!(marked.contains(&"executable"), "{marked:?}");
    assert_json_snapshot!("search", shape_of(&answer));
}

#[test]
fn modes_and_paging_select_hits() {
    let sandbox = Sandbox::with_handbook();
    let server = sandbox.serve();
    server.wait_until_complete();
    let lexical = server.search(&json!({"query": "penguins", "mode": "lexical"}));
    assert!(lexical["hits"][0]["scores"]["dense"].is_null());
    let dense = server.search(&json!({"query": "birds of the antarctic", "mode": "dense", "limit": 3}));
    assert_eq!(paths(&dense)[0], "site/index.html");
    assert!(dense["hits"][0]["scores"]["lexical"].is_null());
    let all = server.search(&json!({"query": "install the data folder", "limit": 4}));
    let second = server.search(&json!({"query": "install the data folder", "limit": 2, "offset": 2}));
    assert_eq!(all["hits"][2]["id"], second["hits"][0]["id"]);
    assert_eq!(second["hits"][0]["rank"], 3);
}

#[test]
fn freshness_is_checked_when_asked() {
    let sandbox = Sandbox::with_handbook();
    // No update, so the index stays stale.
    let server = Server::start(sandbox.command("serve").env("AUTORAG_INDEX_WATCH", "off"));
    server.wait_until_complete();
    let fresh = |query: &str| server.search(&json!({"query": query}))["hits"][0]["freshness"].clone();
    assert_eq!(fresh("penguins"), "current");
    sandbox.write("site/index.html", "<p>Something else entirely</p>");
    assert_eq!(fresh("penguins"), "stale");
    sandbox.remove("site/index.html");
    assert_eq!(fresh("penguins"), "deleted");
}

#[test]
fn documents_are_listed_and_read() {
    let sandbox = Sandbox::with_handbook();
    sandbox.write("broken.bin", [0u8, 1, 2, 3, 255, 254, 0, 0]);
    let server = sandbox.serve();
    server.wait_until_complete();
    let first = server.get_json("/v1/documents?limit=4");
    assert_json_snapshot!("documents", shape_of(&first));
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = server.get_json(&format!("/v1/documents?limit=4&cursor={cursor}"));
    let keys = |page: &Value| -> Vec<String> {
        page["documents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["key"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = [keys(&first), keys(&rest)].concat();
    assert_eq!(
        all,
        [
            "broken.bin",
            "guide/backup.md",
            "guide/install.md",
            "notes.txt",
            "site/index.html",
            "src/parser.rs"
        ]
    );
    assert!(rest["next_cursor"].is_null());
    assert_eq!(keys(&server.get_json("/v1/documents?prefix=guide/")).len(), 2);
    let skipped = server.get_json("/v1/documents?status=skipped");
    assert!(
        skipped["documents"][0]["reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty()),
        "{skipped}"
    );

    let read = server.get_json("/v1/documents/guide/backup.md?start_line=1&end_line=1");
    assert_eq!(read["text"], "# Backup\n");
    assert_json_snapshot!("document", shape_of(&read));
    assert_eq!(
        error_of(server.get("/v1/documents/nowhere.md")),
        (404, "not_found".into(), String::new())
    );
    assert_eq!(error_of(server.get("/v1/documents/broken.bin")).0, 409);
    assert_eq!(
        error_of(server.get("/v1/documents/..%2f..%2fetc%2fpasswd")).0,
        404
    );
}

#[test]
fn bad_requests_name_the_field() {
    let sandbox = Sandbox::with_handbook();
    let server = sandbox.serve();
    server.wait_until_complete();
    let refused = |body: Value| error_of(server.post_search(&body));
    let invalid = |field: &str| (400, "invalid_request".to_owned(), field.to_owned());
    assert_eq!(refused(json!({"query": ""})), invalid("query"));
    assert_eq!(refused(json!({})), invalid("query"));
    assert_eq!(refused(json!({"query": 7})), invalid("query"));
    assert_eq!(refused(json!({"query": "x", "limit": 51})), invalid("limit"));
    assert_eq!(refused(json!({"query": "x", "limit": -1})), invalid("limit"));
    assert_eq!(refused(json!({"query": "x", "mode": "vector"})), invalid("mode"));
    assert_eq!(refused(json!({"query": "x", "top_k": 3})), invalid("top_k"));
    assert_eq!(
        refused(json!({"query": "x", "filters": {"size": {"$like": 1}}})),
        invalid("filters")
    );
    assert_eq!(
        error_of(server.get("/v1/documents?status=lost")),
        invalid("status")
    );
    assert_eq!(error_of(server.get("/v1/documents?limt=3")), invalid("limt"));
    let text = server
        .request("POST", "/v1/search")
        .body("query=x")
        .send()
        .unwrap();
    assert_eq!(error_of(text).0, 415);
    let broken = server
        .request("POST", "/v1/search")
        .header("content-type", "application/json")
        .body("{");
    assert_eq!(error_of(broken.send().unwrap()), invalid(""));
    assert_eq!(
        error_of(server.get("/v1/nothing")),
        (404, "not_found".into(), String::new())
    );
    assert_eq!(
        error_of(server.get("/v1/search")),
        (405, "method_not_allowed".into(), String::new())
    );
    let large = json!({"query": "x".repeat(2 << 20)});
    assert_eq!(error_of(server.post_search(&large)).0, 413);
}

#[test]
fn other_hosts_and_origins_are_refused() {
    let sandbox = Sandbox::with_handbook();
    let server = sandbox.serve();
    for path in ["/v1/status", "/mcp", "/"] {
        let rebound = server
            .request("GET", path)
            .header("host", "evil.example")
            .send()
            .unwrap();
        assert_eq!(error_of(rebound).1, "forbidden_host", "{path}");
        let foreign = server
            .request("GET", path)
            .header("origin", "https://evil.example")
            .send()
            .unwrap();
        assert_eq!(error_of(foreign).1, "forbidden_origin", "{path}");
    }
    let own = server
        .request("GET", "/v1/status")
        .header("origin", server.base())
        .send()
        .unwrap();
    assert!(own.status().is_success());
}

#[test]
fn status_health_metrics_and_description() {
    let sandbox = Sandbox::with_handbook();
    let server = sandbox.serve();
    let status = server.wait_until_complete();
    assert_json_snapshot!("status", shape_of(&status));
    assert!(server.get("/healthz").status().is_success());
    assert!(server.get("/readyz").status().is_success());
    server.search(&json!({"query": "penguins"}));
    let metrics = server.get("/metrics").text().unwrap();
    for line in [
        "autorag_http_requests_total{method=\"POST\",route=\"/v1/search\",status=\"200\"} 1",
        "autorag_corpus{kind=\"documents\"} 5",
        "autorag_index_complete 1",
        "autorag_search_stage_duration_seconds_count{stage=\"total\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let description = server.get_json("/openapi.json");
    let described: Vec<&String> = description["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        described,
        [
            "/healthz",
            "/metrics",
            "/openapi.json",
            "/readyz",
            "/v1/documents",
            "/v1/documents/{key}",
            "/v1/jobs",
            "/v1/jobs/{id}",
            "/v1/jobs/{id}/logs",
            "/v1/search",
            "/v1/status"
        ]
    );
    assert!(description["components"]["schemas"]["SearchBody"]["properties"]["filters"].is_object());
}

#[test]
fn requests_over_the_limit_get_503() {
    let sandbox = Sandbox::with_handbook();
    let mut command = sandbox.command("serve");
    command.env("AUTORAG_SERVER_MAX_CONCURRENT", "1");
    let server = Server::start(&mut command);
    server.wait_until_complete();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = || {
            server
                .post_search(&json!({"query": "the binary and the data folder"}))
                .status()
                .as_u16()
        };
        let asking: Vec<_> = (0..32).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(statuses.contains(&200));
    assert!(
        statuses.iter().all(|status| [200, 503].contains(status)),
        "{statuses:?}"
    );
}

#[test]
fn keys_of_several_folders_begin_with_the_folder_name() {
    let sandbox = Sandbox::with_handbook();
    let other = sandbox.docs().parent().unwrap().join("other");
    fs_err::create_dir(&other).unwrap();
    fs_err::write(
        other.join("a.md"),
        "# Lighthouses\n\nA lighthouse keeper trims the lamp.\n",
    )
    .unwrap();
    let mut command = sandbox.command("serve");
    let server = Server::start(command.arg(&other));
    server.wait_until_complete();
    assert_eq!(
        paths(&server.search(&json!({"query": "lighthouse keeper"})))[0],
        "other/a.md"
    );
    assert_eq!(
        paths(&server.search(&json!({"query": "penguins"})))[0],
        "docs/site/index.html"
    );
    assert_eq!(
        server.get_json("/v1/documents/other/a.md")["freshness"],
        "current"
    );
}
