//! Watches the folders and says when a walk is due.
//!
//! The watcher never says what has changed, because only the walk knows ignore files, globs and renames. A lost
//! or superfluous event therefore costs time, but never leads to a wrong index.

mod events;
mod folders;
mod schedule;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::Cancel;
use events::Events;
use folders::WatchedFolders;
use schedule::Schedule;
pub use schedule::WalkReason;

/// Time between walks if events do not work.
const POLL_EVERY: Duration = Duration::from_secs(2);

/// How changes are detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchMode {
    /// File system events, or polling if events do not work.
    Auto,
    /// Polling: a walk every two seconds.
    Poll,
}

/// Options of a [`Watcher`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchOptions {
    /// How changes are detected.
    pub mode: WatchMode,
    /// Time between routine walks, which find changes without events. `None` turns routine walks off.
    pub reconcile: Option<Duration>,
}

/// Says when the folders need another walk.
pub struct Watcher {
    options: WatchOptions,
    shared: Arc<Shared>,
    folders: Mutex<WatchedFolders>,
    /// Whether folders are polled, because of the mode or because some folder cannot be watched.
    polls: AtomicBool,
    /// Device number of each source at its last walk.
    devices: Mutex<HashMap<PathBuf, u64>>,
}

/// State shared by the thread that receives events and the thread that waits.
struct Shared {
    schedule: Mutex<Schedule>,
    events: Mutex<Events>,
    waiter: Thread,
}

impl Shared {
    /// Schedules a walk for a change and wakes the waiting thread.
    fn schedule_change(&self) {
        lock(&self.schedule).record_change(Instant::now());
        self.waiter.unpark();
    }
}

impl Watcher {
    /// A watcher for the calling thread. Only this thread may call [`Watcher::wait`]. To end a wait early, cancel
    /// and then unpark the thread. Nothing is watched before the first walk.
    pub fn new(options: WatchOptions) -> Watcher {
        Watcher {
            options,
            shared: Arc::new(Shared {
                schedule: Mutex::default(),
                events: Mutex::default(),
                waiter: std::thread::current(),
            }),
            folders: Mutex::default(),
            polls: AtomicBool::new(options.mode == WatchMode::Poll),
            devices: Mutex::default(),
        }
    }

    /// Waits until a walk is due. Returns `None` after `timeout`, or if `cancel` asks to stop.
    pub fn wait(&self, cancel: &Cancel, timeout: Duration) -> Option<WalkReason> {
        let end = Instant::now() + timeout;
        while !cancel.is_cancelled() {
            let now = Instant::now();
            let next = lock(&self.shared.schedule).next();
            if let Some((_, reason)) = next.filter(|(at, _)| *at <= now) {
                return Some(reason);
            }
            let until = next.map_or(end, |(at, _)| at.min(end));
            let left = until.saturating_duration_since(now);
            if left.is_zero() {
                return None;
            }
            std::thread::park_timeout(left);
        }
        None
    }

    /// Schedules a walk within `delay`.
    pub fn walk_within(&self, delay: Duration) {
        lock(&self.shared.schedule).walk_by(Instant::now() + delay);
    }

    /// Schedules a walk after `delay`, because the last run failed.
    pub fn retry_after(&self, delay: Duration) {
        lock(&self.shared.schedule).retry_at(Instant::now() + delay);
    }

    /// Drops the changes recorded so far. Call this after a job was cancelled, or the next job would start at
    /// once for the same changes.
    pub fn discard_changes(&self) {
        lock(&self.shared.schedule).discard_changes();
    }

    /// Whether a walk is due now.
    pub(crate) fn is_due(&self) -> bool {
        let next = lock(&self.shared.schedule).next();
        next.is_some_and(|(at, _)| at <= Instant::now())
    }

    /// Begins a walk, which will see every change up to now.
    ///
    /// A routine walk renews all watches, since some may have been lost unnoticed, for example when a disk was
    /// unmounted for a while.
    pub(crate) fn begin_walk(&self, is_routine: bool) {
        lock(&self.shared.schedule).begin_walk();
        if is_routine && !self.polls.load(Ordering::Relaxed) {
            lock(&self.shared.events).lost = true;
        }
    }

    /// Whether a source is now an empty folder on another device than in the last walk: the mount point of an
    /// unmounted disk.
    pub(crate) fn is_unmounted(&self, root: &Path) -> bool {
        let Some(device) = device(root) else { return false };
        let mut devices = lock(&self.devices);
        let is_other = devices.get(root).is_some_and(|known| *known != device);
        let is_empty = || fs_err::read_dir(root).is_ok_and(|mut entries| entries.next().is_none());
        if is_other && is_empty() {
            return true;
        }
        devices.insert(root.to_owned(), device);
        false
    }

    /// Ends a walk that has entered `folders` and lasted `took`. Watches these folders from now on.
    pub(crate) fn end_walk(&self, folders: &BTreeSet<PathBuf>, took: Duration) {
        if self.options.mode == WatchMode::Auto {
            let update = lock(&self.folders).update(folders, &self.shared);
            let polls = update.failure.is_some();
            if let Some(failure) = update.failure
                && !self.polls.load(Ordering::Relaxed)
            {
                let seconds = POLL_EVERY.as_secs();
                tracing::warn!("{failure}; polling every {seconds} s");
            }
            self.polls.store(polls, Ordering::Relaxed);
            if update.has_new {
                // A folder may have changed between the walk and its watch.
                self.shared.schedule_change();
            }
        }
        let every = if self.polls.load(Ordering::Relaxed) {
            Some(POLL_EVERY)
        } else {
            self.options.reconcile
        };
        lock(&self.shared.schedule).end_walk(Instant::now(), took, every);
    }
}

#[cfg(unix)]
fn device(root: &Path) -> Option<u64> {
    let meta = fs_err::metadata(root).ok()?;
    Some(std::os::unix::fs::MetadataExt::dev(&meta))
}

#[cfg(not(unix))]
fn device(_root: &Path) -> Option<u64> {
    None
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic while the lock was held causes a superfluous walk at worst.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watcher(mode: WatchMode) -> Watcher {
        Watcher::new(WatchOptions {
            mode,
            reconcile: None,
        })
    }

    fn planned(watcher: &Watcher) -> Option<WalkReason> {
        lock(&watcher.shared.schedule).next().map(|(_, reason)| reason)
    }

    #[test]
    fn a_newly_watched_folder_is_walked_once_more() {
        let dir = tempfile::tempdir().unwrap();
        let folders = BTreeSet::from([dir.path().to_owned()]);
        let watcher = watcher(WatchMode::Auto);
        assert_eq!(planned(&watcher), None);
        watcher.begin_walk(false);
        watcher.end_walk(&folders, Duration::ZERO);
        assert_eq!(planned(&watcher), Some(WalkReason::Change));
        watcher.begin_walk(false);
        watcher.end_walk(&folders, Duration::ZERO);
        assert_eq!(planned(&watcher), None);
        fs_err::write(dir.path().join("a.md"), "text").unwrap();
        let long = Duration::from_secs(60);
        assert_eq!(watcher.wait(&Cancel::default(), Duration::ZERO), None);
        assert_eq!(watcher.wait(&Cancel::default(), long), Some(WalkReason::Change));
        assert!(watcher.is_due());
    }

    #[cfg(unix)]
    #[test]
    fn an_empty_folder_on_another_device_is_a_mount_point() {
        let dir = tempfile::tempdir().unwrap();
        let watcher = watcher(WatchMode::Auto);
        assert!(!watcher.is_unmounted(dir.path()), "the device is not known yet");
        let move_to_other_device = |watcher: &Watcher| {
            let device = device(dir.path()).unwrap() + 1;
            lock(&watcher.devices).insert(dir.path().to_owned(), device);
        };
        move_to_other_device(&watcher);
        assert!(watcher.is_unmounted(dir.path()));
        assert!(watcher.is_unmounted(dir.path()), "and stays one");
        fs_err::write(dir.path().join("a.md"), "text").unwrap();
        assert!(
            !watcher.is_unmounted(dir.path()),
            "a different disk that has files"
        );
        fs_err::remove_file(dir.path().join("a.md")).unwrap();
        assert!(!watcher.is_unmounted(dir.path()), "emptied on the same disk");
    }

    #[test]
    fn a_wait_ends_when_asked_to_stop() {
        let (cancel, watcher) = (Cancel::default(), watcher(WatchMode::Poll));
        watcher.end_walk(&BTreeSet::new(), Duration::ZERO);
        assert_eq!(planned(&watcher), Some(WalkReason::Routine));
        let (stop, waiter) = (cancel.clone(), std::thread::current());
        std::thread::spawn(move || {
            stop.cancel();
            waiter.unpark();
        });
        assert_eq!(watcher.wait(&cancel, Duration::from_secs(60)), None);
    }
}
