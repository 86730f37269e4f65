//! Indexes of earlier formats are upgraded, and nothing in them is embedded again.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Sandbox, root, stdout_of_success};

/// The documents that the fixtures were made from.
const DOCUMENTS: [(&str, &str); 3] = [
    (
        "install.md",
        "---\naudience: operator\n---\n# Install\n\nGet the archive and unpack it.\n\n## Linux\n\n\
         Copy the binary to a folder on your path.\n",
    ),
    ("notes.txt", "Remember to water the plants on Thursday.\n"),
    (
        "parser.rs",
        "/// Splits a line into words.\npub fn split_words(line: &str) -> Vec<&str> {\n    line.split(' ').collect()\n}\n",
    ),
];

fn documents() -> Sandbox {
    let sandbox = Sandbox::empty();
    for (key, text) in DOCUMENTS {
        sandbox.write(key, text);
    }
    sandbox
}

/// Citations and scores of the hits of one query in each mode.
fn hits(sandbox: &Sandbox) -> Vec<Value> {
    let modes = ["lexical", "dense", "hybrid"].iter();
    let answers = modes.map(|mode| sandbox.search("split the words of a line", &["--mode", mode]));
    answers
        .map(|answer| {
            let hits = answer["hits"].as_array().unwrap().iter();
            hits.map(|hit| serde_json::json!([hit["citation"], hit["scores"]]))
                .collect()
        })
        .collect()
}

/// Replaces the folder `index` by the content of the fixture.
fn restore(format: u32, index: &Path) {
    fs_err::remove_dir_all(index).unwrap();
    let fixture = root().join(format!("tests/fixtures/index-format-{format}.zip"));
    let mut archive = zip::ZipArchive::new(fs_err::File::open(fixture).unwrap()).unwrap();
    archive.extract(index).unwrap();
}

#[test]
fn an_index_of_each_earlier_format_is_upgraded() {
    let sandbox = documents();
    sandbox.index();
    let fresh = hits(&sandbox);
    assert!(fresh.iter().all(|hits| !hits.as_array().unwrap().is_empty()));
    for format in 1..=4 {
        restore(format, &sandbox.index_dir());
        if format < 4 {
            // Only a writer upgrades, and the message says which command writes.
            let output = sandbox.command("jobs").output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success(), "format {format}: {error}");
            assert!(error.contains("`autorag index`"), "format {format}: {error}");
        }
        sandbox.index();
        assert_eq!(hits(&sandbox), fresh, "format {format}");
        let jobs = stdout_of_success(&sandbox.command("jobs").arg("--json").output().unwrap());
        for job in jobs
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
        {
            let is_of_the_fixture = job["counts"]["added"] == 3;
            assert!(
                is_of_the_fixture || job["counts"]["embedded"] == 0,
                "format {format}: {job}"
            );
        }
        sandbox.write("new.md", "# New\n\nOstriches run fast.\n");
        let summary = sandbox.index();
        assert!(summary.contains("1 added"), "format {format}: {summary}");
        sandbox.remove("new.md");
    }
}
