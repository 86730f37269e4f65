//! Models other than the built-in one: choosing, changing and losing them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{Sandbox, paths, stdout_of_success, wait_for};
use crate::tiny_model::{Dtype, TinyModel};

const BUILT_IN: &str = "all-MiniLM-L6-v2";

/// Writes a tiny model beside the documents.
fn tiny(sandbox: &Sandbox, name: &'static str, pooling: &'static str) -> PathBuf {
    let golden: Value =
        serde_json::from_str(include_str!("../../embedder/golden/tiny_vectors.json")).unwrap();
    let vocabulary: Vec<String> = serde_json::from_value(golden["vocabulary"].clone()).unwrap();
    let dir = sandbox.docs().parent().unwrap().join(name);
    let model = TinyModel {
        hidden: 128,
        heads: 2,
        dtype: Dtype::F32,
        pooling,
        roberta: false,
        vocabulary: vocabulary.len(),
        tensor_prefix: "",
        salt: name,
    };
    model.write(&dir);
    fs_err::write(dir.join("vocab.txt"), vocabulary.join("\n")).unwrap();
    dir
}

fn choose(sandbox: &Sandbox, model: impl AsRef<Path>) -> String {
    let output = sandbox
        .bare_command()
        .args(["model", "use"])
        .arg(model.as_ref())
        .arg(sandbox.docs())
        .arg("--data-dir")
        .arg(sandbox.data())
        .output()
        .unwrap();
    stdout_of_success(&output)
}

fn status(sandbox: &Sandbox) -> Value {
    let output = sandbox.command("status").arg("--json").output().unwrap();
    serde_json::from_str(&stdout_of_success(&output)).unwrap()
}

/// Updates the index; returns standard output and error.
fn index(sandbox: &Sandbox) -> String {
    stdout_of_success(&sandbox.command("index").output().unwrap())
}

#[track_caller]
fn assert_dense_answers(sandbox: &Sandbox) {
    let answer = sandbox.search("where do penguins live", &["--mode", "dense"]);
    assert_eq!(answer["degraded"], json!([]), "{answer}");
    assert!(!paths(&answer).is_empty());
}

#[test]
fn changing_the_model_reembeds_and_changing_back_is_free() {
    let sandbox = Sandbox::with_handbook();
    // Passages fit both models, because a change must not re-chunk.
    let beside = sandbox.docs().parent().unwrap().to_owned();
    fs_err::write(beside.join("autorag.toml"), "[index]\nchunk_tokens = 64\n").unwrap();
    sandbox.index();
    let dir = tiny(&sandbox, "tiny", "mean");
    fs_err::write(dir.join("sentence_bert_config.json"), r#"{"max_seq_length": 96}"#).unwrap();
    let said = choose(&sandbox, dir);
    assert!(said.contains("tiny") && said.contains(BUILT_IN), "{said}");
    // Choosing alone changes nothing yet.
    assert_eq!(status(&sandbox)["model"]["id"], BUILT_IN);
    assert_dense_answers(&sandbox);

    index(&sandbox);
    let now = status(&sandbox);
    assert_eq!(now["model"]["id"], "tiny", "{now}");
    assert_eq!(now["model"]["dimensions"], 128);
    assert_eq!(now["index_state"]["complete"], true, "{now}");
    assert_eq!(now.get("reembedding"), None);
    assert_dense_answers(&sandbox);

    choose(&sandbox, "default");
    let said = index(&sandbox);
    assert!(said.contains("up to date"), "{said}");
    assert_eq!(status(&sandbox)["model"]["id"], BUILT_IN);
    assert_dense_answers(&sandbox);
    assert_eq!(
        paths(&sandbox.search("which birds live in the south", &["--mode", "dense", "-n", "1"])),
        ["site/index.html"]
    );
}

#[test]
fn a_model_change_survives_kills_while_the_old_model_serves() {
    let sandbox = Sandbox::empty();
    for number in 0..1500 {
        let text = format!(
            "# Report {number}\n\nThe cat {number} sits in the garden.\n\n## Dog\n\nA dog runs {number}.\n"
        );
        sandbox.write(&format!("{}/{number}.md", number % 9), text.repeat(2));
    }
    choose(&sandbox, tiny(&sandbox, "first", "mean"));
    index(&sandbox);
    assert_eq!(status(&sandbox)["model"]["id"], "first");

    // A run may finish before it is killed; then try the next model.
    let mut names = ["second", "third", "fourth", "fifth", "sixth", "seventh"].into_iter();
    let (name, serving) = loop {
        let name = names.next().expect("no run was caught under way");
        let serving = status(&sandbox)["model"]["id"].as_str().unwrap().to_owned();
        choose(&sandbox, tiny(&sandbox, name, "cls"));
        let mut run = sandbox
            .command("index")
            .arg("--quiet")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let caught = wait_for("a change of models under way", || {
            let now = status(&sandbox);
            if now["model"]["id"] == name {
                return Some(false);
            }
            (now["reembedding"]["done"].as_u64()? > 0).then_some(true)
        });
        run.kill().unwrap();
        run.wait().unwrap();
        if caught && status(&sandbox)["model"]["id"] == serving.as_str() {
            break (name, serving);
        }
    };
    let now = status(&sandbox);
    assert_eq!(now["model"]["id"], serving.as_str());
    assert_eq!(now["reembedding"]["model"], name);
    let done = now["reembedding"]["done"].as_u64().unwrap();
    assert!(
        done > 0 && done < now["reembedding"]["passages"].as_u64().unwrap(),
        "{now}"
    );
    let text = stdout_of_success(&sandbox.command("status").output().unwrap());
    assert!(text.contains(&format!("re-embedding with {name}")), "{text}");
    let answer = sandbox.search("cat in the garden", &["--mode", "dense"]);
    assert!(!paths(&answer).is_empty());
    let parts: Vec<&Value> = answer["degraded"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| &part["part"])
        .collect();
    assert!(!parts.contains(&&json!("dense")), "{answer}");

    let said = index(&sandbox);
    let now = status(&sandbox);
    assert_eq!(now["model"]["id"], name, "{said}");
    assert_eq!(now["index_state"]["complete"], true);
    assert_eq!(now["index_state"]["embedded"], now["index_state"]["passages"]);
    assert_dense_answers(&sandbox);
}

#[test]
fn an_index_without_its_model_uses_keyword_search() {
    let sandbox = Sandbox::with_handbook();
    let dir = tiny(&sandbox, "tiny", "mean");
    choose(&sandbox, &dir);
    index(&sandbox);
    assert_dense_answers(&sandbox);
    fs_err::remove_dir_all(&dir).unwrap();
    let answer = sandbox.search("penguins", &[]);
    assert_eq!(paths(&answer), ["site/index.html"]);
    let degraded = answer["degraded"].to_string();
    assert!(
        degraded.contains("tiny") && degraded.contains("is not available"),
        "{degraded}"
    );
    let output = sandbox.command("index").output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("tiny"), "{error}");

    choose(&sandbox, BUILT_IN);
    index(&sandbox);
    assert_eq!(status(&sandbox)["model"]["id"], BUILT_IN);
    assert_dense_answers(&sandbox);
}

#[test]
fn a_server_changes_models_without_interrupting_answers() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    choose(&sandbox, tiny(&sandbox, "tiny", "cls"));
    let server = sandbox.serve();
    let now = wait_for("the other model", || {
        let answer = server.search(&json!({"query": "penguins", "limit": 1}));
        assert_eq!(paths(&answer), ["site/index.html"], "{answer}");
        let now = server.get_json("/v1/status");
        (now["model"]["id"] == "tiny").then_some(now)
    });
    assert_eq!(now.get("reembedding"), None);
    server.wait_until_complete();
    sandbox.write("new.md", "# News\n\nThe river runs under the house.\n");
    wait_for("the new document", || {
        let answer = server.search(&json!({"query": "river under the house", "mode": "dense"}));
        paths(&answer).contains(&"new.md").then_some(())
    });
}

#[test]
fn models_are_listed_and_described() {
    let sandbox = Sandbox::with_handbook();
    let dir = tiny(&sandbox, "e5-tiny", "mean");
    choose(&sandbox, &dir);
    let run = |arguments: &[&str]| {
        let mut run = sandbox.bare_command();
        run.arg("model")
            .args(arguments)
            .arg("--data-dir")
            .arg(sandbox.data());
        stdout_of_success(&run.output().unwrap())
    };
    let list = run(&["list"]);
    assert!(list.contains(BUILT_IN) && list.contains("e5-tiny-"), "{list}");
    let docs = sandbox.docs();
    let info = run(&["info", docs.to_str().unwrap()]);
    for part in [
        "no index",
        "e5-tiny",
        "\"passage: \"",
        "mean",
        "max tokens      64",
        dir.to_str().unwrap(),
    ] {
        assert!(info.contains(part), "{part}: {info}");
    }
    index(&sandbox);
    let info = run(&["info", docs.to_str().unwrap()]);
    assert!(
        info.contains("embedded with") && !info.contains("cannot be opened"),
        "{info}"
    );
}

#[test]
fn an_unusable_model_is_not_chosen() {
    let sandbox = Sandbox::with_handbook();
    let dir = tiny(&sandbox, "tiny", "max");
    let refused = |model: &str| {
        let output = sandbox
            .bare_command()
            .args(["model", "use", model])
            .arg(sandbox.docs())
            .arg("--data-dir")
            .arg(sandbox.data())
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(dir.to_str().unwrap()).contains("max in its Pooling settings"));
    assert!(refused("nowhere").contains("neither"));
    assert!(refused("hub:nowhere").contains("owner/name"));
    sandbox.index();
    assert_eq!(status(&sandbox)["model"]["id"], BUILT_IN);
}
