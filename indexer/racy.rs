//! Files that were read so soon after they changed that they may have changed once more under the same time: what git calls racy. They
//! are remembered without their number, and the next walk looks at their bytes again.

use std::time::{SystemTime, UNIX_EPOCH};

use autorag_store::{ChangeBatch, ContentHash, FileStat, FileState, UnixMs};

use crate::compare::{Changes, Task, is_unread};
use crate::progress::Cancel;
use crate::reading::{Unread, read};
use crate::retry::is_due;
use crate::source::Found;
use crate::{IndexError, Indexer};

/// In place of the number of such a file. On systems that know no numbers all files have it, and none is looked at again.
const NO_INODE: u64 = 0;
/// How fine the times of files are, on most file systems and on those that only know whole seconds, nanoseconds.
const TICK: u64 = 20_000_000;
const COARSE_TICK: u64 = 2_000_000_000;

/// What is to be remembered of a file that is read `now`.
pub(crate) fn remembered(stat: FileStat, now: SystemTime) -> FileStat {
    match may_change_unseen(stat.modified_ns, now) {
        true => FileStat {
            inode: NO_INODE,
            ..stat
        },
        false => stat,
    }
}

/// Whether a file that was last changed at `modified_ns` could be changed again at `now` without another time. One that is further
/// ahead of the clock has its time from elsewhere, and would be looked at for as long as it is.
fn may_change_unseen(modified_ns: i64, now: SystemTime) -> bool {
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let tick = match modified_ns % 1_000_000_000 {
        0 => COARSE_TICK,
        _ => TICK,
    };
    i128::from(modified_ns).abs_diff(now as i128) < u128::from(tick)
}

/// Whether only the bytes of a file can tell if it is the one that is known.
fn is_racy(known: &FileState, found: &Found) -> bool {
    let as_remembered = FileStat {
        inode: NO_INODE,
        ..found.stat
    };
    known.stat == as_remembered && found.stat.inode != NO_INODE && found.refusal.is_none()
}

impl Indexer {
    /// Takes files out of `changes` of which the bytes say that they are as they were. That is no work worth a job: it is done
    /// before one begins.
    pub(crate) fn look_again(&self, changes: &mut Changes, cancel: &Cancel) -> Result<(), IndexError> {
        let mut tasks = Vec::with_capacity(changes.tasks.len());
        let mut batch = ChangeBatch::default();
        for task in std::mem::take(&mut changes.tasks) {
            cancel.check()?;
            match self.unchanged_bytes(&task)? {
                None => tasks.push(task),
                Some(stat) => {
                    changes.unchanged += 1;
                    // Where it is too soon still, there is nothing new to remember.
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

    /// What is to be remembered of a racy file, if it is as it was.
    fn unchanged_bytes(&self, task: &Task) -> Result<Option<FileStat>, IndexError> {
        let settled = |known: &&FileState| {
            is_racy(known, &task.found) && !is_unread(known) && !is_due(known, UnixMs::now())
        };
        let Some(known) = task.known.as_ref().filter(settled) else {
            return Ok(None);
        };
        match read(&task.found.path, self.options.max_file_size) {
            Ok((bytes, stat)) => Ok((ContentHash::of(&bytes) == known.source_hash).then_some(stat)),
            Err(Unread::NoDescriptors) => Err(IndexError::NoDescriptors),
            Err(Unread::Refused(..)) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_may_change_unseen_within_a_tick_of_its_time() {
        let now = UNIX_EPOCH + Duration::from_nanos(1_000_000_000_500_000_000);
        let before = |ns: i64| 1_000_000_000_500_000_000 - ns;
        assert!(may_change_unseen(before(3_000_000), now));
        assert!(!may_change_unseen(before(200_000_000), now));
        // A time of whole seconds may be all that the file system knows.
        assert!(may_change_unseen(before(1_500_000_000), now));
        assert!(!may_change_unseen(before(2_500_000_000), now));
        assert!(
            !may_change_unseen(before(-3_600_000_000_001), now),
            "another clock's"
        );
    }
}
