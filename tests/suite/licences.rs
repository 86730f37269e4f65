//! The rules of `deny.toml`, checked over `cargo metadata`: licences, registries, and wildcard versions.
//!
//! `cargo deny` checks the same lists and security advisories too. It takes longer to build than the whole gate, so the gate runs
//! this test instead.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::harness::root;

/// The registry that `cargo metadata` names for crates.io.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Whether the SPDX expression `licence` can be satisfied with the licences in `allowed`. A malformed expression cannot.
fn is_allowed(licence: &str, allowed: &BTreeSet<String>) -> bool {
    // "A/B" is the older way to write "A OR B".
    let text = licence
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words: Vec<&str> = text.split_whitespace().rev().collect();
    any_of(&mut words, allowed) == Some(true) && words.is_empty()
}

/// `OR` binds weakest. `None` if the expression is malformed, as in the functions below.
fn any_of(words: &mut Vec<&str>, allowed: &BTreeSet<String>) -> Option<bool> {
    let mut value = all_of(words, allowed)?;
    while words.last() == Some(&"OR") {
        words.pop();
        value |= all_of(words, allowed)?;
    }
    Some(value)
}

fn all_of(words: &mut Vec<&str>, allowed: &BTreeSet<String>) -> Option<bool> {
    let mut value = single(words, allowed)?;
    while words.last() == Some(&"AND") {
        words.pop();
        value &= single(words, allowed)?;
    }
    Some(value)
}

fn single(words: &mut Vec<&str>, allowed: &BTreeSet<String>) -> Option<bool> {
    let word = words.pop()?;
    if word == "(" {
        let value = any_of(words, allowed)?;
        return (words.pop()? == ")").then_some(value);
    }
    let mut name = word.to_owned();
    if words.last() == Some(&"WITH") {
        words.pop();
        name = format!("{name} WITH {}", words.pop()?);
    }
    Some(allowed.contains(&name))
}

/// The list at `section.key` of `deny.toml`.
fn list(deny: &toml::Table, section: &str, key: &str) -> BTreeSet<String> {
    let items = deny[section][key].as_array().unwrap().iter();
    items.map(|item| item.as_str().unwrap().to_owned()).collect()
}

#[test]
fn dependencies_follow_the_lists_of_deny_toml() {
    let deny: toml::Table = fs_err::read_to_string(root().join("deny.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let allowed = list(&deny, "licenses", "allow");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 300, "only {} packages", packages.len());
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let licence = package["license"].as_str().unwrap_or_default();
        if !is_allowed(licence, &allowed) {
            wrong.push(format!("{name}: the licence {licence:?} is not in deny.toml"));
        }
        match package["source"].as_str() {
            None | Some(CRATES_IO) => {}
            Some(other) => wrong.push(format!("{name}: comes from {other}")),
        }
        let is_ours = package["source"].is_null();
        for dependency in package["dependencies"].as_array().unwrap() {
            if is_ours && dependency["req"] == "*" && dependency["path"].is_null() {
                wrong.push(format!("{name}: {} has a wildcard version", dependency["name"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn licence_expressions_are_evaluated_as_spdx() {
    let allowed: BTreeSet<String> = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"]
        .map(str::to_owned)
        .into();
    for yes in [
        "MIT",
        "GPL-3.0 OR MIT",
        "GPL-3.0/MIT",
        "(GPL-3.0 OR MIT) AND ISC",
        "Apache-2.0 WITH LLVM-exception",
    ] {
        assert!(is_allowed(yes, &allowed), "{yes}");
    }
    for no in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "Apache-2.0",
        "MIT OR",
        "(MIT",
        "MIT ISC",
    ] {
        assert!(!is_allowed(no, &allowed), "{no}");
    }
}
