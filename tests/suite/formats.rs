//! Files of many formats are found with the right page and heading; files that crash parsers fail alone.

#[path = "../../indexer/parse/fixtures.rs"]
mod fixtures;

use serde_json::Value;

use crate::harness::{Sandbox, stdout_of_success};

/// The best hit for `query`.
#[track_caller]
fn best(sandbox: &Sandbox, query: &str) -> Value {
    let answer = sandbox.search(query, &["-n", "1", "--mode", "lexical"]);
    answer["hits"][0].clone()
}

/// Checks path and page of the best hit, and that `heading` is in its heading path or its text.
#[track_caller]
fn check(sandbox: &Sandbox, query: &str, path: &str, page: Option<u64>, heading: &str) {
    let hit = best(sandbox, query);
    let citation = &hit["citation"];
    assert_eq!(citation["path"], path, "{query}: {hit}");
    assert_eq!(citation["page"].as_u64(), page, "{query}: {hit}");
    let path = citation["heading_path"].as_array().unwrap();
    let last = path.last().and_then(Value::as_str).unwrap_or_default();
    // Short sections share a passage; their headings are then part of its text.
    let text = hit["text"].as_str().unwrap_or_default();
    assert!(
        last == heading || text.contains(&format!("# {heading}")),
        "{query}: {hit}"
    );
}

/// Reason of the item with this status and key.
fn item(sandbox: &Sandbox, status: &str, key: &str) -> Option<String> {
    let output = sandbox
        .command("status")
        .args(["--items", status, "--json"])
        .output()
        .unwrap();
    let lines = stdout_of_success(&output);
    let mut items = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let found = items.find(|item| item["key"] == key)?;
    Some(found["reason"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn hits_in_each_format_name_page_and_heading() {
    let sandbox = Sandbox::empty();
    let filler = "The harbour is old and the water is deep. ".repeat(40);
    let pages = [
        format!("# Prologue\nzebra one\n{filler}"),
        format!("# Chapter\nyak two\n{filler}"),
    ];
    sandbox.write("report.pdf", fixtures::pdf(&[&pages[0], &pages[1]]));
    sandbox.write("letter.docx", fixtures::docx());
    sandbox.write("talk.pptx", fixtures::pptx());
    sandbox.write("traffic.xlsx", fixtures::xlsx());
    sandbox.write("ropes.odt", fixtures::odt());
    sandbox.write("sails.odp", fixtures::odp());
    sandbox.write("book.epub", fixtures::epub());
    sandbox.write(
        "bundle.zip",
        fixtures::package(&[
            ("inner/guide.md", "# Guide\n\nwombats dig\n"),
            ("inner/x.docx", "no package"),
        ]),
    );
    sandbox.write(
        "mail.eml",
        "From: a@example.org\nTo: b@example.org\nSubject: Lobsters\n\nThey arrive on Friday.\n",
    );
    sandbox.write(
        "notebook.ipynb",
        r##"{"nbformat":4,"metadata":{},"cells":[{"cell_type":"markdown","source":"# Plot\n"},{"cell_type":"code","source":"import walrus"}]}"##,
    );
    sandbox.write(
        "prices.csv",
        format!("fruit,price\n{}mangosteen,7\n", "apple,1\n".repeat(9)),
    );
    sandbox.write(
        "manual.rst",
        "Manual\n======\n\nInstalling\n----------\n\nfetch the ocelot\n",
    );
    sandbox.write("text.rtf", r"{\rtf1\ansi\ansicpg1252 Die Kr\'f6te springt.}");
    sandbox.write("talk.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\nhello axolotl\n");
    sandbox.index();

    check(&sandbox, "zebra", "report.pdf", Some(1), "Prologue");
    check(&sandbox, "yak", "report.pdf", Some(2), "Chapter");
    check(&sandbox, "rises twice", "letter.docx", Some(1), "Tides");
    check(&sandbox, "cranes", "talk.pptx", Some(1), "Overview");
    check(&sandbox, "ships month", "traffic.xlsx", Some(1), "Traffic");
    check(&sandbox, "hemp flax", "ropes.odt", None, "Ropes");
    check(&sandbox, "canvas", "sails.odp", Some(1), "Sails");
    check(&sandbox, "sounds low", "book.epub", None, "Fog");
    check(&sandbox, "wombats", "bundle.zip", None, "Guide");
    check(&sandbox, "lobsters", "mail.eml", None, "");
    check(&sandbox, "walrus", "notebook.ipynb", Some(1), "Plot");
    check(&sandbox, "mangosteen", "prices.csv", None, "fruit, price");
    check(&sandbox, "ocelot", "manual.rst", None, "Manual");
    check(&sandbox, "Kröte", "text.rtf", None, "");
    check(&sandbox, "axolotl", "talk.vtt", None, "");

    let hit = best(&sandbox, "rises twice");
    assert_eq!(hit["document"]["title"], "Harbour report", "{hit}");
    assert_eq!(hit["document"]["metadata"]["author"], "Ann", "{hit}");
    assert_eq!(hit["freshness"], "current", "{hit}");
    assert!(sandbox.index().contains("up to date"));
}

#[test]
fn files_that_crash_parsers_fail_alone() {
    let sandbox = Sandbox::empty();
    let zeros = "0".repeat(130 << 20);
    let word = |document: &str| {
        fixtures::package(&[
            ("[Content_Types].xml", "<Types/>"),
            ("word/document.xml", document),
        ])
    };
    let deep = format!("<w:document xmlns:w='w'><w:body>{}", "<w:p>".repeat(300_000));
    let tables = format!(
        "<w:document xmlns:w='w'><w:body>{}{}</w:body></w:document>",
        "<w:tbl><w:tr><w:tc>".repeat(5_000),
        "</w:tc></w:tr></w:tbl>".repeat(5_000)
    );
    let mut entities = "<!DOCTYPE w [<!ENTITY a0 'kiwi'>".to_owned();
    for level in 1..30 {
        entities += &format!("<!ENTITY a{level} '{}'>", format!("&a{};", level - 1).repeat(10));
    }
    entities +=
        "]><w:document xmlns:w='w'><w:body><w:p><w:r><w:t>&a29;</w:t></w:r></w:p></w:body></w:document>";
    // A page tree that contains itself, and unterminated arrays.
    let looped = String::from_utf8(fixtures::pdf(&["x"]))
        .unwrap()
        .replace("/Kids [ 4 0 R", "/Kids [ 2 0 R");
    let nested = format!(
        "%PDF-1.4\n1 0 obj\n{}\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n",
        "[".repeat(1_000_000)
    );
    let refused: &[(&str, Vec<u8>)] = &[
        ("bomb.docx", word(&zeros)),
        ("bomb.zip", fixtures::package(&[("a.txt", &zeros)])),
        ("deep.docx", word(&deep)),
        ("tables.docx", word(&tables)),
        ("entities.docx", word(&entities)),
        ("looped.pdf", looped.into_bytes()),
        ("nested.pdf", nested.into_bytes()),
        (
            "nothing.docx",
            fixtures::package(&[("[Content_Types].xml", ""), ("word/x", "")]),
        ),
        ("cut.xlsx", fixtures::xlsx()[..600].to_vec()),
        (
            "groups.rtf",
            format!("{{\\rtf1{}", "{".repeat(1_000_000)).into_bytes(),
        ),
        (
            "cells.ipynb",
            format!("{{\"nbformat\":4,\"cells\":{}", "[".repeat(1_000_000)).into_bytes(),
        ),
    ];
    for (key, bytes) in refused {
        sandbox.write(key, bytes);
    }
    sandbox.write("fine.docx", fixtures::docx());
    sandbox.write("fine.md", "# Fine\n\nkiwi\n");
    sandbox.index();
    for (key, _) in refused {
        let reason = item(&sandbox, "error", key).or_else(|| item(&sandbox, "skipped", key));
        let is_read = item(&sandbox, "completed", key).is_some();
        // Invalid JSON is indexed as plain text.
        assert!(
            reason.as_ref().is_some_and(|reason| reason.len() > 5) || (is_read && *key == "cells.ipynb"),
            "{key}: {reason:?}"
        );
    }
    assert_eq!(item(&sandbox, "completed", "fine.docx").as_deref(), Some(""));
    assert!(sandbox.index().contains("up to date"));
}

#[test]
fn the_parser_command_is_hidden() {
    let output = Sandbox::empty().bare_command().arg("--help").output().unwrap();
    assert!(!stdout_of_success(&output).contains("parse-worker"));
    // The worker exits at the end of its input.
    let output = Sandbox::empty()
        .bare_command()
        .arg("parse-worker")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(stdout_of_success(&output), "");
}
