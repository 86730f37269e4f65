//! Models in ONNX Runtime. Needs the feature `fastembed`; most tests also need `ORT_DYLIB_PATH`.

use std::process::Output;

use crate::harness::Sandbox;

/// Chooses a model, with a library of ONNX Runtime or with a path that does not exist.
fn choose(sandbox: &Sandbox, model: &str, runtime: Option<&str>) -> Output {
    let mut run = sandbox.bare_command();
    match runtime {
        Some(runtime) => run.env("ORT_DYLIB_PATH", runtime),
        None => run.env_remove("ORT_DYLIB_PATH"),
    };
    run.args(["model", "use", model])
        .arg(sandbox.docs())
        .arg("--data-dir")
        .arg(sandbox.data())
        .output()
        .unwrap()
}

#[track_caller]
fn assert_refused(output: &Output, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

#[cfg(not(feature = "fastembed"))]
#[test]
fn a_build_without_fastembed_says_how_to_enable_it() {
    let sandbox = Sandbox::with_handbook();
    let refused = choose(&sandbox, "fastembed:BGESmallENV15", None);
    assert_refused(&refused, &["model.name", "--features fastembed"]);
    let refused = choose(&sandbox, "fastembed:./docs", None);
    assert_refused(&refused, &["model.provider", "--features fastembed"]);
    let mut run = sandbox.command("index");
    let refused = run
        .env("AUTORAG_RERANK_MODEL", "fastembed:BGERerankerBase")
        .output();
    assert_refused(&refused.unwrap(), &["rerank.model", "`fastembed`"]);
}

#[cfg(feature = "fastembed")]
mod with_the_feature {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::path::Path;

    use super::*;
    use crate::harness::{paths, stdout_of_success};
    use crate::tiny_graph;

    #[test]
    fn a_missing_or_wrong_library_is_an_error_that_names_it() {
        let sandbox = Sandbox::with_handbook();
        let graph = sandbox.docs().parent().unwrap().join("graph");
        tiny_graph::write(&graph);
        let refused = choose(&sandbox, "fastembed:./graph", Some("/nowhere/libonnxruntime.so"));
        assert_refused(
            &refused,
            &["/nowhere/libonnxruntime.so does not exist", "ORT_DYLIB_PATH"],
        );
        let no_library = graph.join("config.json");
        let refused = choose(&sandbox, "fastembed:./graph", no_library.to_str());
        assert_refused(
            &refused,
            &["config.json cannot be used as ONNX Runtime", "ORT_DYLIB_PATH"],
        );
    }

    /// A stand-in for the hub that serves a folder's files as any model.
    fn hub(folder: &Path) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let folder = folder.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // Ignore clients that hang up.
                let _ = answer(stream.unwrap(), &folder);
            }
        });
        endpoint
    }

    fn answer(mut stream: TcpStream, folder: &Path) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        for line in lines {
            if line?.is_empty() {
                break;
            }
        }
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let name = path.rsplit('/').next().unwrap_or_default();
        let Ok(bytes) = fs_err::read(folder.join(name)) else {
            return stream
                .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        let length = bytes.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nETag: \"{length}\"\r\nX-Repo-Commit: 0123abcd\r\nConnection: close\r\n\r\n"
        )?;
        if method == "GET" {
            stream.write_all(&bytes)?;
        }
        stream.flush()
    }

    #[test]
    fn a_model_of_the_catalogue_is_downloaded_once_and_only_when_named() {
        let Ok(runtime) = std::env::var("ORT_DYLIB_PATH") else {
            eprintln!("SKIPPED: ORT_DYLIB_PATH is not set");
            return;
        };
        let sandbox = Sandbox::with_handbook();
        let graph = sandbox.docs().parent().unwrap().join("graph");
        tiny_graph::write(&graph);
        let name = |endpoint: &str| {
            let mut run = sandbox.bare_command();
            run.env("ORT_DYLIB_PATH", &runtime)
                .env("HF_ENDPOINT", endpoint)
                .env_remove("XDG_CACHE_HOME")
                .args(["model", "use", "fastembed:bgesmallenv15q"])
                .arg(sandbox.docs())
                .arg("--data-dir")
                .arg(sandbox.data());
            run.output().unwrap()
        };
        fs_err::rename(graph.join("model.onnx"), graph.join("model_optimized.onnx")).unwrap();
        let said = stdout_of_success(&name(&hub(&graph)));
        assert!(
            said.contains("BGESmallENV15Q") && said.contains("8 dimensions"),
            "{said}"
        );
        // Nothing listens at that address; the cached model is used.
        let again = stdout_of_success(&name("http://127.0.0.1:9"));
        assert_eq!(again, said);
        let mut info = sandbox.bare_command();
        info.env("ORT_DYLIB_PATH", &runtime)
            .env("HF_ENDPOINT", "http://127.0.0.1:9")
            .env_remove("XDG_CACHE_HOME")
            .args(["model", "info"])
            .arg(sandbox.docs())
            .arg("--data-dir")
            .arg(sandbox.data());
        let info = stdout_of_success(&info.output().unwrap());
        assert!(
            info.contains("cls") && info.contains("Represent this sentence"),
            "{info}"
        );
    }

    #[test]
    fn an_index_is_built_and_searched_with_an_onnx_model() {
        let Ok(runtime) = std::env::var("ORT_DYLIB_PATH") else {
            eprintln!("SKIPPED: ORT_DYLIB_PATH is not set");
            return;
        };
        let sandbox = Sandbox::with_handbook();
        let graph = sandbox.docs().parent().unwrap().join("graph");
        tiny_graph::write(&graph);
        let refused = choose(&sandbox, "fastembed:NoSuchModel", Some(&runtime));
        assert_refused(&refused, &["model.name", "NoSuchModel", "BGESmallENV15"]);
        let refused = choose(&sandbox, "fastembed:./docs", Some(&runtime));
        assert_refused(&refused, &["docs has no model.onnx"]);

        let said = stdout_of_success(&choose(&sandbox, "fastembed:./graph", Some(&runtime)));
        assert!(said.contains("graph") && said.contains("8 dimensions"), "{said}");
        sandbox.index();
        let output = sandbox.command("status").arg("--json").output().unwrap();
        let status: serde_json::Value = serde_json::from_str(&stdout_of_success(&output)).unwrap();
        assert_eq!(status["model"]["id"], "graph", "{status}");
        assert_eq!(status["index_state"]["complete"], true, "{status}");
        let answer = sandbox.search("penguins live in the southern hemisphere", &["--mode", "dense"]);
        assert_eq!(answer["degraded"], serde_json::json!([]), "{answer}");
        assert_eq!(paths(&answer)[0], "site/index.html", "{answer}");
    }

    #[test]
    fn an_in_process_cross_encoder_reranks() {
        let Ok(runtime) = std::env::var("ORT_DYLIB_PATH") else {
            eprintln!("SKIPPED: ORT_DYLIB_PATH is not set");
            return;
        };
        let sandbox = Sandbox::with_handbook();
        let graph = sandbox.docs().parent().unwrap().join("reranker");
        tiny_graph::write_reranker(&graph, "backup");
        let index = |model: &str| {
            let mut run = sandbox.command("index");
            run.env("ORT_DYLIB_PATH", &runtime)
                .env("AUTORAG_RERANK_MODEL", model);
            run.output().unwrap()
        };
        assert_refused(
            &index("fastembed:NoSuchModel"),
            &["rerank.model", "BGERerankerBase"],
        );
        assert_refused(&index("fastembed:./docs"), &["docs has no model.onnx"]);
        let model = format!("fastembed:{}", graph.display());
        stdout_of_success(&index(&model));
        let search = |model: &str, more: &[&str]| -> serde_json::Value {
            let mut run = sandbox.command("search");
            run.env("ORT_DYLIB_PATH", &runtime)
                .env("AUTORAG_RERANK_MODEL", model);
            run.args(["where do penguins live", "--json"]).args(more);
            serde_json::from_str(&stdout_of_success(&run.output().unwrap())).unwrap()
        };
        let reranking = ["--rerank", "--rerank-budget-ms", "20000"];
        assert_eq!(paths(&search(&model, &[]))[0], "site/index.html");
        let answer = search(&model, &reranking);
        assert_eq!(answer["degraded"], serde_json::json!([]), "{answer}");
        assert_eq!(paths(&answer)[0], "guide/backup.md", "{answer}");
        let score = answer["hits"][0]["scores"]["rerank"].as_f64().unwrap();
        // The logit is 3, so the odds are e³.
        assert!((score - 0.9526).abs() < 1e-3, "{answer}");

        let embeddings = sandbox.docs().parent().unwrap().join("embeddings");
        tiny_graph::write(&embeddings);
        let answer = search(&format!("fastembed:{}", embeddings.display()), &reranking);
        assert_eq!(paths(&answer)[0], "site/index.html", "{answer}");
        let degraded = &answer["degraded"][0];
        assert_eq!(degraded["part"], "rerank", "{answer}");
        assert!(
            degraded["reason"]
                .as_str()
                .unwrap()
                .contains("cannot be computed"),
            "{answer}"
        );
    }
}
