//! Downloads one file. An interrupted download resumes, and the file gets its name only when it is complete and verified.

use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use super::client::{Client, RemoteFile};
use crate::error::EmbedError;

/// Attempts for one file. Each resumes where the previous one stopped.
const ATTEMPTS: usize = 3;

/// Downloads `file` to `path` unless `path` exists. `max_length` is in bytes.
pub(super) fn download(
    client: &Client,
    file: &RemoteFile,
    path: &Path,
    max_length: u64,
) -> Result<(), EmbedError> {
    if path.is_file() {
        return Ok(());
    }
    if file.length.is_some_and(|length| length > max_length) {
        return Err(client.error(format!(
            "{} is longer than {max_length} bytes, the limit for this file",
            path.display()
        )));
    }
    let partial = partial_path(path, &file.etag);
    let folder = path.parent().unwrap_or(path);
    fs_err::create_dir_all(folder).map_err(|error| unwritable(path, &error))?;
    let mut attempt = 1;
    loop {
        match continue_download(client, file, &partial, max_length) {
            Ok(()) => break,
            Err(AttemptError::CutOff) if attempt < ATTEMPTS => attempt += 1,
            Err(AttemptError::CutOff) => {
                return Err(client.error(format!(
                    "the download of {} was cut off: the next attempt resumes it",
                    path.display()
                )));
            }
            Err(AttemptError::Failed(error)) => return Err(error),
            Err(AttemptError::Unwritable(error)) => return Err(unwritable(path, &error)),
        }
    }
    if let Err(error) = verify(client, file, &partial) {
        // A resumed download would keep the wrong bytes.
        let _ = fs_err::remove_file(&partial);
        return Err(error);
    }
    fs_err::rename(&partial, path).map_err(|error| unwritable(path, &error))
}

/// Why an attempt did not complete the file.
enum AttemptError {
    /// The connection broke; another attempt can resume.
    CutOff,
    Failed(EmbedError),
    Unwritable(std::io::Error),
}

fn continue_download(
    client: &Client,
    remote: &RemoteFile,
    partial: &Path,
    max_length: u64,
) -> Result<(), AttemptError> {
    let mut file = fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(partial)
        .map_err(AttemptError::Unwritable)?;
    let mut at = file.metadata().map_err(AttemptError::Unwritable)?.len();
    if at > 0 && remote.length == Some(at) {
        return Ok(());
    }
    let response = client.read(remote, at).map_err(AttemptError::Failed)?;
    let status = response.status().as_u16();
    match status {
        206 if at > 0 => {}
        200 | 416 => {
            // The server does not resume, so start over.
            file.set_len(0).map_err(AttemptError::Unwritable)?;
            file.rewind().map_err(AttemptError::Unwritable)?;
            at = 0;
            if status == 416 {
                return Err(AttemptError::CutOff);
            }
        }
        _ => {
            return Err(AttemptError::Failed(
                client.error(format!("the hub answered {status}: try again later")),
            ));
        }
    }
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return Err(AttemptError::CutOff),
        };
        at += read as u64;
        if at > max_length || remote.length.is_some_and(|length| at > length) {
            return Err(AttemptError::Failed(
                client.error("the hub sent more bytes than announced: try again later"),
            ));
        }
        file.write_all(&buffer[..read])
            .map_err(AttemptError::Unwritable)?;
    }
    file.sync_all().map_err(AttemptError::Unwritable)?;
    match remote.length {
        Some(length) if at < length => Err(AttemptError::CutOff),
        _ => Ok(()),
    }
}

/// Compares the SHA-256 of a large file with its etag. The etag of a small file is no SHA-256; only its length is checked, during the
/// download.
fn verify(client: &Client, file: &RemoteFile, partial: &Path) -> Result<(), EmbedError> {
    if file.etag.len() != 64 || !file.etag.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(());
    }
    let hash = || -> std::io::Result<String> {
        let (mut file, mut context) = (fs_err::File::open(partial)?, Context::new(&SHA256));
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
    let hash = hash()
        .map_err(|error| EmbedError::unusable(partial, format!("cannot be read ({})", error.kind())))?;
    if hash.eq_ignore_ascii_case(&file.etag) {
        return Ok(());
    }
    Err(client.error(format!(
        "{} does not match the hub's checksum (SHA-256 {hash}, expected {}): try again",
        partial.display(),
        file.etag
    )))
}

/// Path of the incomplete file. The name has the etag, so that a changed file is not appended to an old one.
fn partial_path(path: &Path, etag: &str) -> PathBuf {
    let etag: String = etag
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(64)
        .collect();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.{etag}.part"))
}

/// Writes a small file atomically.
pub(super) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), EmbedError> {
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> EmbedError {
    EmbedError::unusable(
        path,
        format!("cannot be written ({}): free some space", error.kind()),
    )
}
