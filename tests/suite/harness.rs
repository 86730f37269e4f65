//! A sandbox: a folder of documents, its index, and the binary to run on them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::blocking::{Client, Response};
use serde_json::Value;

/// Timeout of every wait. Generous, because the suite runs on loaded machines.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A folder of documents and a data directory, deleted on drop.
pub struct Sandbox {
    dir: tempfile::TempDir,
}

impl Sandbox {
    /// A sandbox without documents.
    pub fn empty() -> Sandbox {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("docs")).unwrap();
        Sandbox { dir }
    }

    /// A sandbox with five small documents.
    pub fn with_handbook() -> Sandbox {
        let sandbox = Sandbox::empty();
        sandbox.write(
            "guide/install.md",
            "---\naudience: operator\ntags: [setup, linux]\n---\n# Install\n\nGet the archive and unpack it.\n\n\
             ## Linux\n\nCopy the binary to a folder on your path. Permissions matter: mark it executable.\n\n\
             ## Windows\n\nRun the installer and restart the shell.\n",
        );
        sandbox.write(
            "guide/backup.md",
            "# Backup\n\nStop the service, then copy the data folder elsewhere.\n",
        );
        sandbox.write(
            "src/parser.rs",
            "/// Splits a line into words.\npub fn split_words(line: &str) -> Vec<&str> {\n    line.split(' ').collect()\n}\n",
        );
        sandbox.write(
            "site/index.html",
            "<html lang=en><head><title>Welcome</title></head><body><nav>Home</nav><main><h1>Welcome</h1>\
             <p>Penguins live in the southern hemisphere.</p></main></body></html>",
        );
        sandbox.write("notes.txt", "Remember to water the plants on Thursday.\n");
        sandbox
    }

    /// The folder of documents.
    pub fn docs(&self) -> PathBuf {
        self.dir.path().join("docs")
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Folder of the only index in [`Sandbox::data`].
    pub fn index_dir(&self) -> PathBuf {
        let mut found = fs_err::read_dir(self.data()).unwrap();
        // The data directory also caches quantized models.
        found
            .find_map(|entry| Some(entry.unwrap().path()).filter(|path| !path.ends_with("models")))
            .unwrap()
    }

    /// Writes a document.
    pub fn write(&self, key: &str, text: impl AsRef<[u8]>) {
        let path = self.docs().join(key);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    /// Removes a document.
    pub fn remove(&self, key: &str) {
        fs_err::remove_file(self.docs().join(key)).unwrap();
    }

    /// The binary with `command`, the folder and the data directory, in a clean environment.
    pub fn command(&self, command: &str) -> Command {
        let mut run = self.bare_command();
        run.arg(command)
            .arg(self.docs())
            .arg("--data-dir")
            .arg(self.data());
        run
    }

    /// The binary without arguments, in a clean environment.
    pub fn bare_command(&self) -> Command {
        let mut run = Command::new(env!("CARGO_BIN_EXE_autorag"));
        run.current_dir(self.dir.path()).env("HOME", self.dir.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AUTORAG_")) {
            run.env_remove(name);
        }
        run.env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
        run
    }

    /// Updates the index; returns the printed summary.
    pub fn index(&self) -> String {
        let output = self.command("index").arg("--quiet").output().unwrap();
        stdout_of_success(&output)
    }

    /// Searches without updating; returns the JSON answer.
    pub fn search(&self, query: &str, more: &[&str]) -> Value {
        let mut run = self.command("search");
        let output = run
            .args([query, "--json", "--no-update", "--quiet"])
            .args(more)
            .output()
            .unwrap();
        assert!(
            output.status.code() != Some(2),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// Starts a server on a free port.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    /// Starts a server on a free port, with more flags.
    pub fn serve_with(&self, flags: &[&str]) -> Server {
        Server::start(self.command("serve").args(flags))
    }
}

/// Standard output of a process that must have succeeded.
pub fn stdout_of_success(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{:?}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Polls `ready` until it returns a value.
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(started.elapsed() < TIMEOUT, "gave up waiting for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Paths of the hits, best first.
pub fn paths(answer: &Value) -> Vec<&str> {
    answer["hits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hit| hit["citation"]["path"].as_str().unwrap())
        .collect()
}

/// A running server, killed on drop.
pub struct Server {
    child: Child,
    base: String,
    client: Client,
}

impl Server {
    /// Starts `command` on a free port and waits until it listens.
    pub fn start(command: &mut Command) -> Server {
        let mut child = command
            .args(["--addr", "127.0.0.1:0", "--quiet"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let listening = lines.find_map(|line| line.unwrap().strip_prefix("listening ").map(str::to_owned));
        let listening = listening.expect("the server ended before it listened");
        let base = listening.split_whitespace().next().unwrap().to_owned();
        let client = Client::builder().timeout(TIMEOUT).build().unwrap();
        Server { child, base, client }
    }

    /// `http://127.0.0.1:PORT`
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// A request builder.
    pub fn request(&self, method: &str, path: &str) -> reqwest::blocking::RequestBuilder {
        self.client
            .request(method.parse().unwrap(), format!("{}{path}", self.base))
    }

    /// Sends GET `path`.
    pub fn get(&self, path: &str) -> Response {
        self.request("GET", path).send().unwrap()
    }

    /// Sends GET `path`, which must succeed; returns the JSON.
    pub fn get_json(&self, path: &str) -> Value {
        let response = self.get(path);
        assert!(
            response.status().is_success(),
            "{path}: {} {}",
            response.status(),
            response.text().unwrap()
        );
        response.json().unwrap()
    }

    /// Sends a search.
    pub fn post_search(&self, body: &Value) -> Response {
        self.request("POST", "/v1/search").json(body).send().unwrap()
    }

    /// Sends a search, which must succeed; returns the JSON.
    pub fn search(&self, body: &Value) -> Value {
        let response = self.post_search(body);
        assert!(
            response.status().is_success(),
            "{}: {}",
            response.status(),
            response.text().unwrap()
        );
        response.json().unwrap()
    }

    /// The answer to a search while no walk runs. A server walks once more after it starts watching, and answers report that walk.
    pub fn search_while_idle(&self, body: &Value) -> Value {
        wait_for("an answer without a walk under way", || {
            let answer = self.search(body);
            let walks = |degraded: &Value| degraded["reason"] == "files are still being read";
            let is_idle = !answer["degraded"].as_array().unwrap().iter().any(walks);
            is_idle.then_some(answer)
        })
    }

    /// Waits until the index is complete; returns the status.
    pub fn wait_until_complete(&self) -> Value {
        wait_for("a complete index", || {
            let status = self.get_json("/v1/status");
            assert_ne!(status["index_state"]["phase"], "failed", "{status}");
            (status["index_state"]["complete"] == true).then_some(status)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A tool that `.ci/run` installs. Without the tool a test is skipped, but fails in the gate.
#[expect(clippy::print_stderr, reason = "a skipped test must say so")]
pub fn tool(name: &str, found: Option<PathBuf>) -> Option<PathBuf> {
    if found.is_none() {
        assert!(
            std::env::var_os("AUTORAG_TEST_ALL").is_none(),
            "{name} is not installed; see .ci/run"
        );
        eprintln!("SKIPPED: {name} is not installed; .ci/run installs it");
    }
    found
}

/// The project's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
