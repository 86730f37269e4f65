//! `autorag doctor`: what is damaged is found and made anew.

use serde_json::Value;

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
fn what_is_damaged_is_found_and_repaired() {
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
        // Behind the header of the vectors, and before the footer of tantivy's file, which no checksum covers.
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

#[test]
fn nothing_is_repaired_under_a_running_server() {
    let sandbox = Sandbox::with_handbook();
    let server = sandbox.serve();
    server.wait_until_complete();
    fs_err::remove_dir_all(sandbox.index_dir().join("vectors")).unwrap();
    let output = sandbox.command("doctor").arg("--repair").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(&server.pid().to_string()), "{said}");
}
