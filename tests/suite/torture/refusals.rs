//! A low limit of open files, and a read-only disk.

use std::process::{Command, Output};

use serde_json::json;

use super::faults::Faults;
use crate::harness::{Sandbox, Server, paths, stdout_of_success};

/// Standard output and error of a process.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A word that only one document has.
fn word(number: usize) -> String {
    let letter = |at: usize| char::from(b'a' + at as u8);
    format!("lantern{}{}k", letter(number / 20), letter(number % 20))
}

/// Checks that each of the first `documents` documents is found by its word.
fn assert_found(sandbox: &Sandbox, documents: usize) {
    for number in 0..documents {
        let answer = sandbox.search(&word(number), &["--mode", "lexical"]);
        assert_eq!(paths(&answer), [format!("{number}.md")]);
    }
}

#[cfg(unix)]
#[test]
fn a_low_limit_of_open_files_is_reported_and_loses_nothing() {
    let sandbox = Sandbox::empty();
    let write = |numbers: std::ops::Range<usize>| {
        for number in numbers {
            sandbox.write(
                &format!("{number}.md"),
                format!("# Lantern\n\nThis is {}.\n", word(number)),
            );
        }
    };
    write(0..5);
    sandbox.index();
    write(5..30);
    sandbox.remove("0.md");
    write(0..1);
    let mut refused = 0;
    // From a limit that is too low to start, to one that suffices; those in between fail in the middle of the work.
    for limit in 9..200 {
        let index = sandbox.command("index");
        let mut limited = Command::new("sh");
        limited
            .args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")])
            .arg(index.get_program())
            .args(index.get_args())
            .arg("--quiet");
        for (name, value) in index.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        let output = limited.output().unwrap();
        let said = said(&output);
        assert!(!said.contains("panicked"), "{limit}: {said}");
        assert_found(&sandbox, 5);
        if output.status.success() {
            break;
        }
        assert_eq!(output.status.code(), Some(1), "{limit}: {said}");
        assert!(said.contains("`ulimit -n`"), "{limit}: {said}");
        refused += 1;
    }
    assert!(refused > 5, "{refused}");
    let last = sandbox.index();
    assert!(last.contains("up to date"), "{last}");
    assert_found(&sandbox, 30);
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "faults are injected with LD_PRELOAD")]
fn an_index_on_a_read_only_disk_is_searched_with_a_warning() {
    let sandbox = Sandbox::with_handbook();
    let faults = Faults::counted_in(sandbox.docs().with_file_name("calls"));
    let on_it = |mut command: Command| {
        faults.set(&mut command, &sandbox.data(), "readonly", 0);
        command
    };
    let run = |command: Command| on_it(command).output().unwrap();

    // Without an index, none can be created, which is an error and not an empty result.
    fs_err::create_dir(sandbox.data()).unwrap();
    let output = run(sandbox.command("index"));
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("--data-dir"), "{}", said(&output));

    sandbox.index();
    let before = sandbox.search("where do penguins live", &[]);
    sandbox.write("new.md", "# New\n\nOstriches run fast.\n");
    let output = run(sandbox.command("index"));
    assert_eq!(output.status.code(), Some(1));
    for part in ["is not writable", "make the folder writable", "--data-dir"] {
        assert!(said(&output).contains(part), "{}", said(&output));
    }

    let mut search = sandbox.command("search");
    search.args(["where do penguins live", "--json"]);
    let output = run(search);
    let warning = String::from_utf8_lossy(&output.stderr);
    assert!(warning.contains("is not writable"), "{warning}");
    let answer: serde_json::Value = serde_json::from_str(&stdout_of_success(&output)).unwrap();
    assert_eq!(paths(&answer), paths(&before));
    assert_eq!(answer["hits"][0]["scores"], before["hits"][0]["scores"]);

    let server = Server::start(&mut on_it(sandbox.command("serve")));
    let answer = server.search(&json!({"query": "where do penguins live"}));
    assert_eq!(paths(&answer), paths(&before));
    drop(server);
    assert!(
        sandbox.index().contains("1 added"),
        "the new file was not indexed"
    );
}
