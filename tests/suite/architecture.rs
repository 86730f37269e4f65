//! The arrows between the crates.

use std::collections::BTreeSet;

use crate::harness::root;

/// Crates of the project, with those they may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("embedder", &[]),
    ("store", &[]),
    ("indexer", &["autorag-embedder", "autorag-store"]),
    ("query", &["autorag-embedder", "autorag-store"]),
];

/// What only `server/` may know.
const OUTER: &[&str] = &[
    "tokio", "axum", "rmcp", "clap", "hyper", "reqwest", "utoipa", "schemars",
];

#[test]
fn crates_point_inwards_only() {
    for (folder, allowed) in ARROWS {
        let path = root().join(folder).join("Cargo.toml");
        let manifest: toml::Table = fs_err::read_to_string(&path).unwrap().parse().unwrap();
        let mut named = BTreeSet::new();
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let table = manifest.get(table).and_then(|table| table.as_table());
            named.extend(table.into_iter().flat_map(|table| table.keys().cloned()));
        }
        for name in &named {
            let ours = name.starts_with("autorag-");
            assert!(
                !ours || allowed.contains(&name.as_str()),
                "{folder} may not depend on {name}"
            );
            assert!(
                !OUTER.contains(&name.as_str()),
                "{folder} may not depend on {name}; only server/ may"
            );
        }
    }
}

#[test]
fn libraries_are_synchronous() {
    for (folder, _) in ARROWS {
        for entry in ignore::Walk::new(root().join(folder)) {
            let path = entry.unwrap().into_path();
            if path.extension().is_some_and(|kind| kind == "rs") {
                let text = fs_err::read_to_string(&path).unwrap();
                assert!(
                    !text.contains("async fn"),
                    "{} is not synchronous",
                    path.display()
                );
            }
        }
    }
}
