//! Files that were read within one clock tick of their last change, which git calls racy.
//!
//! Such a file may change once more and keep its modification time. It is therefore recorded without its inode,
//! and the next walk compares its bytes.

use std::time::{SystemTime, UNIX_EPOCH};

use autorag_store::{ChangeBatch, ContentHash, FileStat, FileState, UnixMs};

use crate::compare::{Changes, FileTask, is_unopened};
use crate::progress::Cancel;
use crate::reading::{ReadError, read};
use crate::retry::is_due;
use crate::source::ListedFile;
use crate::{IndexError, Indexer};

/// Recorded inode of a racy file. Platforms without inodes report 0 for every file, so the check is off there.
const NO_INODE: u64 = 0;
/// Resolution of modification times on most file systems, nanoseconds.
const TICK: u64 = 20_000_000;
/// Resolution on file systems that store whole seconds or pairs of seconds, nanoseconds.
const COARSE_TICK: u64 = 2_000_000_000;

/// The stat to record for a file that is read at `now`.
pub(crate) fn recorded_stat(stat: FileStat, now: SystemTime) -> FileStat {
    if may_change_unseen(stat.modified_ns, now) {
        FileStat {
            inode: NO_INODE,
            ..stat
        }
    } else {
        stat
    }
}

/// Whether a file that was last changed at `modified_ns` could change at `now` and keep that time.
///
/// A time further ahead than a tick comes from another clock. Treating such a file as racy would compare its
/// bytes on every walk until our clock catches up.
fn may_change_unseen(modified_ns: i64, now: SystemTime) -> bool {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let tick = match modified_ns % 1_000_000_000 {
        0 => COARSE_TICK,
        _ => TICK,
    };
    i128::from(modified_ns).abs_diff(now as i128) < u128::from(tick)
}

/// Whether only a comparison of bytes shows if the listed file is still the known one.
fn is_racy(known: &FileState, file: &ListedFile) -> bool {
    let as_recorded = FileStat {
        inode: NO_INODE,
        ..file.stat
    };
    known.stat == as_recorded && file.stat.inode != NO_INODE && file.refusal.is_none()
}

impl Indexer {
    /// Removes racy files from `changes` if their bytes are unchanged. This happens before a job begins, since
    /// comparing bytes is not work worth a job.
    pub(crate) fn settle_racy_files(&self, changes: &mut Changes, cancel: &Cancel) -> Result<(), IndexError> {
        let mut tasks = Vec::with_capacity(changes.tasks.len());
        let mut batch = ChangeBatch::default();
        for task in std::mem::take(&mut changes.tasks) {
            cancel.check()?;
            match self.unchanged_stat(&task)? {
                None => tasks.push(task),
                Some(stat) => {
                    changes.unchanged += 1;
                    // Within a tick of the change the stat to record is still the same.
                    if task.known.is_none_or(|known| known.stat != stat) {
                        batch.touched.push((task.key, stat));
                    }
                }
            }
        }
        changes.tasks = tasks;
        if !batch.is_empty() {
            self.store.apply(&batch)?;
            self.store.refresh_lexical()?;
        }
        Ok(())
    }

    /// The stat to record for a racy file whose bytes are unchanged; `None` for every other file.
    fn unchanged_stat(&self, task: &FileTask) -> Result<Option<FileStat>, IndexError> {
        let is_comparable = |known: &&FileState| {
            is_racy(known, &task.file) && !is_unopened(known) && !is_due(known, UnixMs::now())
        };
        let Some(known) = task.known.as_ref().filter(is_comparable) else {
            return Ok(None);
        };
        match read(&task.file.path, self.options.max_file_size) {
            Ok((bytes, stat)) => Ok((ContentHash::of(&bytes) == known.source_hash).then_some(stat)),
            Err(ReadError::TooManyOpenFiles) => Err(IndexError::TooManyOpenFiles),
            Err(ReadError::Refused(_)) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_may_change_unseen_within_a_tick_of_its_modification_time() {
        let now = UNIX_EPOCH + Duration::from_nanos(1_000_000_000_500_000_000);
        let before = |ns: i64| 1_000_000_000_500_000_000 - ns;
        assert!(may_change_unseen(before(3_000_000), now));
        assert!(!may_change_unseen(before(200_000_000), now));
        // A time in whole seconds may be the file system's resolution.
        assert!(may_change_unseen(before(1_500_000_000), now));
        assert!(!may_change_unseen(before(2_500_000_000), now));
        assert!(
            !may_change_unseen(before(-3_600_000_000_001), now),
            "set by another clock"
        );
    }
}
