//! What one process asks of another that writes the store: small files in its folder, which every process can leave there and the
//! writer looks for about once a second.

use std::path::{Path, PathBuf};

use crate::jobs::JobId;

/// There while indexing is held.
const PAUSED: &str = "paused";
/// Holds the number of a job that is to end.
const CANCEL: &str = "cancel";

/// The wishes for the store in a folder.
#[derive(Debug, Clone)]
pub struct Control {
    paused: PathBuf,
    cancel: PathBuf,
}

impl Control {
    /// Of the store in `dir`.
    pub fn new(dir: &Path) -> Control {
        Control {
            paused: dir.join(PAUSED),
            cancel: dir.join(CANCEL),
        }
    }

    /// Whether indexing is to rest. It is until someone resumes it, restarts included.
    pub fn is_paused(&self) -> bool {
        self.paused.exists()
    }

    /// Has indexing rest.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn pause(&self) -> std::io::Result<()> {
        fs_err::write(&self.paused, "indexing rests until `autorag jobs resume`\n")
    }

    /// Has indexing go on.
    ///
    /// # Errors
    /// When the file is there and cannot be removed.
    pub fn resume(&self) -> std::io::Result<()> {
        removed(&self.paused)
    }

    /// Asks for the end of a job. A wish for one that has ended is without effect.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn cancel(&self, job: JobId) -> std::io::Result<()> {
        // In one step, so that the writer never reads half a number.
        let new = self.cancel.with_extension("new");
        fs_err::write(&new, job.to_string())?;
        fs_err::rename(new, &self.cancel)
    }

    /// Whether the end of `job` was asked for.
    pub fn is_cancelled(&self, job: JobId) -> bool {
        let asked = fs_err::read_to_string(&self.cancel).ok();
        asked.and_then(|text| text.trim().parse().ok()) == Some(job)
    }

    /// Forgets the wish that a job end: it has.
    ///
    /// # Errors
    /// When the file is there and cannot be removed.
    pub fn clear_cancel(&self) -> std::io::Result<()> {
        removed(&self.cancel)
    }
}

fn removed(path: &Path) -> std::io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_kept_in_files_and_survive_whoever_had_them() {
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
