//! Requests to the process that writes a store: small files in the store's folder. Every process can create them, and the writer
//! polls for them about once a second.

use std::io;
use std::path::{Path, PathBuf};

use crate::jobs::JobId;

/// Exists while indexing is paused.
const PAUSED: &str = "paused";
/// Contains the number of the job to cancel.
const CANCEL: &str = "cancel";

/// Control files of a store.
#[derive(Debug, Clone)]
pub struct Control {
    paused: PathBuf,
    cancel: PathBuf,
}

impl Control {
    /// Control files of the store in `dir`.
    pub fn new(dir: &Path) -> Control {
        Control {
            paused: dir.join(PAUSED),
            cancel: dir.join(CANCEL),
        }
    }

    /// Whether indexing is paused. A pause survives restarts.
    pub fn is_paused(&self) -> bool {
        self.paused.exists()
    }

    /// Pauses indexing.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn pause(&self) -> io::Result<()> {
        fs_err::write(&self.paused, "indexing is paused while this file exists\n")
    }

    /// Resumes indexing.
    ///
    /// # Errors
    /// When the file exists and cannot be removed.
    pub fn resume(&self) -> io::Result<()> {
        remove_if_present(&self.paused)
    }

    /// Requests the cancellation of `job`. A request for a job that has ended has no effect.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn cancel(&self, job: JobId) -> io::Result<()> {
        // Rename the file into place: the writer must never read an incomplete number.
        let new = self.cancel.with_extension("new");
        fs_err::write(&new, job.to_string())?;
        fs_err::rename(new, &self.cancel)
    }

    /// Whether the cancellation of `job` was requested.
    pub fn is_cancelled(&self, job: JobId) -> bool {
        let text = fs_err::read_to_string(&self.cancel).ok();
        text.and_then(|text| text.trim().parse().ok()) == Some(job)
    }

    /// Removes the cancellation request, after the job has ended.
    ///
    /// # Errors
    /// When the file exists and cannot be removed.
    pub fn clear_cancel(&self) -> io::Result<()> {
        remove_if_present(&self.cancel)
    }
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_files_that_outlive_the_requester() {
        let dir = tempfile::tempdir().unwrap();
        let control = Control::new(dir.path());
        assert!(!control.is_paused() && !control.is_cancelled(JobId(7)));
        control.pause().unwrap();
        control.cancel(JobId(7)).unwrap();
        let other = Control::new(dir.path());
        assert!(other.is_paused() && other.is_cancelled(JobId(7)) && !other.is_cancelled(JobId(8)));
        other.resume().unwrap();
        other.resume().unwrap();
        other.clear_cancel().unwrap();
        assert!(!control.is_paused() && !control.is_cancelled(JobId(7)));
        fs_err::write(dir.path().join("cancel"), "seven").unwrap();
        assert!(!control.is_cancelled(JobId(7)));
    }
}
