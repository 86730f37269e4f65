//! Parts of an index lost or damaged: what is derived is made anew from the catalog, and nothing is embedded again.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Sandbox, paths};

/// The ten best of some queries in each mode, with their scores.
fn lists(sandbox: &Sandbox) -> Vec<Value> {
    let mut lists = Vec::new();
    for mode in ["lexical", "dense", "hybrid"] {
        for query in ["install the archive", "where do penguins live", "split words"] {
            let answer = sandbox.search(query, &["--mode", mode]);
            assert!(!paths(&answer).is_empty(), "{mode} {query}");
            let hits = answer["hits"].as_array().unwrap().iter();
            lists.push(
                hits.map(|hit| serde_json::json!([hit["citation"], hit["scores"]]))
                    .collect(),
            );
        }
    }
    lists
}

/// Every file below `folder`, in order.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let walk = ignore::WalkBuilder::new(folder).standard_filters(false).build();
    let mut files: Vec<_> = walk
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

#[test]
fn a_lost_derived_index_is_made_anew() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    let before = lists(&sandbox);
    for part in ["lexical", "vectors"] {
        fs_err::remove_dir_all(sandbox.index_dir().join(part)).unwrap();
        let said = sandbox.index();
        assert!(said.contains("up to date"), "{part}: {said}");
        assert_eq!(lists(&sandbox), before, "{part}");
    }
}

#[test]
fn a_damaged_derived_index_is_made_anew() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    let before = lists(&sandbox);
    for part in ["lexical", "vectors"] {
        // Making an index anew may give it other files, so they are listed each time.
        let mut next = 0;
        while let Some(path) = files(&sandbox.index_dir().join(part)).get(next) {
            next += 1;
            let whole = fs_err::read(path).unwrap();
            // The empty lock files of tantivy hold nothing that could be damaged.
            if whole.is_empty() {
                continue;
            }
            fs_err::write(path, &whole[..whole.len() / 2]).unwrap();
            let said = sandbox.index();
            assert!(said.contains("up to date"), "{}: {said}", path.display());
            assert_eq!(lists(&sandbox), before, "{}", path.display());
        }
    }
}

/// Whatever bit of whatever file turns, answers are those of before once the index has been opened for writing, or the damage is
/// said.
#[test]
fn a_turned_bit_anywhere_is_found_or_does_nothing() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    let before = lists(&sandbox);
    let mut random = crate::random::Random::new(u64::from(std::process::id()));
    for _ in 0..24 {
        let all: Vec<_> = files(&sandbox.index_dir())
            .into_iter()
            .filter(|path| !path.ends_with("lock") && !fs_err::read(path).unwrap().is_empty())
            .filter(|path| !path.components().any(|part| part.as_os_str() == "damaged"))
            .collect();
        let path = random.of(&all);
        let mut bytes = fs_err::read(path).unwrap();
        let at = random.next(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << random.next(8);
        fs_err::write(path, bytes).unwrap();
        let what = format!("byte {at} of {}", path.display());
        // One that meets damage says so, and the next mends it.
        let _ = sandbox.command("index").arg("--quiet").output().unwrap();
        let repaired = sandbox
            .command("doctor")
            .args(["--repair", "--quiet"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&repaired.stdout).into_owned();
        let said = said + &String::from_utf8_lossy(&repaired.stderr);
        assert!(repaired.status.success(), "{what}: {said}");
        sandbox.index();
        assert_eq!(lists(&sandbox), before, "{what}: {said}");
    }
}
