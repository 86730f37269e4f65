//! Indexing runs: what they find, and that a second run touches only changed files.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::harness::{Sandbox, paths, stdout_of_success, wait_for};

#[test]
fn a_rerun_touches_only_what_changed() {
    let sandbox = Sandbox::with_handbook();
    assert!(sandbox.index().contains("5 added"), "first run");
    assert!(sandbox.index().contains("up to date"), "second run");
    sandbox.write(
        "guide/backup.md",
        "# Backup\n\nGiraffes guard the archive at night.\n",
    );
    sandbox.remove("notes.txt");
    sandbox.write("new.md", "# New\n\nOstriches run fast.\n");
    let said = sandbox.index();
    assert!(
        said.contains("1 added, 1 changed, 1 removed, 3 unchanged"),
        "{said}"
    );
    assert_eq!(
        paths(&sandbox.search("giraffes", &["--mode", "lexical"])),
        ["guide/backup.md"]
    );
    assert_eq!(
        paths(&sandbox.search("ostriches", &["--mode", "lexical"])),
        ["new.md"]
    );
    assert!(
        paths(&sandbox.search("water the plants on Thursday", &["-n", "50"]))
            .iter()
            .all(|p| *p != "notes.txt")
    );
}

#[test]
fn a_moved_file_is_not_embedded_again() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    fs_err::rename(sandbox.docs().join("notes.txt"), sandbox.docs().join("moved.txt")).unwrap();
    let said = sandbox.index();
    assert!(
        said.contains("1 added") && said.contains("1 removed") && said.contains(" 0 embedded"),
        "{said}"
    );
    assert_eq!(paths(&sandbox.search("water the plants", &[]))[0], "moved.txt");
}

#[test]
fn ignore_files_of_every_kind_are_honoured() {
    let sandbox = Sandbox::empty();
    sandbox.write(".gitignore", "ignored-by-git.md\n");
    sandbox.write("deep/.ignore", "*.log.md\n");
    sandbox.write("deep/.autoragignore", "private/\n");
    for key in [
        "kept.md",
        "ignored-by-git.md",
        "deep/kept.md",
        "deep/a.log.md",
        "deep/private/x.md",
        ".hidden/x.md",
    ] {
        sandbox.write(key, "# Walrus\n\nThe walrus and the carpenter.\n");
    }
    sandbox.index();
    let answer = sandbox.search("walrus", &["-n", "50", "--mode", "lexical", "--keep-duplicates"]);
    let mut found = paths(&answer);
    found.sort_unstable();
    assert_eq!(found, ["deep/kept.md", "kept.md"]);
}

#[test]
fn citations_slice_back_from_the_text() {
    let sandbox = Sandbox::with_handbook();
    let server = sandbox.serve();
    server.wait_until_complete();
    let answer = server.search(&serde_json::json!({"query": "the", "limit": 50}));
    let hits = answer["hits"].as_array().unwrap();
    assert!(hits.len() >= 5);
    for hit in hits {
        let cited = &hit["citation"];
        let read = server.get_json(&format!("/v1/documents/{}", cited["path"].as_str().unwrap()));
        let text = read["text"].as_str().unwrap();
        let (start, end) = (
            cited["start_byte"].as_u64().unwrap(),
            cited["end_byte"].as_u64().unwrap(),
        );
        assert_eq!(&text[start as usize..end as usize], hit["text"].as_str().unwrap());
        let line = 1 + text[..start as usize].matches('\n').count() as u64;
        assert_eq!(cited["start_line"].as_u64(), Some(line));
        assert_eq!(cited["content_hash"], read["content_hash"]);
    }
}

#[test]
fn any_encoding_is_read() {
    let sandbox = Sandbox::empty();
    let (latin, _, _) =
        encoding_rs::WINDOWS_1252.encode("Die Brücke über den Fluß heißt Größe und führt schön hinüber.");
    sandbox.write("latin.txt", latin);
    let utf16: Vec<u8> = "\u{feff}Zwiebelkuchen"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    sandbox.write("utf16.txt", utf16);
    sandbox.index();
    assert_eq!(
        paths(&sandbox.search("Brücke", &["--mode", "lexical"])),
        ["latin.txt"]
    );
    assert_eq!(
        paths(&sandbox.search("Zwiebelkuchen", &["--mode", "lexical"])),
        ["utf16.txt"]
    );
}

/// A whole second, one to two seconds from now. A file system with coarse timestamps cannot distinguish changes near it.
fn near_time() -> SystemTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UNIX_EPOCH + Duration::from_secs(now.as_secs() + 2)
}

/// Whether `time` is far enough in the past that a change would get another timestamp.
fn is_over(time: SystemTime) -> bool {
    SystemTime::now() >= time + Duration::from_secs(2)
}

fn write_at(sandbox: &Sandbox, text: &str, time: SystemTime) {
    sandbox.write("racy.txt", text);
    let file = fs_err::OpenOptions::new()
        .write(true)
        .open(sandbox.docs().join("racy.txt"));
    file.unwrap().file().set_modified(time).unwrap();
}

fn jobs(sandbox: &Sandbox) -> usize {
    let mut list = sandbox.bare_command();
    list.args(["jobs", "list", "--json"]).arg(sandbox.docs());
    let output = list.arg("--data-dir").arg(sandbox.data()).output().unwrap();
    stdout_of_success(&output).lines().count()
}

#[test]
fn a_change_that_keeps_the_modification_time_is_found_and_costs_no_job() {
    let sandbox = Sandbox::empty();
    let found = |word: &str| paths(&sandbox.search(word, &["--mode", "lexical"])) == ["racy.txt"];
    let time = loop {
        let time = near_time();
        write_at(&sandbox, "Walrus one.\n", time);
        sandbox.index();
        // On a slow machine the file was read late enough to be trusted.
        if !is_over(time) {
            break time;
        }
    };
    let before = jobs(&sandbox);
    sandbox.index();
    assert_eq!(
        jobs(&sandbox),
        before,
        "a look at bytes that are the same is no job"
    );
    write_at(&sandbox, "Otters two.\n", time);
    sandbox.index();
    assert!(found("otters") && !found("walrus"));
    assert_eq!(jobs(&sandbox), before + 1);

    wait_for("its time to be long enough ago", || is_over(time).then_some(()));
    for _ in 0..2 {
        sandbox.index();
        assert_eq!(jobs(&sandbox), before + 1);
    }
    // The file was compared once more and is trusted since then.
    write_at(&sandbox, "Beaver ten.\n", time);
    sandbox.index();
    assert!(found("otters") && !found("beaver"));
}
