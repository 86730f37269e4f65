//! Downloads from a fake hub on loopback.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How the fake hub serves the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Good,
    /// Sends a third, then closes the connection.
    CutOff,
    /// Announces a SHA-256 that does not match the bytes.
    WrongHash,
    /// Answers 404 for every file.
    Empty,
    /// Answers 401 for every file.
    Denied,
}

struct Server {
    endpoint: String,
    mode: Arc<Mutex<Mode>>,
    /// Request lines with their range and authorization headers.
    requests: Arc<Mutex<Vec<String>>>,
}

fn weights() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i % 251) as u8).collect()
}

fn content(path: &str) -> Option<Vec<u8>> {
    match path
        .rsplit_once(&format!("/{COMMIT}/"))
        .or(path.rsplit_once("/main/"))?
        .1
    {
        "config.json" => Some(b"{}".to_vec()),
        "vocab.txt" => Some(b"[PAD]".to_vec()),
        "model.safetensors" => Some(weights()),
        _ => None,
    }
}

impl Server {
    fn start(mode: Mode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            mode: Arc::new(Mutex::new(mode)),
            requests: Arc::default(),
        };
        let (mode, requests) = (Arc::clone(&server.mode), Arc::clone(&server.requests));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // Ignore clients that close the connection early.
                let _ = respond(stream.unwrap(), *mode.lock().unwrap(), &requests);
            }
        });
        server
    }

    fn access(&self, cache: &Path) -> HubAccess {
        HubAccess {
            endpoint: self.endpoint.clone(),
            token: Some("secret".into()),
            cache: cache.to_owned(),
        }
    }
}

fn respond(mut stream: TcpStream, mode: Mode, requests: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let (mut start, mut recorded) = (0, request.clone());
    for line in lines.by_ref() {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().unwrap();
        }
        if line.starts_with("range:") || line.starts_with("authorization:") {
            recorded = format!("{recorded} {line}");
        }
    }
    requests.lock().unwrap().push(recorded);
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let content = content(path).filter(|_| !matches!(mode, Mode::Empty | Mode::Denied));
    let Some(bytes) = content else {
        let status = if mode == Mode::Denied {
            "401 Unauthorized"
        } else {
            "404 Not Found"
        };
        return write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    };
    if method == "HEAD" && path.ends_with("model.safetensors") && !path.starts_with("/cdn") {
        // The hub redirects large files to a CDN and describes them in the redirect's headers.
        let mut etag: String = ring::digest::digest(&ring::digest::SHA256, &bytes)
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if mode == Mode::WrongHash {
            etag = etag.replace(|c: char| c.is_ascii_digit(), "0");
        }
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: /cdn{path}\r\nX-Linked-Etag: \"{etag}\"\r\nX-Linked-Size: {}\r\n\
             X-Repo-Commit: {COMMIT}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            bytes.len()
        );
    }
    let status = if start > 0 {
        "206 Partial Content"
    } else {
        "200 OK"
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"abc\"\r\nX-Repo-Commit: {COMMIT}\r\nConnection: close\r\n\r\n",
        bytes.len() - start
    )?;
    if method == "GET" {
        let remaining = &bytes[start..];
        let cut_off = mode == Mode::CutOff && path.ends_with("model.safetensors");
        let sent = if cut_off {
            remaining.len() / 3
        } else {
            remaining.len()
        };
        stream.write_all(&remaining[..sent])?;
    }
    stream.flush()
}

fn model() -> HubModel {
    "owner/tiny".parse().unwrap()
}

#[test]
fn a_model_is_downloaded_once() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Mode::Good);
    let folder = fetch(&model(), &server.access(dir.path())).unwrap();
    assert_eq!(folder, dir.path().join("owner--tiny").join(COMMIT));
    assert_eq!(fs_err::read(folder.join("model.safetensors")).unwrap(), weights());
    assert_eq!(fs_err::read(folder.join("config.json")).unwrap(), b"{}");
    let requests = server.requests.lock().unwrap().clone();
    assert!(
        requests
            .iter()
            .all(|request| request.contains("authorization: bearer secret")),
        "{requests:?}"
    );
    assert!(
        requests
            .iter()
            .skip(1)
            .all(|request| !request.contains("/main/config")),
        "{requests:?}"
    );
    // The second fetch sends no request.
    let offline = HubAccess {
        endpoint: "http://127.0.0.1:9".into(),
        ..server.access(dir.path())
    };
    assert_eq!(fetch(&model(), &offline).unwrap(), folder);
    assert_eq!(server.requests.lock().unwrap().len(), requests.len());
}

#[test]
fn a_download_that_was_cut_off_resumes() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Mode::CutOff);
    let error = fetch(&model(), &server.access(dir.path()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("cut off"), "{error}");
    *server.mode.lock().unwrap() = Mode::Good;
    server.requests.lock().unwrap().clear();
    let folder = fetch(&model(), &server.access(dir.path())).unwrap();
    assert_eq!(fs_err::read(folder.join("model.safetensors")).unwrap(), weights());
    let requests = server.requests.lock().unwrap().clone();
    assert!(
        requests.iter().any(|request| request.contains("range: bytes=")),
        "{requests:?}"
    );
    let names: Vec<_> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        names
            .iter()
            .all(|name| !name.to_string_lossy().ends_with(".part")),
        "{names:?}"
    );
}

#[test]
fn bytes_that_do_not_match_the_checksum_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Mode::WrongHash);
    let error = fetch(&model(), &server.access(dir.path()))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("SHA-256") && error.contains("owner/tiny"),
        "{error}"
    );
    assert!(
        !dir.path()
            .join("owner--tiny")
            .join(COMMIT)
            .join("model.safetensors")
            .exists()
    );
    *server.mode.lock().unwrap() = Mode::Good;
    assert!(fetch(&model(), &server.access(dir.path())).is_ok());
}

#[test]
fn a_missing_file_a_refusal_and_a_network_failure_are_different_errors() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Mode::Empty);
    let error = fetch(&model(), &server.access(dir.path()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("has no config.json"), "{error}");
    *server.mode.lock().unwrap() = Mode::Denied;
    let error = fetch(&model(), &server.access(dir.path())).unwrap_err();
    assert!(
        matches!(error, EmbedError::HubAccessDenied { status: 401, .. }),
        "{error:?}"
    );
    let offline = HubAccess {
        endpoint: "http://127.0.0.1:9".into(),
        ..server.access(dir.path())
    };
    let error = fetch(&model(), &offline).unwrap_err();
    assert!(matches!(error, EmbedError::HubUnreachable { .. }), "{error:?}");
    assert!(!error.to_string().contains("secret"), "{error}");
}
