//! One file onto the disk: what a cut-off attempt has left is gone on from, and nothing has the file's name before it is whole.

use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::client::{Client, Found};
use crate::error::EmbedError;

/// Attempts at one file, each from where the last one was cut off.
const ATTEMPTS: usize = 3;

/// Downloads a file to `path`, unless it is there.
pub(super) fn file(client: &Client, found: &Found, path: &Path, longest: u64) -> Result<(), EmbedError> {
    if path.is_file() {
        return Ok(());
    }
    if found.length.is_some_and(|length| length > longest) {
        return Err(client.failed(format!(
            "{} is longer than {longest} bytes, as no such file is",
            path.display()
        )));
    }
    let part = part_of(path, &found.etag);
    let unwritable = |error: &std::io::Error| {
        EmbedError::unusable(
            path,
            format!("cannot be written ({}): free some space", error.kind()),
        )
    };
    let folder = path.parent().unwrap_or(path);
    fs_err::create_dir_all(folder).map_err(|error| unwritable(&error))?;
    let mut attempt = 1;
    loop {
        match attempt_at(client, found, &part, longest) {
            Ok(()) => break,
            Err(Cut::Off) if attempt < ATTEMPTS => attempt += 1,
            Err(Cut::Off) => {
                return Err(client.failed(format!(
                    "the download of {} was cut off: the next attempt goes on from there",
                    path.display()
                )));
            }
            Err(Cut::Failed(error)) => return Err(error),
            Err(Cut::Unwritable(error)) => return Err(unwritable(&error)),
        }
    }
    if let Err(error) = check(client, found, &part) {
        // Going on from what is wrong would never end well.
        let _ = fs_err::remove_file(&part);
        return Err(error);
    }
    fs_err::rename(&part, path).map_err(|error| unwritable(&error))
}

/// Why an attempt did not come to its end.
enum Cut {
    Off,
    Failed(EmbedError),
    Unwritable(std::io::Error),
}

fn attempt_at(client: &Client, found: &Found, part: &Path, longest: u64) -> Result<(), Cut> {
    let mut file = fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(part)
        .map_err(Cut::Unwritable)?;
    let mut at = file.metadata().map_err(Cut::Unwritable)?.len();
    if at > 0 && found.length == Some(at) {
        return Ok(());
    }
    let answer = client.read(found, at).map_err(Cut::Failed)?;
    match answer.status().as_u16() {
        206 if at > 0 => {}
        200 | 416 => {
            // From the beginning, since what is there cannot be gone on from.
            file.set_len(0).map_err(Cut::Unwritable)?;
            file.rewind().map_err(Cut::Unwritable)?;
            let was_refused = answer.status().as_u16() == 416;
            at = 0;
            if was_refused {
                return Err(Cut::Off);
            }
        }
        status => {
            return Err(Cut::Failed(
                client.failed(format!("the hub answers {status}: try again later")),
            ));
        }
    }
    let mut body = answer.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return Err(Cut::Off),
        };
        at += read as u64;
        if at > longest || found.length.is_some_and(|length| at > length) {
            return Err(Cut::Failed(
                client.failed("the hub sends more than it said: try again later".into()),
            ));
        }
        file.write_all(&buffer[..read]).map_err(Cut::Unwritable)?;
    }
    file.sync_all().map_err(Cut::Unwritable)?;
    match found.length {
        Some(length) if at < length => Err(Cut::Off),
        _ => Ok(()),
    }
}

/// Compares the content with what the hub says of it: the hash of a large file; of a small one, which the hub names otherwise, the length,
/// which was compared already.
fn check(client: &Client, found: &Found, part: &Path) -> Result<(), EmbedError> {
    if found.etag.len() != 64 || !found.etag.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(());
    }
    let hash = || -> std::io::Result<String> {
        let (mut file, mut context) = (fs_err::File::open(part)?, Context::new(&SHA256));
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => context.update(&buffer[..read]),
            }
        }
        Ok(context
            .finish()
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    };
    let hash =
        hash().map_err(|error| EmbedError::unusable(part, format!("cannot be read ({})", error.kind())))?;
    if hash.eq_ignore_ascii_case(&found.etag) {
        return Ok(());
    }
    Err(client.failed(format!(
        "{} came with other bytes than the hub has (SHA-256 {hash}, not {}): try again",
        part.display(),
        found.etag
    )))
}

/// The name of a file under way: another content has another one.
fn part_of(path: &Path, etag: &str) -> PathBuf {
    let etag: String = etag
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(64)
        .collect();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.{etag}.part"))
}

/// Writes a small file whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), EmbedError> {
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| {
        EmbedError::unusable(
            path,
            format!("cannot be written ({}): free some space", error.kind()),
        )
    })
}
