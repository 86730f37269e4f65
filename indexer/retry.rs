//! When to retry a file that failed for a temporary reason.

use std::time::Duration;

use autorag_store::{DocumentKey, FileStat, FileState, Retry, UnixMs};

/// Whether it is time to retry a file.
pub(crate) fn is_due(known: &FileState, now: UnixMs) -> bool {
    known.retry_at.is_some_and(|at| at <= now)
}

/// Schedules the next attempt at a file that has just failed.
///
/// `waits` holds one delay per attempt. After the last delay only a change of the file brings another attempt.
/// A change resets the count.
pub(crate) fn next(
    key: &DocumentKey,
    stat: FileStat,
    known: Option<&FileState>,
    waits: &[Duration],
    now: UnixMs,
) -> Retry {
    let failures = known
        .filter(|known| known.stat == stat)
        .map_or(0, |known| known.attempts);
    let wait = waits.get(failures as usize);
    Retry {
        key: key.clone(),
        attempts: failures.saturating_add(1),
        at: wait.map(|wait| now.saturating_add(*wait)),
    }
}

#[cfg(test)]
mod tests {
    use autorag_store::{ContentHash, ItemStatus};

    use super::*;

    fn known(stat: FileStat, retry: &Retry) -> FileState {
        FileState {
            stat,
            source_hash: ContentHash::of(b""),
            status: ItemStatus::Error,
            reason: None,
            attempts: retry.attempts,
            retry_at: retry.at,
        }
    }

    #[test]
    fn retries_back_off_and_end_until_the_file_changes() {
        let key = DocumentKey::new("a.md");
        let waits = [60, 300].map(Duration::from_secs);
        let stat = FileStat {
            size: 1,
            modified_ns: 2,
            inode: 3,
        };
        let mut retry = next(&key, stat, None, &waits, UnixMs(1000));
        assert_eq!((retry.attempts, retry.at), (1, Some(UnixMs(61_000))));
        let first = known(stat, &retry);
        assert!(!is_due(&first, UnixMs(60_999)) && is_due(&first, UnixMs(61_000)));
        retry = next(&key, stat, Some(&first), &waits, UnixMs(61_000));
        assert_eq!((retry.attempts, retry.at), (2, Some(UnixMs(361_000))));
        let second = known(stat, &retry);
        retry = next(&key, stat, Some(&second), &waits, UnixMs(361_000));
        assert_eq!((retry.attempts, retry.at), (3, None));
        let last = known(stat, &retry);
        assert!(!is_due(&last, UnixMs::MAX));
        let changed = FileStat { size: 2, ..stat };
        assert_eq!(next(&key, changed, Some(&last), &waits, UnixMs(0)).attempts, 1);
    }
}
