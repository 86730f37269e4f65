//! Disk faults, injected by a library between the program and the C library.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::harness::root;

/// Kinds of faults, described in `faults.c`.
pub const KINDS: [&str; 6] = ["kill", "torn", "power", "eio", "full", "short"];
/// Kinds that end the process.
pub const FATAL: [&str; 3] = ["kill", "torn", "power"];

static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{}.so", std::process::id()));
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&library)
        .arg(root().join("tests/suite/torture/faults.c"))
        .args(["-ldl", "-lpthread"])
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    library
});

/// Injects one fault into the calls on files below a folder.
#[derive(Clone)]
pub struct Faults {
    count: PathBuf,
}

impl Faults {
    /// Keeps the number of calls in the file `count`.
    pub fn counted_in(count: PathBuf) -> Faults {
        Faults { count }
    }

    /// Prepares `command`: of its calls that change files below `dir`, number `at` fails (0: none).
    pub fn set(&self, command: &mut Command, dir: &Path, kind: &str, at: u64) {
        fs_err::write(&self.count, [0; 8]).unwrap();
        command
            .env("LD_PRELOAD", &*LIBRARY)
            .env("FAULTS_DIR", dir)
            .env("FAULTS_COUNT", &self.count)
            .env("FAULTS_KIND", kind)
            .env("FAULTS_AT", at.to_string());
    }

    /// Number of such calls of the last command.
    pub fn calls(&self) -> u64 {
        let bytes = fs_err::read(&self.count).unwrap();
        u64::from_ne_bytes(bytes.try_into().unwrap())
    }
}
