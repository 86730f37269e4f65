//! Lost or damaged parts of an index: derived indexes are rebuilt from the catalog, and nothing is re-embedded.

use std::io::Write;
use std::path::Path;

use serde_json::Value;

use crate::harness::{Sandbox, Server, paths, wait_for};
use crate::random::Random;
use crate::torture::seed;

/// Runs three queries in each mode. Returns one list per search: citation and scores of each hit.
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

/// Every file below `folder`, sorted.
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
fn a_lost_derived_index_is_rebuilt() {
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
fn a_damaged_derived_index_is_rebuilt() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    let before = lists(&sandbox);
    for part in ["lexical", "vectors"] {
        // A rebuild may create other files, so list them each time.
        let mut next = 0;
        while let Some(path) = files(&sandbox.index_dir().join(part)).get(next) {
            next += 1;
            let whole = fs_err::read(path).unwrap();
            // tantivy's lock files are empty, so there is nothing to damage.
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

/// Overwrites the segments of the lexical index in place. Processes that have mapped them then see the damage.
fn damage_segments(sandbox: &Sandbox) {
    for path in files(&sandbox.index_dir().join("lexical")) {
        let length = fs_err::metadata(&path).unwrap().len() as usize;
        if path
            .extension()
            .is_none_or(|kind| kind != "json" && kind != "lock")
            && length > 0
        {
            let mut file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
            file.write_all(&vec![0xff; length]).unwrap();
        }
    }
}

#[test]
fn a_server_with_a_damaged_lexical_index_uses_embeddings_and_rebuilds_it() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    let before = lists(&sandbox);
    let server = sandbox.serve();
    server.wait_until_complete();
    damage_segments(&sandbox);
    let request = serde_json::json!({"query": "where do penguins live"});
    let answer = server.search(&request);
    assert_eq!(paths(&answer)[0], "site/index.html", "{answer}");
    // The rebuild may have started, which is another entry of `degraded`.
    let degraded = answer["degraded"].as_array().unwrap();
    let lexical = degraded.iter().find(|degraded| degraded["part"] == "lexical");
    let reason = lexical.and_then(|lexical| lexical["reason"].as_str());
    assert!(
        reason.is_some_and(|reason| reason.contains("being rebuilt")),
        "{answer}"
    );
    // During the rebuild, a keyword search fails with an error.
    wait_for("words to be searchable", || {
        let response = server.post_search(&serde_json::json!({"query": "penguins", "mode": "lexical"}));
        let status = response.status();
        let body: Value = response.json().unwrap();
        assert!(
            status.is_success() || body["error"]["code"] == "lexical_unavailable",
            "{body}"
        );
        status.is_success().then_some(())
    });
    let answer = server.search_while_idle(&request);
    assert_eq!(answer["degraded"], serde_json::json!([]), "{answer}");
    // A second process switches to the rebuilt index.
    assert_eq!(lists(&sandbox), before);
}

/// Mapped files may hide damage from searches: hits go missing without an error.
#[test]
fn damage_that_no_search_notices_is_found_by_the_periodic_check() {
    let sandbox = Sandbox::with_handbook();
    fs_err::write(
        sandbox.docs().join("../reconcile.toml"),
        "[index]\nreconcile_secs = 1\n",
    )
    .unwrap();
    let server = Server::start(sandbox.command("serve").args(["--config", "reconcile.toml"]));
    server.wait_until_complete();
    let hits = || {
        let answer = server.search(&serde_json::json!({"query": "copy the data"}));
        let hits = answer["hits"].as_array().unwrap().iter();
        hits.map(|hit| serde_json::json!([hit["citation"], hit["scores"]]))
            .collect::<Vec<_>>()
    };
    let before = hits();
    damage_segments(&sandbox);
    let after = hits();
    assert!(after != before, "{after:?}");
    wait_for("words to be whole again", || (hits() == before).then_some(()));
}

/// The run that indexes a change may find the damage before any search does.
#[test]
fn a_change_is_not_lost_to_a_damaged_lexical_index() {
    let sandbox = Sandbox::with_handbook();
    let server = sandbox.serve();
    server.wait_until_complete();
    let request = |query: &str| serde_json::json!({"query": query, "mode": "lexical"});
    damage_segments(&sandbox);
    sandbox.write("notes.txt", "Zebras graze on the savannah.\n");
    sandbox.remove("src/parser.rs");
    let found = |query: &str| {
        let response = server.post_search(&request(query));
        let status = response.status();
        let answer: Value = response.json().unwrap();
        assert!(
            status.is_success() || answer["error"]["code"] == "lexical_unavailable",
            "{answer}"
        );
        status.is_success().then_some(answer)
    };
    wait_for("the change", || {
        let new = found("zebras")?;
        let (kept, gone) = (found("penguins")?, found("words")?);
        let is_there = paths(&new) == ["notes.txt"] && paths(&kept) == ["site/index.html"];
        (is_there && paths(&gone).is_empty()).then_some(())
    });
    assert!(paths(&server.search(&request("thursday"))).is_empty());
}

/// After any single bit flip in any file, a repair restores the same answers.
#[test]
fn any_flipped_bit_is_harmless_or_repaired() {
    let sandbox = Sandbox::with_handbook();
    sandbox.index();
    let before = lists(&sandbox);
    let seed = seed();
    let mut random = Random::new(seed);
    for turn in 0..24 {
        let all: Vec<_> = files(&sandbox.index_dir())
            .into_iter()
            .filter(|path| !path.ends_with("lock") && !fs_err::read(path).unwrap().is_empty())
            .filter(|path| !path.components().any(|part| part.as_os_str() == "damaged"))
            .collect();
        // Every other flip hits the catalog, because the many other files would outnumber it.
        let path = if turn % 2 == 0 {
            &sandbox.index_dir().join("catalog.sqlite")
        } else {
            random.choose(&all)
        };
        let mut bytes = fs_err::read(path).unwrap();
        // Zero bytes of a SQLite page are mostly unused space. The format number is spared: a newer format is refused, not repaired.
        let is_catalog = path.ends_with("catalog.sqlite");
        let is_used = |at: usize| !is_catalog || bytes[at] != 0 && !(60..64).contains(&at);
        let at = (0..)
            .map(|_| random.below(bytes.len() as u64) as usize)
            .find(|&at| is_used(at))
            .unwrap();
        let bit = random.below(8);
        bytes[at] ^= 1 << bit;
        fs_err::write(path, bytes).unwrap();
        let flip = format!(
            "AUTORAG_TORTURE_SEED={seed}, flip {turn}: bit {bit} of byte {at} of {}",
            path.display()
        );
        // This run may find the damage and fail.
        let _ = sandbox.command("index").arg("--quiet").output().unwrap();
        let repaired = sandbox
            .command("doctor")
            .args(["--repair", "--quiet"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&repaired.stdout).into_owned();
        let said = said + &String::from_utf8_lossy(&repaired.stderr);
        assert!(repaired.status.success(), "{flip}: {said}");
        sandbox.index();
        assert_eq!(lists(&sandbox), before, "{flip}: {said}");
    }
}
