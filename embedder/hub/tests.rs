//! Downloads from a small server on loopback that stands in for the hub.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::*;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server does to the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Good,
    /// Sends a third, then hangs up.
    Cuts,
    /// Says another hash than the bytes have.
    WrongHash,
    /// Has no model.
    Empty,
}

struct Server {
    endpoint: String,
    mode: Arc<Mutex<Mode>>,
    /// Request lines with their range and authorisation.
    seen: Arc<Mutex<Vec<String>>>,
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
            seen: Arc::default(),
        };
        let (mode, seen) = (Arc::clone(&server.mode), Arc::clone(&server.seen));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // A client that hangs up is its own business.
                let _ = answer(stream.unwrap(), *mode.lock().unwrap(), &seen);
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

fn answer(mut stream: TcpStream, mode: Mode, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let (mut start, mut kept) = (0, request.clone());
    for line in lines.by_ref() {
        let line = line?.to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().unwrap();
        }
        if line.starts_with("range:") || line.starts_with("authorization:") {
            kept = format!("{kept} {line}");
        }
    }
    seen.lock().unwrap().push(kept);
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let found = content(path).filter(|_| mode != Mode::Empty);
    let Some(bytes) = found else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    if method == "HEAD" && path.ends_with("model.safetensors") && !path.starts_with("/cdn") {
        // As the hub does with large files: elsewhere, with what they are.
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
        let rest = &bytes[start..];
        let cut = mode == Mode::Cuts && path.ends_with("model.safetensors");
        stream.write_all(&rest[..if cut { rest.len() / 3 } else { rest.len() }])?;
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
    let seen = server.seen.lock().unwrap().clone();
    assert!(
        seen.iter()
            .all(|request| request.contains("authorization: bearer secret")),
        "{seen:?}"
    );
    assert!(
        seen.iter()
            .skip(1)
            .all(|request| !request.contains("/main/config")),
        "{seen:?}"
    );
    // The second time no one is asked.
    let again = HubAccess {
        endpoint: "http://127.0.0.1:9".into(),
        ..server.access(dir.path())
    };
    assert_eq!(fetch(&model(), &again).unwrap(), folder);
    assert_eq!(server.seen.lock().unwrap().len(), seen.len());
}

#[test]
fn a_download_that_was_cut_off_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Mode::Cuts);
    let error = fetch(&model(), &server.access(dir.path()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("goes on from there"), "{error}");
    *server.mode.lock().unwrap() = Mode::Good;
    server.seen.lock().unwrap().clear();
    let folder = fetch(&model(), &server.access(dir.path())).unwrap();
    assert_eq!(fs_err::read(folder.join("model.safetensors")).unwrap(), weights());
    let seen = server.seen.lock().unwrap().clone();
    assert!(
        seen.iter().any(|request| request.contains("range: bytes=")),
        "{seen:?}"
    );
    let left: Vec<_> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        left.iter().all(|name| !name.to_string_lossy().ends_with(".part")),
        "{left:?}"
    );
}

#[test]
fn other_bytes_than_promised_are_refused() {
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
fn what_is_not_there_and_no_network_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(Mode::Empty);
    let error = fetch(&model(), &server.access(dir.path()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("has no config.json"), "{error}");
    let offline = HubAccess {
        endpoint: "http://127.0.0.1:9".into(),
        ..server.access(dir.path())
    };
    let error = fetch(&model(), &offline).unwrap_err().to_string();
    assert!(
        error.contains("model.path") && !error.contains("secret"),
        "{error}"
    );
}
