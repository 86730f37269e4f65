//! `autorag doctor`: damage is found and repaired.

use serde_json::{Value, json};

use crate::harness::{Sandbox, paths};

/// The verdict of each check, and the exit status.
fn verdicts(sandbox: &Sandbox, more: &[&str]) -> (Vec<(String, String)>, Option<i32>) {
    let mut run = sandbox.command("doctor");
    let output = run.args(["--json", "--quiet"]).args(more).output().unwrap();
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let word = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
    let verdicts = checks
        .iter()
        .map(|check| (word(check, "check"), word(check, "verdict")));
    (verdicts.collect(), output.status.code())
}

fn verdict_of(verdicts: &[(String, String)], check: &str) -> String {
    let found = verdicts.iter().find(|(name, _)| name == check);
    found.unwrap().1.clone()
}

#[test]
fn damage_is_found_and_repaired() {
    let sandbox = Sandbox::with_handbook();
    assert_eq!(verdicts(&sandbox, &[]).1, Some(2), "no index yet");
    sandbox.index();
    let (found, status) = verdicts(&sandbox, &[]);
    assert!(found.iter().all(|(_, verdict)| verdict == "ok"), "{found:?}");
    assert_eq!(status, Some(0));
    for (part, ending) in [("lexical", "idx"), ("vectors", "vec")] {
        let mut files = fs_err::read_dir(sandbox.index_dir().join(part)).unwrap();
        let path = files
            .find_map(|entry| {
                Some(entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == ending))
            })
            .unwrap();
        let mut bytes = fs_err::read(&path).unwrap();
        // After the header of the vector file, and before the footer of tantivy's files, which no checksum covers.
        bytes[20] ^= 4;
        fs_err::write(&path, bytes).unwrap();
        let (found, status) = verdicts(&sandbox, &[]);
        assert_eq!((verdict_of(&found, part), status), ("damaged".into(), Some(1)));
        let (found, status) = verdicts(&sandbox, &["--repair"]);
        assert_eq!((verdict_of(&found, part), status), ("repaired".into(), Some(0)));
        assert_eq!(verdicts(&sandbox, &[]).1, Some(0));
        assert_eq!(paths(&sandbox.search("penguins", &[]))[0], "site/index.html");
    }
}

/// Detail of a check, if the check is listed.
fn detail_of(sandbox: &Sandbox, check: &str) -> Option<String> {
    let output = sandbox
        .command("doctor")
        .args(["--json", "--quiet"])
        .output()
        .unwrap();
    let checks: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let found = checks.iter().find(|found| found["check"] == check)?;
    Some(found["detail"].as_str().unwrap().to_owned())
}

#[test]
fn disk_space_writer_and_leftovers_are_reported() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    assert!(detail_of(&sandbox, "space").unwrap().contains(" free, "));
    assert!(detail_of(&sandbox, "writer").unwrap().starts_with("no process"));
    assert_eq!(detail_of(&sandbox, "leftover"), None);
    let catalog = sandbox.index_dir().join("catalog.sqlite");
    fs_err::write(&catalog, "no database").unwrap();
    sandbox.index();
    let leftover = detail_of(&sandbox, "leftover").unwrap();
    assert!(leftover.contains("damaged, "), "{leftover}");
    let server = sandbox.serve();
    server.wait_until_complete();
    let writer = detail_of(&sandbox, "writer").unwrap();
    assert!(writer.contains(&format!("process {} ", server.pid())), "{writer}");
}

#[test]
fn repair_is_refused_while_a_server_runs() {
    let sandbox = Sandbox::with_handbook();
    let server = sandbox.serve();
    server.wait_until_complete();
    fs_err::remove_dir_all(sandbox.index_dir().join("vectors")).unwrap();
    let output = sandbox.command("doctor").arg("--repair").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&server.pid().to_string()), "{said}");
}

/// Citations and scores of the top ten, for some questions in each mode.
fn lists(sandbox: &Sandbox) -> Vec<Value> {
    let mut lists = Vec::new();
    for mode in ["lexical", "dense", "hybrid"] {
        for query in ["install the archive", "where do penguins live"] {
            let answer = sandbox.search(query, &["--mode", mode]);
            let hits = answer["hits"].as_array().unwrap().iter();
            lists.push(
                hits.map(|hit| json!([hit["citation"], hit["text"], hit["scores"]]))
                    .collect(),
            );
        }
    }
    lists
}

/// Offset of some bytes in the catalog.
fn place(bytes: &[u8], sought: &[u8]) -> usize {
    let at = bytes.windows(sought.len()).position(|window| window == sought);
    at.unwrap_or_else(|| panic!("{:?} is not in it", String::from_utf8_lossy(sought)))
}

#[test]
fn a_flipped_bit_in_a_text_is_never_shown_and_is_repaired() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    let before = lists(&sandbox);
    let path = sandbox.index_dir().join("catalog.sqlite");
    let mut bytes = fs_err::read(&path).unwrap();
    let at = place(&bytes, b"southern hemisphere");
    bytes[at] ^= 1;
    fs_err::write(&path, bytes).unwrap();
    let answer = sandbox.search("where do penguins live", &[]);
    assert!(!paths(&answer).contains(&"site/index.html"), "{answer}");
    let degraded = answer["degraded"][0]["reason"].as_str().unwrap();
    assert!(degraded.contains("damaged"), "{degraded}");
    let (found, status) = verdicts(&sandbox, &[]);
    assert_eq!(
        (verdict_of(&found, "contents"), status),
        ("damaged".into(), Some(1))
    );
    let (found, status) = verdicts(&sandbox, &["--repair"]);
    assert_eq!(
        (verdict_of(&found, "contents"), status),
        ("repaired".into(), Some(0))
    );
    assert_eq!(lists(&sandbox), before);
}

#[test]
fn a_corrupt_catalog_is_replaced_and_keeps_its_embeddings() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    let before = lists(&sandbox);
    let path = sandbox.index_dir().join("catalog.sqlite");
    let whole = fs_err::read(&path).unwrap();
    // The first page of the documents table, whose rows a walk is compared with.
    let mut bytes = whole.clone();
    let page = place(&bytes, b"guide/install.md") / 4096 * 4096;
    bytes[page..page + 64].fill(0xff);
    fs_err::write(&path, bytes).unwrap();
    let (found, status) = verdicts(&sandbox, &[]);
    assert_eq!(
        (verdict_of(&found, "catalog"), status),
        ("damaged".into(), Some(1))
    );
    // The first run may fail at the damage; the next one starts a new catalog.
    let mut said = String::new();
    for _ in 0..2 {
        let output = sandbox.command("index").output().unwrap();
        said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        if output.status.success() {
            break;
        }
        assert!(said.contains("malformed"), "{said}");
    }
    assert!(said.contains("5 added") && said.contains(" 0 embedded"), "{said}");
    assert_eq!(lists(&sandbox), before);
    assert_eq!(verdicts(&sandbox, &[]).1, Some(0));
    // Without its header nothing can be read, so everything is rebuilt from the files.
    let mut bytes = whole;
    bytes[..100].fill(0);
    fs_err::write(&path, bytes).unwrap();
    let (found, status) = verdicts(&sandbox, &["--repair"]);
    assert_eq!(
        (verdict_of(&found, "catalog"), status),
        ("repaired".into(), Some(0))
    );
    assert_eq!(lists(&sandbox), before);
}
