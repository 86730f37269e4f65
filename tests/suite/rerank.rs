//! Reranking with a small server of both protocols.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{Sandbox, Server, paths};

/// How the reranker handles a request.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Scores passages that contain `favourite` high, in TEI's format.
    Tei,
    /// The same in Cohere's format.
    Cohere,
    /// Answers the first request as TEI, and never answers later ones.
    TiresSoon,
    /// Never answers.
    Silent,
    /// Answers 500.
    Broken,
    /// Answers with another shape.
    Babbles,
}

/// Authorization and body of each request.
type Requests = Arc<Mutex<Vec<(Option<String>, Value)>>>;

struct RerankServer {
    url: String,
    requests: Requests,
}

impl RerankServer {
    /// Runs until the test process exits.
    fn start(manner: Manner) -> RerankServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/rerank", listener.local_addr().unwrap());
        let requests = Requests::default();
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || serve(stream.unwrap(), manner, &seen));
            }
        });
        RerankServer { url, requests }
    }

    fn seen(&self) -> Vec<(Option<String>, Value)> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, manner: Manner, seen: &Requests) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some((authorization, body)) = request(&mut reader) {
        let earlier = {
            let mut seen = seen.lock().unwrap();
            seen.push((authorization, body.clone()));
            seen.len() - 1
        };
        let texts = body["texts"].as_array().or(body["documents"].as_array()).unwrap();
        let score = |text: &Value| {
            if text.as_str().unwrap().contains("favourite") {
                0.9
            } else {
                0.1
            }
        };
        let tei: Vec<Value> = texts
            .iter()
            .enumerate()
            .map(|(index, text)| json!({"index": index, "score": score(text)}))
            .collect();
        let (status, answer) = match manner {
            Manner::Tei => ("200 OK", json!(tei).to_string()),
            Manner::TiresSoon if earlier == 0 => ("200 OK", json!(tei).to_string()),
            Manner::Cohere => {
                let results: Vec<Value> = tei
                    .iter()
                    .map(|scored| json!({"index": scored["index"], "relevance_score": scored["score"]}))
                    .collect();
                ("200 OK", json!({"results": results}).to_string())
            }
            Manner::Broken => ("500 Internal Server Error", json!({"error": "no"}).to_string()),
            Manner::Babbles => ("200 OK", "<html>It works!</html>".to_owned()),
            Manner::Silent | Manner::TiresSoon => continue,
        };
        write!(
            writer,
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        )
        .unwrap();
    }
}

/// The next request of a connection, or `None` at its end.
fn request(reader: &mut BufReader<TcpStream>) -> Option<(Option<String>, Value)> {
    let (mut length, mut authorization, mut line) = (0, None, String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            match name.to_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "authorization" => authorization = Some(value.to_owned()),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((authorization, serde_json::from_slice(&body).unwrap()))
}

/// Fifteen documents about herons; the reranker prefers the one that ranks last.
fn herons() -> Sandbox {
    let sandbox = Sandbox::empty();
    let habits = [
        "fishing",
        "nesting",
        "flying",
        "sleeping",
        "calling",
        "bathing",
        "walking",
        "waiting",
        "hunting",
        "resting",
        "moulting",
        "courting",
        "migrating",
        "preening",
    ];
    for (number, habit) in habits.iter().enumerate() {
        let text =
            format!("A heron that is {habit}. Herons are known for {habit} alone, {number} hours a day.\n");
        sandbox.write(&format!("{habit}.txt"), text);
    }
    sandbox.write(
        "last.txt",
        "The favourite bird of many people who live by a lake or a river is not the duck but the heron.\n",
    );
    sandbox
}

fn serving(sandbox: &Sandbox, reranker: &RerankServer, more: &[(&str, &str)]) -> Server {
    let mut command = sandbox.command("serve");
    command.env("AUTORAG_RERANK_URL", &reranker.url);
    for (name, value) in more {
        command.env(name, value);
    }
    let server = Server::start(&mut command);
    server.wait_until_complete();
    server
}

fn asked(rerank: bool) -> Value {
    json!({"query": "heron fishing", "mode": "lexical", "limit": 15, "rerank": rerank, "rerank_budget_ms": 20000})
}

#[test]
fn a_reranker_reorders_hits_on_request() {
    for (manner, api) in [(Manner::Tei, "tei"), (Manner::Cohere, "cohere")] {
        let (sandbox, reranker) = (herons(), RerankServer::start(manner));
        let settings = [
            ("AUTORAG_RERANK_API", api),
            ("AUTORAG_RERANK_MODEL", "some-model"),
            ("RERANK_API_KEY", "secret-key"),
        ];
        let server = serving(&sandbox, &reranker, &settings);
        let plain = server.search(&asked(false));
        assert_ne!(paths(&plain)[0], "last.txt");
        assert!(plain["hits"][0]["scores"]["rerank"].is_null());
        assert_eq!(reranker.seen().len(), 0, "nothing is sent unless asked");

        let reranked = server.search_while_idle(&asked(true));
        assert_eq!(paths(&reranked)[0], "last.txt");
        let scores = &reranked["hits"][0]["scores"];
        assert!(scores["rerank"].as_f64().unwrap() > 0.8);
        assert!(scores["rank_before_rerank"].as_u64().unwrap() > 1);
        assert_eq!(reranked["degraded"], json!([]));
        // The others tie and keep their order.
        let rest: Vec<&str> = paths(&plain)
            .into_iter()
            .filter(|path| *path != "last.txt")
            .collect();
        assert_eq!(paths(&reranked)[1..], rest[..]);

        let seen = reranker.seen();
        assert_eq!(seen[0].0.as_deref(), Some("Bearer secret-key"));
        assert_eq!(seen[0].1["query"], "heron fishing");
        if manner == Manner::Cohere {
            assert_eq!(seen[0].1["model"], "some-model");
        }
        assert!(!server.get("/v1/status").text().unwrap().contains("secret-key"));
    }
}

#[test]
fn reranker_failures_and_timeouts_are_reported() {
    let ask = |manner: Manner, budget: u64| -> (Value, Value) {
        let (sandbox, reranker) = (herons(), RerankServer::start(manner));
        let server = serving(&sandbox, &reranker, &[]);
        let mut body = asked(true);
        body["rerank_budget_ms"] = budget.into();
        (server.search(&asked(false)), server.search(&body))
    };
    let reason = |answer: &Value| {
        assert_eq!(answer["degraded"][0]["part"], "rerank", "{answer}");
        answer["degraded"][0]["reason"].as_str().unwrap().to_owned()
    };
    for (manner, budget, said) in [
        (
            Manner::Silent,
            50,
            "0 of 15 passages were reranked within 50 ms: timed out",
        ),
        (Manner::Broken, 20_000, "the reranker responded with status 500"),
        (
            Manner::Babbles,
            20_000,
            "does not follow the protocol of Text Embeddings Inference",
        ),
    ] {
        let (plain, answer) = ask(manner, budget);
        assert!(reason(&answer).contains(said), "{}", reason(&answer));
        assert_eq!(paths(&answer), paths(&plain), "the order stays");
    }
    let (plain, answer) = ask(Manner::TiresSoon, 4_000);
    let reason = reason(&answer);
    assert!(reason.starts_with("10 of 15 passages were reranked"), "{reason}");
    assert_eq!(paths(&answer)[10..], paths(&plain)[10..], "the rest stays behind");
}

#[test]
fn a_missing_reranker_is_reported() {
    let sandbox = herons();
    let server = sandbox.serve();
    server.wait_until_complete();
    let response = server.post_search(&asked(true));
    assert_eq!(response.status().as_u16(), 400);
    let error: Value = response.json().unwrap();
    assert_eq!(error["error"]["field"], "rerank");
    assert!(error["error"]["message"].as_str().unwrap().contains("rerank.url"));
    let mut command = sandbox.command("search");
    let output = command
        .args(["heron", "--rerank", "--no-update"])
        .env("AUTORAG_RERANK_URL", "nowhere")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the reranker cannot be used"), "{said}");
}
