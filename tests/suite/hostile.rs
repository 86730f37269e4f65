//! A folder of hostile files: the run completes, and each file has text or an item with a reason.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Sandbox, paths, stdout_of_success};

/// Status and reason of every item.
fn items(sandbox: &Sandbox) -> BTreeMap<String, (String, String)> {
    let mut items = BTreeMap::new();
    for status in ["completed", "error", "skipped"] {
        let output = sandbox
            .command("status")
            .args(["--items", status, "--json"])
            .output()
            .unwrap();
        for line in stdout_of_success(&output).lines() {
            let item: Value = serde_json::from_str(line).unwrap();
            let word = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            items.insert(word("key"), (word("status"), word("reason")));
        }
    }
    items
}

/// YAML front matter whose aliases expand to a billion words.
fn yaml_bomb() -> String {
    let mut text = "---\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    text + "---\n# Bomb\n\nkiwi\n"
}

#[test]
fn every_hostile_file_has_text_or_a_reason() {
    let sandbox = Sandbox::empty();
    let noise: Vec<u8> = (0..50_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let refused: &[(&str, Vec<u8>)] = &[
        ("empty.md", vec![]),
        ("blank.txt", b" \n\t\r\n".to_vec()),
        ("mark-alone.txt", b"\xef\xbb\xbf".to_vec()),
        ("noise.bin", noise.clone()),
        ("noise.md", noise.clone()),
        ("noise.html", noise.clone()),
        (
            "report.pdf",
            [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n".as_slice(), &noise].concat(),
        ),
        (
            "letter.docx",
            [b"PK\x03\x04\x14\0\x06\0".as_slice(), &noise].concat(),
        ),
        ("nul.txt", b"text\0with\0nuls\0\0\0\0".to_vec()),
        ("deep.html", "<div>".repeat(200_000).into_bytes()),
        ("only-script.html", b"<html><script>kiwi</script>".to_vec()),
    ];
    let read: &[(&str, Vec<u8>)] = &[
        ("bomb.md", yaml_bomb().into_bytes()),
        (
            "open-front-matter.md",
            format!("---\ntitle: kiwi\n{}", "a: b\n".repeat(20_000)).into_bytes(),
        ),
        ("line.txt", "kiwi ".repeat(600_000).into_bytes()),
        ("word.txt", "kiwi".repeat(500_000).into_bytes()),
        ("quotes.md", format!("{} kiwi", ">".repeat(50_000)).into_bytes()),
        ("brackets.md", "[kiwi](".repeat(20_000).into_bytes()),
        ("stars.md", "*a **kiwi ".repeat(20_000).into_bytes()),
        (
            "fence.md",
            format!("```\n{}", "kiwi\n".repeat(20_000)).into_bytes(),
        ),
        ("headings.md", "# kiwi\n".repeat(20_000).into_bytes()),
        ("table.md", "| kiwi | b |\n".repeat(20_000).into_bytes()),
        ("parentheses.rs", "(kiwi".repeat(40_000).into_bytes()),
        ("braces.json", "[{\"kiwi\":".repeat(40_000).into_bytes()),
        ("open.html", "<p>kiwi<table><tr><td>".repeat(2_000).into_bytes()),
        (
            "odd.utf16.txt",
            [b"\xff\xfe".as_slice(), &b"k\0i\0w\0i\0 \0".repeat(100), b"k"].concat(),
        ),
        ("broken.utf8.txt", b"kiwi \xc3\x28 \xf0\x28\x8c\x28 kiwi".to_vec()),
    ];
    for (key, bytes) in refused.iter().chain(read) {
        sandbox.write(key, bytes);
    }
    let odd = unix_oddities(&sandbox);
    sandbox.index();

    let items = items(&sandbox);
    for (key, _) in refused {
        let (status, reason) = &items[*key];
        assert_ne!(status, "completed", "{key}");
        assert!(reason.len() > 3, "{key}: {reason:?}");
    }
    for (key, _) in read {
        assert_eq!(items[*key].0, "completed", "{key}: {}", items[*key].1);
    }
    for key in odd {
        let (status, reason) = &items[&key];
        assert!(
            status != "completed" && reason.len() > 3,
            "{key}: {status} {reason:?}"
        );
    }
    let answer = sandbox.search(
        "kiwi",
        &[
            "-n",
            "50",
            "--mode",
            "lexical",
            "--keep-duplicates",
            "--max-per-document",
            "0",
        ],
    );
    assert_eq!(paths(&answer).len(), 50);
    // A second run reads nothing again.
    assert!(sandbox.index().contains("up to date"));
}

/// Creates links, pipes and odd names; returns the keys that must have an item.
#[cfg(unix)]
fn unix_oddities(sandbox: &Sandbox) -> Vec<String> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    let docs = sandbox.docs();
    let outside = docs.parent().unwrap().join("outside.md");
    fs_err::write(&outside, "# Secret\n").unwrap();
    symlink(&outside, docs.join("outside-link.md")).unwrap();
    symlink("nowhere", docs.join("dangling.md")).unwrap();
    symlink("self.md", docs.join("self.md")).unwrap();
    symlink(".", docs.join("loop")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(docs.join("pipe.md"))
        .status();
    assert!(made.unwrap().success());
    fs_err::write(
        docs.join(std::ffi::OsStr::from_bytes(b"not-\xff-utf8.md")),
        "# Name\n",
    )
    .unwrap();
    let keys = [
        "outside-link.md",
        "dangling.md",
        "self.md",
        "loop",
        "pipe.md",
        "not-\u{fffd}-utf8.md",
    ];
    keys.map(str::to_owned).to_vec()
}

#[cfg(not(unix))]
fn unix_oddities(_: &Sandbox) -> Vec<String> {
    Vec::new()
}
